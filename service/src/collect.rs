//! The collecting task: runs the probes when they are due, sends what they say through the pipeline,
//! and hands it to the spool.
//!
//! # Invariants
//! - A record is encoded at the level that holds at that moment; a change of level between the probe
//!   and the spool takes the record away, at the gate or at the spool's ceiling.
//! - What changes on the host is listened to while something is collected, and no longer.
//! - Without an endpoint nothing is collected, unless `spool.keep_without_endpoint` asks for it.
//! - Security records are committed at once; everything else lingers with the spool.
//! - A change on the audit trail is told once it is kept: the store remembers how many were. Nobody
//!   waits for it, so a probe that hangs holds up no change.
//! - Lost ranges are told when the uploader asks, and forgotten in the transaction that commits what
//!   tells them; the same holds for changes. A crash tells nothing twice.
//!
//! A spool that cannot commit is said in the log, once for each change of its state.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use candor_model::events::agent::FailedProbe;
use candor_model::{Draft, Level};
use candor_pipeline::{Pipeline, moment};
use candor_platform::Clock;
use candor_policy::trail::Trail;
use candor_probes::{Changes, Host, ProbeStatus, Watch};
use candor_spool::{Spool, SpoolError, Then, Urgency};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::own::Shared;
use crate::plan::{Collecting, Plan};
use crate::tell::{gap_event, untold};

/// How many lines of the trail were told, in the store.
const TOLD: &str = "trail_told";

/// Asks the collecting task to report what was sampled so far, now, and to commit it.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Collect nothing more until the engine starts anew.
    pub(crate) last: bool,
    /// Told when it is committed.
    pub(crate) done: oneshot::Sender<()>,
}

/// The probes, the pipeline and where their records go.
pub(crate) struct Collect {
    pub(crate) pipeline: Pipeline,
    /// The host that the probes look at.
    pub(crate) host: Host,
    pub(crate) spool: Spool,
    pub(crate) trail: Trail,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) statuses: Rc<RefCell<Vec<ProbeStatus>>>,
    pub(crate) failed: Shared<Vec<FailedProbe>>,
    /// Records that the gate did not let pass, since this task started.
    pub(crate) withheld: Rc<Cell<u64>>,
    /// Where the uploader asks for lost ranges to be told; one place for every run of this task.
    pub(crate) gaps: GapAsks,
    /// Listens for changes of the host, at the level with it.
    pub(crate) watch: Option<(Level, Watch)>,
}

/// What the uploader asks, through all restarts of the task that answers.
pub(crate) type GapAsks = Rc<Mutex<mpsc::Receiver<oneshot::Sender<()>>>>;

/// What woke the task.
enum Wake {
    Due,
    Plan,
    Changed(Changes),
    Gaps(oneshot::Sender<()>),
    Ask(Option<Ask>),
}

impl Collect {
    /// Runs until nobody can ask any more.
    pub(crate) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let mut is_over = false;
        let gaps = Rc::clone(&self.gaps);
        // Held by nobody else: a run of this task that panicked has let it go.
        let mut gaps = gaps.lock().await;
        self.obey().await;
        loop {
            match self.wait(&mut asks, &mut gaps, is_over).await {
                Wake::Due => self.round().await,
                Wake::Plan => self.obey().await,
                // What is due by it is due at once: the next turn does it.
                Wake::Changed(changes) => self.pipeline.note(changes),
                Wake::Gaps(done) => {
                    if let Err(error) = self.tell_gaps().await {
                        tracing::warn!(%error, "lost ranges are told later");
                    }
                    let _gone = done.send(());
                }
                Wake::Ask(Some(Ask { last, done })) => {
                    self.report().await;
                    is_over |= last;
                    if is_over {
                        self.watch = None;
                    }
                    // Who no longer waits need not be told.
                    let _gone = done.send(());
                }
                Wake::Ask(None) => {
                    // The last upload waits for no answer that cannot come.
                    gaps.close();
                    while gaps.try_recv().is_ok() {}
                    return;
                }
            }
        }
    }

    async fn wait(
        &mut self,
        asks: &mut mpsc::Receiver<Ask>,
        gaps: &mut mpsc::Receiver<oneshot::Sender<()>>,
        is_over: bool,
    ) -> Wake {
        let due = self.until_due().filter(|_| !is_over);
        tokio::select! {
            biased;
            // First, so that a report holds what changed before it was asked for.
            changed = self.plan.changed() => if changed.is_ok() { Wake::Plan } else { Wake::Ask(None) },
            ask = asks.recv() => Wake::Ask(ask),
            Some(done) = gaps.recv() => Wake::Gaps(done),
            changes = changed(self.watch.as_mut()) => Wake::Changed(changes),
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

    /// Takes over a changed plan, and tells the changes that brought it.
    async fn obey(&mut self) {
        let (collecting, off) = {
            let plan = self.plan.borrow_and_update();
            (plan.collecting, Arc::clone(&plan.off))
        };
        self.listen(collecting);
        self.pipeline.set_off(off);
        self.pipeline.set_intervals(collecting.intervals, moment(&*self.clock));
        if collecting.has_receiver
            && let Err(error) = self.tell(collecting.level).await
        {
            tracing::warn!(%error, "changes are told later");
        }
    }

    /// Listens for what the level wants to know, if anybody does.
    fn listen(&mut self, Collecting { level, has_receiver, .. }: Collecting) {
        if !has_receiver {
            self.watch = None;
        } else if self.watch.as_ref().is_none_or(|(listened, _)| *listened != level) {
            self.watch = Some((level, Watch::open(&self.host, level)));
        }
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

    /// Tells every change on the trail that was not told yet.
    async fn tell(&mut self, level: Level) -> Result<(), SpoolError> {
        let entries = self.trail.entries();
        let told = self.spool.meta(TOLD).await?;
        let told = told.and_then(|told| told.parse().ok()).unwrap_or(0);
        let now = moment(&*self.clock).wall;
        let records = untold(&entries, told).into_iter();
        let drafts = records.filter_map(|record| self.pipeline.encode(record, now, level));
        let drafts: Vec<_> = drafts.collect();
        let (key, value) = (TOLD.to_owned(), entries.len().to_string());
        if drafts.is_empty() {
            return self.spool.set_meta(&key, &value).await;
        }
        self.spool.append_then(drafts, Then::Meta { key, value }).await
    }

    /// Tells every range of numbers that was dropped and not told yet.
    async fn tell_gaps(&mut self) -> Result<(), SpoolError> {
        let (now, level) = (moment(&*self.clock).wall, self.collecting().level);
        let gaps = self.spool.gaps().await?;
        let records = gaps.iter().map(gap_event);
        let drafts = records.filter_map(|record| self.pipeline.encode(record, now, level));
        let drafts: Vec<_> = drafts.collect();
        if drafts.is_empty() {
            return Ok(());
        }
        self.spool.append_then(drafts, Then::GapsTold(gaps)).await
    }

    /// Keeps what is known of the probes where `status` and the health event look.
    fn note(&self, level: Level) {
        self.withheld.set(self.pipeline.withheld().iter().sum());
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

/// What changes next; for ever nothing where nobody listens.
async fn changed(watch: Option<&mut (Level, Watch)>) -> Changes {
    match watch {
        Some((_, watch)) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Sleeps so long, or for ever.
async fn nap(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
