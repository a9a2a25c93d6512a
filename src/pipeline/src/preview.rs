//! What would be sent at a level, made by the sender's own code, without a daemon and without
//! sending.
//!
//! # Invariants
//! - The drafts come out of the same [`Pipeline`] that the daemon uses.
//! - Nothing is kept: neither spool nor state directory is touched.

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
    /// The id of this boot, as it would leave; may be empty.
    pub boot: Arc<str>,
}

/// One full round of all probes at `level`: two samples, then a report. Takes a little over 200 ms,
/// and as long as the slowest probe's deadline where one hangs. Wants a tokio runtime with time.
pub async fn preview(host: Host, level: Level, facts: AgentFacts) -> Vec<Draft> {
    preview_of(host, candor_probes::all(), level, facts).await
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
    pipeline.sample_now(moment(&clock), level).await;
    tokio::time::sleep(BETWEEN_SAMPLES).await;
    pipeline.sample_now(moment(&clock), level).await;

    let now = moment(&clock);
    let own = [facts.settings.map(Record::from), facts.health.map(Record::from)];
    let own = own.into_iter().flatten();
    let mut drafts: Vec<_> =
        own.filter_map(|record| pipeline.encode(record, now.wall, level)).collect();
    drafts.extend(pipeline.report_now(now, level).await);
    drafts
}
