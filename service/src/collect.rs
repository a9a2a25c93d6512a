//! The collecting task: runs the probes when they are due, sends what they say through the pipeline,
//! and hands it to the spool.
//!
//! # Invariants
//! - A record is encoded at the level that holds at that moment; a change of level between the probe
//!   and the spool takes the record away, at the gate or at the spool's ceiling.
//! - Without an endpoint nothing is collected, unless `spool.keep_without_endpoint` asks for it.
//! - Security records are committed at once; everything else lingers with the spool.
//!
//! A spool that cannot commit is said in the log, once for each change of its state.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use candor_model::events::agent::FailedProbe;
use candor_model::{Draft, Level, Record};
use candor_pipeline::{Pipeline, moment};
use candor_platform::Clock;
use candor_probes::ProbeStatus;
use candor_spool::{Spool, Urgency};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::own::Shared;
use crate::plan::{Collecting, Plan};

/// What the collecting task is asked.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Report what was sampled so far, now, and commit it; then collect nothing more until the
    /// engine starts anew, if `last`.
    Report { last: bool, done: oneshot::Sender<()> },
    /// These changes were made; tell them.
    Tell(Vec<Record>, oneshot::Sender<()>),
}

/// The probes, the pipeline and where their records go.
pub(crate) struct Collect {
    pub(crate) pipeline: Pipeline,
    pub(crate) spool: Spool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) statuses: Rc<RefCell<Vec<ProbeStatus>>>,
    pub(crate) failed: Shared<Vec<FailedProbe>>,
}

/// What woke the task.
enum Wake {
    Due,
    Plan,
    Ask(Option<Ask>),
}

impl Collect {
    /// Runs until nobody can ask any more.
    pub(crate) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let mut is_over = false;
        self.obey();
        loop {
            match self.wait(&mut asks, is_over).await {
                Wake::Due => self.round().await,
                Wake::Plan => self.obey(),
                Wake::Ask(Some(Ask::Report { last, done })) => {
                    self.report().await;
                    is_over |= last;
                    // Who no longer waits need not be told.
                    let _gone = done.send(());
                }
                Wake::Ask(Some(Ask::Tell(records, done))) => {
                    self.told(records).await;
                    let _gone = done.send(());
                }
                Wake::Ask(None) => return,
            }
        }
    }

    async fn wait(&mut self, asks: &mut mpsc::Receiver<Ask>, is_over: bool) -> Wake {
        let due = self.until_due().filter(|_| !is_over);
        tokio::select! {
            biased;
            ask = asks.recv() => Wake::Ask(ask),
            changed = self.plan.changed() => if changed.is_ok() { Wake::Plan } else { Wake::Ask(None) },
            () = nap(due) => Wake::Due,
        }
    }

    /// How long until a probe is due; `None` while nothing is collected.
    fn until_due(&self) -> Option<Duration> {
        let collecting = self.collecting();
        let due = self.pipeline.next_due(collecting.level).filter(|_| collecting.has_receiver)?;
        Some(due.saturating_sub(self.clock.boot()))
    }

    fn collecting(&self) -> Collecting {
        self.plan.borrow().collecting
    }

    fn obey(&mut self) {
        let intervals = { self.plan.borrow_and_update().collecting.intervals };
        self.pipeline.set_intervals(intervals, moment(&*self.clock));
    }

    async fn round(&mut self) {
        let level = self.collecting().level;
        let drafts = self.pipeline.round(moment(&*self.clock), level).await;
        self.note(level);
        self.keep(drafts).await;
    }

    async fn report(&mut self) {
        let collecting = self.collecting();
        if collecting.has_receiver {
            let drafts = self.pipeline.report_now(moment(&*self.clock), collecting.level).await;
            self.note(collecting.level);
            self.keep(drafts).await;
        }
        if let Err(error) = self.spool.commit().await {
            tracing::warn!(%error, "what lingered could not be committed");
        }
    }

    async fn told(&mut self, records: Vec<Record>) {
        let (now, level) = (moment(&*self.clock).wall, self.collecting().level);
        let drafts =
            records.into_iter().filter_map(|record| self.pipeline.encode(record, now, level));
        let drafts = drafts.collect();
        self.keep(drafts).await;
    }

    /// Keeps what is known of the probes where `status` and the health event look.
    fn note(&self, level: Level) {
        let statuses = self.pipeline.statuses(level);
        let failed = statuses.iter().filter(|status| status.failures > 0);
        self.failed.set(
            failed
                .map(|status| FailedProbe { name: status.name, failures: status.failures })
                .collect(),
        );
        self.statuses.replace(statuses);
    }

    async fn keep(&self, drafts: Vec<Draft>) {
        if drafts.is_empty() {
            return;
        }
        let is_urgent = drafts.iter().any(|draft| draft.level == Level::Security);
        let urgency = if is_urgent { Urgency::Now } else { Urgency::Linger };
        if let Err(error) = self.spool.append(drafts, urgency).await {
            tracing::warn!(%error, "records could not be kept");
        }
    }
}

/// Sleeps so long, or for ever.
async fn nap(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
