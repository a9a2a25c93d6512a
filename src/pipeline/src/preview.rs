//! What would be sent at a level, made by the sender's own code, without a daemon and without
//! sending.
//!
//! # Invariants
//! - The drafts come out of the same [`Pipeline`] that the daemon uses.
//! - Nothing is kept: neither spool nor state directory is touched.
//! - It shows what a running agent sends, whose reports have an earlier one to compare with: two reports
//!   are made, and of each record the one that says more is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use candor_model::events::agent::{Health, Settings};
use candor_model::{Draft, Level, Record};
use candor_platform::SystemClock;
use candor_probes::{Host, Intervals, Probe};

use crate::{Pipeline, PipelineSettings, moment};

/// Between the two samples of which rates are made: short enough to wait for.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(200);

/// What only the agent knows of itself; `None` where nobody can tell.
#[derive(Clone, Debug, Default)]
pub struct AgentFacts {
    /// `candor.agent.settings`.
    pub settings: Option<Settings>,
    /// `candor.telemetry.health`.
    pub health: Option<Health>,
    /// What the probes are told: the installation's ids, where they may be known, and its switches.
    pub probes: candor_probes::Settings,
    /// The id of this boot, as it would leave; may be empty.
    pub boot: Arc<str>,
    /// Events and metrics that are off, by their names in the catalog.
    pub off: Arc<BTreeSet<String>>,
}

/// One full round of all probes at `level`: two samples and a report, then another report, for what is told
/// by comparing two. Takes a little over 400 ms, and as long as the slowest probe's deadline where one
/// hangs. Wants a tokio runtime with time.
pub async fn preview(host: Host, level: Level, facts: AgentFacts) -> Vec<Draft> {
    let probes = candor_probes::all(&facts.probes);
    preview_of(host, probes, level, facts).await
}

async fn preview_of(
    host: Host,
    probes: Vec<Box<dyn Probe>>,
    level: Level,
    facts: AgentFacts,
) -> Vec<Draft> {
    let clock = SystemClock;
    let intervals = Intervals { sample: BETWEEN_SAMPLES, report: BETWEEN_SAMPLES };
    let mut pipeline =
        Pipeline::new(PipelineSettings { host, boot: facts.boot, probes, intervals });
    pipeline.set_off(facts.off);
    pipeline.sample_now(moment(&clock), level).await;
    tokio::time::sleep(BETWEEN_SAMPLES).await;
    pipeline.sample_now(moment(&clock), level).await;

    let now = moment(&clock);
    let own = [facts.settings.map(Record::from), facts.health.map(Record::from)];
    let own = own.into_iter().flatten();
    let mut drafts: Vec<_> =
        own.filter_map(|record| pipeline.encode(record, now.wall, level)).collect();
    let first = pipeline.records_now(now, level).await;
    tokio::time::sleep(BETWEEN_SAMPLES).await;
    let then = moment(&clock);
    pipeline.sample_now(then, level).await;
    let second = pipeline.records_now(then, level).await;
    let (first, second) = fuller(first, second);
    drafts.extend(pipeline.encode_all(first, now, level));
    drafts.extend(pipeline.encode_all(second, then, level));
    drafts
}

/// Of two reports what is shown: what happened, of both; what is, from the one that says more of it, and
/// where they say as much from the first, whose windows had two samples.
fn fuller(first: Vec<Record>, second: Vec<Record>) -> (Vec<Record>, Vec<Record>) {
    let (was, is) = (said(&first), said(&second));
    let says_more = |name: &str| is.get(name) > was.get(name);
    let keep = |records: Vec<Record>, is_shown: &dyn Fn(&str) -> bool| {
        let shown = |record: &Record| happened(record) || is_shown(record.name());
        records.into_iter().filter(shown).collect()
    };
    (keep(first, &|name| !says_more(name)), keep(second, &says_more))
}

/// Something that happened at a time of its own, rather than something that is.
fn happened(record: &Record) -> bool {
    matches!(record, Record::Event(event) if event.time().is_some())
}

/// How much is said under each name: fields, or points.
fn said(records: &[Record]) -> BTreeMap<String, usize> {
    let mut said = BTreeMap::new();
    for record in records.iter().filter(|record| !happened(record)) {
        let more = match record {
            Record::Event(event) => event.fields().count(),
            Record::Metric(metric) => metric.points().len(),
            // No probe gives one.
            Record::Provided(_) => 0,
        };
        *said.entry(record.name().to_owned()).or_default() += more;
    }
    said
}

#[cfg(test)]
mod tests {
    use candor_model::{EventDef as _, Value};
    use candor_otlp::{decode_body, json};
    use candor_probes::{Moment, ProbeError, Rhythm};

    use super::*;

    /// Tells how often it sampled.
    struct Counting(u64);

    impl Probe for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn level(&self) -> Level {
            Level::Basic
        }

        fn rhythm(&self) -> Rhythm {
            Rhythm::Sampled
        }

        fn sample(&mut self, _: &Host, _: Moment) -> Result<(), ProbeError> {
            self.0 += 1;
            Ok(())
        }

        fn report(&mut self, _: &Host, _: Moment) -> Result<Vec<Record>, ProbeError> {
            Ok(vec![Health { generated: Some(self.0), ..Health::default() }.into()])
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_probe_samples_twice_before_it_reports_so_that_rates_exist() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let probes: Vec<Box<dyn Probe>> = vec![Box::new(Counting(0))];
        let drafts = preview_of(host, probes, Level::Basic, AgentFacts::default()).await;
        let [draft] = drafts.as_slice() else { panic!("one draft") };
        let record = decode_body(draft.kind, &draft.body).unwrap();
        assert!(record.attributes.contains(&("generated".to_owned(), Value::Int(2))));
    }

    /// Like the table of processes: the second report says more. And like the log: a line is told once.
    struct Comparing(u64);

    impl Probe for Comparing {
        fn name(&self) -> &'static str {
            "comparing"
        }

        fn level(&self) -> Level {
            Level::Basic
        }

        fn rhythm(&self) -> Rhythm {
            Rhythm::EachReport
        }

        fn report(&mut self, _: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
            self.0 += 1;
            let cpu_ms = (self.0 > 1).then_some(self.0);
            let state = Health { pending: Some(self.0), cpu_ms, ..Health::default() };
            let settings = Settings { pins: Some(1), ..Settings::default() };
            let once = (self.0 == 1).then(|| settings.into_event().at(now.wall).into());
            Ok([state.into()].into_iter().chain(once).collect())
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn of_two_reports_the_fuller_is_shown_and_what_happened_is_shown_once() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let probes: Vec<Box<dyn Probe>> = vec![Box::new(Comparing(0))];
        let drafts = preview_of(host, probes, Level::Basic, AgentFacts::default()).await;
        let records = drafts.iter().map(|draft| decode_body(draft.kind, &draft.body).unwrap());
        let [line, state] = records.collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(
            (&*line.name, &*state.name),
            ("candor.agent.settings", "candor.telemetry.health")
        );
        assert!(state.attributes.contains(&("cpu_ms".to_owned(), Value::Int(2))), "{state:?}");
    }

    fn facts() -> AgentFacts {
        AgentFacts {
            settings: Some(Settings::default()),
            health: Some(Health::default()),
            probes: candor_probes::Settings::default(),
            boot: "b".into(),
            off: Arc::default(),
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn each_level_shows_what_the_one_below_shows_and_nothing_above_itself() {
        let mut below = BTreeSet::new();
        for level in Level::ALL {
            let mut names = BTreeSet::new();
            // What is told of work that is done, such as a disk's latency, waits for some on an idle host.
            for look in 1.. {
                for draft in preview(Host::live(), level, facts()).await {
                    let record = decode_body(draft.kind, &draft.body).unwrap();
                    assert!(record.level.unwrap() <= level, "{}", record.name);
                    assert!(json::to_json(&record)["time"].is_string(), "{}", record.name);
                    names.insert(record.name);
                }
                if names.is_superset(&below) {
                    break;
                }
                assert!(look < 100, "{level} lacks {:?}", &below - &names);
            }
            below = names;
        }
        assert!(
            below.contains("candor.agent.settings") && below.contains("candor.telemetry.health")
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_switched_off_is_not_shown() {
        let root = tempfile::tempdir().unwrap();
        let off = Arc::new(["candor.agent.settings".to_owned()].into());
        let facts = AgentFacts { off, ..facts() };
        let drafts = preview_of(Host::new(root.path()), Vec::new(), Level::Full, facts).await;
        let names = drafts.iter().map(|draft| decode_body(draft.kind, &draft.body).unwrap().name);
        assert_eq!(names.collect::<Vec<_>>(), ["candor.telemetry.health"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_nobody_can_tell_is_not_shown() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let drafts = preview_of(host, Vec::new(), Level::Full, AgentFacts::default()).await;
        assert_eq!(drafts, []);
    }
}
