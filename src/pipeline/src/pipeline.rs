//! The pipeline itself: rounds of the probes in, drafts out.
//!
//! # Invariants
//! - A record's id is a UUID v7 of the moment at which it was observed; ids made here ascend.
//! - A metric that has no point (left) says nothing and makes no draft.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use candor_model::{Draft, Level, Record, UnixNanos};
use candor_otlp::{Stamp, encode};
use candor_privacy::{Admitted, Counts, Door, Scrubber};
use candor_probes::{Host, Intervals, Moment, Probe, ProbeStatus, Runner};
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
        let scrubber = Scrubber::new(accounts::of(&settings.host));
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
        let records = self.runner.report_now(now, level).await;
        self.encoder.encode_all(records, now.wall, level)
    }

    /// When [`Pipeline::round`] is wanted next, by the boot clock; an instant in the past means at
    /// once, `None` that the level allows nothing.
    #[must_use]
    pub fn next_due(&self, level: Level) -> Option<Duration> {
        self.runner.next_due(level)
    }

    /// Takes over changed intervals.
    pub fn set_intervals(&mut self, intervals: Intervals, now: Moment) {
        self.runner.set_intervals(intervals, now);
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

    /// Records that the level withheld since the agent started, by their own level.
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
