//! The pipeline itself: rounds of the probes in, drafts out.
//!
//! # Invariants
//! - A record's id is a UUID v7 of the moment at which it was observed; ids made here ascend.
//! - A metric that has no point (left) says nothing and makes no draft.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use candor_model::{Draft, Level, Record, UnixNanos};
use candor_otlp::{Stamp, encode};
use candor_privacy::{Admitted, Counts, Door, Scrubber};
use candor_probes::{Changes, Host, Intervals, Moment, Probe, ProbeStatus, Runner};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::accounts;

/// What a pipeline is made of.
pub struct PipelineSettings {
    /// The host that the probes look at.
    pub host: Host,
    /// The id of this boot, as it shall leave.
    pub boot: Arc<str>,
    /// All probes: [`candor_probes::all`] and the agent's own.
    pub probes: Vec<Box<dyn Probe>>,
    /// How often they sample and report.
    pub intervals: Intervals,
}

/// Probes, door and codec.
pub struct Pipeline {
    runner: Runner,
    encoder: Encoder,
}

impl Pipeline {
    /// A pipeline whose probes have not run yet.
    #[must_use]
    pub fn new(settings: PipelineSettings) -> Self {
        let scrubber = accounts::scrubber(&settings.host);
        Self {
            runner: Runner::new(settings.host, settings.probes, settings.intervals),
            encoder: Encoder::new(settings.boot, scrubber),
        }
    }

    /// Runs what is due at `now` and gives the drafts that may be kept at `level`. A dropped future
    /// loses the round's records and nothing else.
    pub async fn round(&mut self, now: Moment, level: Level) -> Vec<Draft> {
        let records = self.runner.round(now, level).await;
        self.encoder.encode_all(records, now.wall, level)
    }

    /// Samples with every probe that samples, due or not.
    pub async fn sample_now(&mut self, now: Moment, level: Level) {
        self.runner.sample_now(now, level).await;
    }

    /// Reports with every probe, due or not: a preview, or the last words before the agent stops.
    pub async fn report_now(&mut self, now: Moment, level: Level) -> Vec<Draft> {
        let records = self.records_now(now, level).await;
        self.encode_all(records, now, level)
    }

    /// What every probe reports, before the door.
    pub(crate) async fn records_now(&mut self, now: Moment, level: Level) -> Vec<Record> {
        self.runner.report_now(now, level).await
    }

    /// The drafts of those of them that may be kept at `level`.
    pub(crate) fn encode_all(
        &mut self,
        records: Vec<Record>,
        now: Moment,
        level: Level,
    ) -> Vec<Draft> {
        self.encoder.encode_all(records, now.wall, level)
    }

    /// When [`Pipeline::round`] is wanted next, by the boot clock; an instant in the past means at
    /// once, `None` that the level allows nothing.
    #[must_use]
    pub fn next_due(&self, level: Level) -> Option<Duration> {
        self.runner.next_due(level)
    }

    /// Has those probes look at the next round that look at what changed.
    pub fn note(&mut self, changes: Changes) {
        self.runner.note(changes);
    }

    /// Takes over changed intervals.
    pub fn set_intervals(&mut self, intervals: Intervals, now: Moment) {
        self.runner.set_intervals(intervals, now);
    }

    /// From now on records of these names, of the catalog, do not leave the pipeline.
    pub fn set_off(&mut self, names: Arc<BTreeSet<String>>) {
        self.encoder.door.set_off(names);
    }

    /// Forgets every aggregate, as after a start: collection was switched off.
    pub fn forget(&mut self) {
        self.runner.forget();
    }

    /// What is known of each probe that `level` allows.
    #[must_use]
    pub fn statuses(&self, level: Level) -> Vec<ProbeStatus> {
        self.runner.statuses(level)
    }

    /// The draft of a record that comes from elsewhere than a probe, such as a change of level;
    /// `None` when nothing of it may be kept at `level`.
    pub fn encode(&mut self, record: Record, observed: UnixNanos, level: Level) -> Option<Draft> {
        self.encoder.encode(record, observed, level)
    }

    /// Records that the level, or their name, withheld since the agent started, by their own level.
    #[must_use]
    pub const fn withheld(&self) -> [u64; Level::ALL.len()] {
        self.encoder.door.withheld()
    }

    /// What was replaced in free text since the agent started.
    #[must_use]
    pub const fn scrubbed(&self) -> Counts {
        self.encoder.door.scrubbed()
    }

    /// Values that probes gave and the catalog does not know, taken away since the agent started.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.encoder.door.unknown()
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("runner", &self.runner).finish_non_exhaustive()
    }
}

/// Door and codec.
struct Encoder {
    door: Door,
    boot: Arc<str>,
    ids: ContextV7,
}

impl Encoder {
    fn new(boot: Arc<str>, scrubber: Scrubber) -> Self {
        Self { door: Door::new(scrubber), boot, ids: ContextV7::new() }
    }

    fn encode_all(&mut self, records: Vec<Record>, at: UnixNanos, level: Level) -> Vec<Draft> {
        records.into_iter().filter_map(|record| self.encode(record, at, level)).collect()
    }

    fn encode(&mut self, record: Record, observed: UnixNanos, level: Level) -> Option<Draft> {
        let admitted = self.door.admit(record, level)?;
        let says_nothing =
            matches!(admitted.record(), Record::Metric(metric) if metric.points().is_empty());
        (!says_nothing).then(|| self.draft(&admitted, observed))
    }

    fn draft(&self, admitted: &Admitted, observed: UnixNanos) -> Draft {
        let uid = self.uid(observed);
        let stamp = Stamp { uid: &uid, observed, level: admitted.level() };
        Draft {
            level: admitted.level(),
            kind: admitted.record().kind(),
            boot: Arc::clone(&self.boot),
            body: encode(admitted.record(), &stamp),
        }
    }

    fn uid(&self, at: UnixNanos) -> String {
        const SECOND: u64 = 1_000_000_000;
        // The remainder is below one billion: it fits.
        let nanos = u32::try_from(at.0 % SECOND).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(&self.ids, at.0 / SECOND, nanos)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use candor_model::events::agent::{Health, Settings};
    use candor_model::{
        Class, FieldEntry, FieldType, Instrument, Metric, MetricEntry, Number, Point,
    };
    use candor_otlp::{DecodedRecord, decode_body};
    use candor_probes::{ProbeError, Rhythm};

    use super::*;

    static CORE: &[FieldEntry] = &[FieldEntry {
        name: "core",
        level: Level::Full,
        class: Class::System,
        unit: None,
        doc: "The core.",
        kind: FieldType::Int,
    }];

    static LOAD: MetricEntry = MetricEntry {
        name: "system.test",
        level: Level::Enhanced,
        instrument: Instrument::Gauge,
        unit: "1",
        class: Class::Performance,
        purpose: "to test",
        doc: "A test.",
        attributes: CORE,
    };

    fn load(cores: &[Option<i64>]) -> Record {
        let mut metric = Metric::new(&LOAD);
        for core in cores {
            metric.push(Point {
                attributes: vec![core.map(candor_model::Value::Int)],
                start: None,
                time: UnixNanos(1),
                value: Number::Int(1),
            });
        }
        metric.into()
    }

    /// Gives one record of level 0, one of level 1 and one of level 2 with a level 3 attribute.
    struct Everything;

    impl Probe for Everything {
        fn name(&self) -> &'static str {
            "everything"
        }

        fn level(&self) -> Level {
            Level::Security
        }

        fn rhythm(&self) -> Rhythm {
            Rhythm::EachReport
        }

        fn report(&mut self, _: &Host, _: Moment) -> Result<Vec<Record>, ProbeError> {
            Ok(vec![Settings::default().into(), Health::default().into(), load(&[Some(0)])])
        }
    }

    fn pipeline() -> Pipeline {
        let root = tempfile::tempdir().unwrap();
        let second = Duration::from_secs(1);
        Pipeline::new(PipelineSettings {
            host: Host::new(root.path()),
            boot: "b1".into(),
            probes: vec![Box::new(Everything)],
            intervals: Intervals { sample: second, report: second },
        })
    }

    fn read(draft: &Draft) -> DecodedRecord {
        decode_body(draft.kind, &draft.body).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_round_gives_what_the_level_allows_and_counts_what_it_withholds() {
        let now = Moment { wall: UnixNanos(5_000_000_000), ..Moment::default() };
        let mut counts = Vec::new();
        for level in Level::ALL {
            let mut pipeline = pipeline();
            let drafts = pipeline.round(now, level).await;
            assert!(drafts.iter().all(|draft| draft.level <= level && &*draft.boot == "b1"));
            assert_eq!(pipeline.next_due(level), Some(Duration::from_secs(1)));
            counts.push((drafts.len(), pipeline.withheld()));
        }
        let expected = [(1, [0, 1, 1, 0]), (2, [0, 0, 1, 0]), (3, [0; 4]), (3, [0; 4])];
        assert_eq!(counts, expected);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn no_probe_of_this_build_says_what_the_catalog_does_not_know() {
        let second = Duration::from_secs(1);
        let mut pipeline = Pipeline::new(PipelineSettings {
            host: Host::live(),
            boot: "b1".into(),
            probes: candor_probes::all(&candor_probes::Settings::default()),
            intervals: Intervals { sample: second, report: second },
        });
        let at = |seconds| Moment {
            wall: UnixNanos(seconds * 1_000_000_000),
            boot: Duration::from_secs(seconds),
            monotonic: Duration::from_secs(seconds),
        };
        pipeline.sample_now(at(1_000), Level::Full).await;
        pipeline.sample_now(at(1_010), Level::Full).await;
        let drafts = pipeline.report_now(at(1_010), Level::Full).await;
        assert!(!drafts.is_empty());
        assert_eq!((pipeline.unknown(), pipeline.withheld()), (0, [0; 4]));
    }

    #[test]
    fn a_draft_waits_in_the_lane_of_the_highest_level_inside_and_says_so() {
        let mut pipeline = pipeline();
        let mut lane = |cores: &[Option<i64>], level| {
            let draft = pipeline.encode(load(cores), UnixNanos(1), level).unwrap();
            assert_eq!(read(&draft).level, Some(draft.level));
            draft.level
        };
        assert_eq!(lane(&[Some(0)], Level::Full), Level::Full);
        assert_eq!(lane(&[Some(0)], Level::Enhanced), Level::Enhanced);
        assert_eq!(lane(&[None], Level::Full), Level::Enhanced);
    }

    #[test]
    fn a_metric_without_points_makes_no_draft_and_is_not_withheld() {
        let mut pipeline = pipeline();
        assert_eq!(pipeline.encode(load(&[]), UnixNanos(1), Level::Full), None);
        let indistinct = load(&[Some(0), Some(1)]);
        assert_eq!(pipeline.encode(indistinct, UnixNanos(1), Level::Enhanced), None);
        assert_eq!(pipeline.withheld(), [0; 4]);
    }

    #[test]
    fn ids_are_version_7_of_the_time_observed_and_ascend() {
        let mut pipeline = pipeline();
        let at = UnixNanos(1_795_161_600_123_000_000);
        let mut uids = Vec::new();
        for _ in 0..100 {
            let draft = pipeline.encode(Settings::default().into(), at, Level::Full).unwrap();
            let record = read(&draft);
            assert_eq!(record.time, at);
            uids.push(record.uid.unwrap());
        }
        let mut sorted = uids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(uids, sorted);
        let uid: Uuid = uids[0].parse().unwrap();
        assert_eq!((uid.get_version_num(), uid.as_u128() >> 80), (7, 1_795_161_600_123));
    }
}
