//! The uploader: waits until there is reason to send, drains, and says how it went. One task, run
//! by `service`'s supervisor; it ends by the stop and by nothing else.
//!
//! ```text
//!             interval, security, flush
//!      +-> Idle ------------------------> drain --+-- nothing waits --> Idle
//!      |                                    ^     +-- passing trouble -> BackOff (timer)
//!      |      timer, flush, new settings    |     +-- a person must act -> Hold (probe)
//!      +------------------------------------+
//!      Off, and Hold for want of something: no timer; only settings end them
//! ```
//!
//! # Invariants
//! - Off: no packet, no DNS query, no timer; an upload under way is broken off at once.
//! - Idle keeps no socket: a link lives as long as its drain.
//! - The first drain after a start waits for a jitter of [0, min(interval, 60 s)], so that a fleet
//!   that comes back from a power cut does not come as one; only a flush goes before it.
//! - What the host runs on is asked when an upload is due; nothing is watched for it in between.
//! - Whatever goes wrong is a state and a sentence in [`UploadStatus`], never an error.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use candor_journal::Journal;
use candor_model::Level;
use candor_spool::{Ledger, Spool};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::day::Day;
use crate::decision::between;
use crate::drain::{Drain, Goal, JITTER, Memory, Outcome, Progress};
use crate::herald::{Herald, TellGaps};
use crate::inbox::Inbox;
use crate::joining::Joining;
use crate::pace::Pace;
use crate::phase::Phase;
use crate::route::Route;
use crate::schedule::Schedule;
use crate::sizing::Sizing;
use crate::timetable::{Look, Timetable};
use crate::{Command, State, Timing, Trouble, UploadSettings, UploadStatus};

/// Where the spool keeps the day's bytes.
const DAY: &str = "upload.day";
/// Where the spool keeps the size limit that a receiver taught: its endpoint and the bytes.
const LIMIT: &str = "upload.limit";

/// Uploads what waits in a spool.
pub struct Uploader {
    spool: Spool,
    timing: Timing,
    status: watch::Sender<UploadStatus>,
    tell_gaps: Option<TellGaps>,
    look: Option<Look>,
    journal: Option<Journal>,
}

impl Uploader {
    /// An uploader for a spool, and where it says how it does.
    #[must_use]
    pub fn new(spool: Spool) -> (Self, watch::Receiver<UploadStatus>) {
        let (status, seen) = watch::channel(UploadStatus {
            last_success: spool.ledger().last_upload,
            ..UploadStatus::default()
        });
        let timing = Timing::default();
        (Self { spool, timing, status, tell_gaps: None, look: None, journal: None }, seen)
    }

    /// The same with other time limits, clock and jitter.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// The same, counting on from what one before it counted that ended before its time.
    #[must_use]
    pub fn resuming(self, before: &UploadStatus) -> Self {
        self.status.send_modify(|status| {
            status.bytes_uploaded = before.bytes_uploaded;
            status.requests = before.requests;
            status.rejected = before.rejected;
            status.unreadable_answers = before.unreadable_answers;
        });
        self
    }

    /// The same with somebody who tells lost ranges before a backlog is caught up.
    #[must_use]
    pub fn with_herald(self, tell_gaps: TellGaps) -> Self {
        Self { tell_gaps: Some(tell_gaps), ..self }
    }

    /// The same with somebody who tells what the host runs on.
    #[must_use]
    pub fn with_look(self, look: Look) -> Self {
        Self { look: Some(look), ..self }
    }

    /// The same with a journal of what leaves.
    #[must_use]
    pub fn with_journal(self, journal: Journal) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// Runs until `stop` holds a budget (or its sender is gone): then what waits is sent once more,
    /// for as long as the budget lasts and only if nothing is in the way.
    ///
    /// Settings count at once; what is sent under settings that no longer allow it is broken off.
    /// A flush is answered when everything that waited is decided, or when that cannot be now.
    /// Can be dropped at any time: what was not acknowledged goes again with the same ids.
    pub async fn run(
        self,
        settings: watch::Receiver<Arc<UploadSettings>>,
        commands: mpsc::Receiver<Command>,
        stop: watch::Receiver<Option<Duration>>,
    ) {
        let mut inbox = Inbox::new(settings, commands, stop);
        let settings = inbox.settings();
        let memory = Memory {
            sizing: recall_limit(&self.spool, &settings).await,
            day: recall_day(&self.spool).await,
            failures: 0,
            last_success: self.status.borrow().last_success,
            route: Route::of(&settings),
            pace: Pace::default(),
            herald: Herald::new(self.tell_gaps),
            joining: Joining::default(),
            sent: Arc::new(AtomicU64::new(self.status.borrow().bytes_uploaded)),
            journal: self.journal,
        };
        let jitter = settings.interval.min(JITTER);
        let first = Instant::now() + between(Duration::ZERO, jitter, (self.timing.random)());
        let phase = Phase::of(&settings, first);
        let ledger = self.spool.changes();
        let running = Running {
            spool: self.spool,
            timing: self.timing,
            status: self.status,
            inbox,
            settings,
            memory,
            phase,
            ledger,
            security_seen: None,
            timetable: Timetable::new(self.look),
        };
        running.run().await;
    }
}

/// Why the uploader wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Stop,
    Settings,
    Flush,
    Due,
    Security,
}

struct Running {
    spool: Spool,
    timing: Timing,
    status: watch::Sender<UploadStatus>,
    inbox: Inbox,
    settings: Arc<UploadSettings>,
    memory: Memory,
    phase: Phase,
    ledger: watch::Receiver<Ledger>,
    /// Security records that were generated when the last drain began; `None` before the first.
    security_seen: Option<u64>,
    timetable: Timetable,
}

impl Running {
    async fn run(mut self) {
        self.survey().await;
        loop {
            self.publish();
            match self.wait().await {
                Wake::Stop => break,
                Wake::Settings => {
                    self.obey();
                    self.survey().await;
                }
                Wake::Flush => self.flush().await,
                Wake::Due => {
                    self.survey().await;
                    self.publish();
                    let now = (self.timing.wall)();
                    self.journal(move |journal| journal.tidy(now)).await;
                    self.drain(self.timetable.allowed(), false).await;
                }
                Wake::Security => {
                    self.drain(Level::Security, false).await;
                }
            }
        }
        let drained = matches!(self.phase, Phase::Idle { .. }) && self.send_last().await;
        self.answer(drained);
        self.journal(Journal::sync).await;
    }

    /// Asks what the host runs on, where that decides and anything could be sent.
    async fn survey(&mut self) {
        self.timetable.survey(self.settings.is_sparing && self.phase.can_try()).await;
    }

    /// The last upload before the end: over a metered link what cannot wait.
    async fn send_last(&mut self) -> bool {
        match self.timetable.schedule() {
            Schedule::Metered => self.drain(Level::Security, false).await,
            Schedule::Fixed | Schedule::Mains | Schedule::Battery => self.send_all(false).await,
        }
    }

    async fn wait(&mut self) -> Wake {
        loop {
            if self.inbox.stop_at.is_some() {
                return Wake::Stop;
            }
            if self.inbox.changed {
                return Wake::Settings;
            }
            if !self.inbox.flushes.is_empty() {
                return Wake::Flush;
            }
            // What came while a drain was under way has changed nothing that this would notice.
            if self.has_security() {
                return Wake::Security;
            }
            let due = self.phase.due();
            let listens = self.security_seen.is_some() && matches!(self.phase, Phase::Idle { .. });
            tokio::select! {
                biased;
                _event = self.inbox.next() => {}
                () = until(due) => return Wake::Due,
                // Without a spool there is nothing to wait for but the stop.
                changed = self.ledger.changed(), if listens => if changed.is_err() {
                    self.security_seen = None;
                },
            }
        }
    }

    fn has_security(&self) -> bool {
        let idle = matches!(self.phase, Phase::Idle { .. });
        self.security_seen.is_some_and(|seen| idle && self.security() > seen)
    }

    fn security(&self) -> u64 {
        self.ledger.borrow().generated_by_level[usize::from(Level::Security.number())]
    }

    /// New settings: what they forbid ends, and a hold or a back-off ends at once.
    fn obey(&mut self) {
        let old = Arc::clone(&self.settings);
        self.settings = self.inbox.settings();
        let now = Instant::now();
        if old.destination != self.settings.destination {
            self.memory.sizing = Sizing::new();
        }
        let route = Route::of(&self.settings);
        if !self.memory.route.is_same(&route) {
            self.memory.route = route;
        }
        self.memory.failures = 0;
        let first = match self.phase {
            Phase::Idle { next } => next.min(now + self.settings.interval),
            _ => now,
        };
        self.phase = Phase::of(&self.settings, first);
    }

    /// Who asks for a flush while it runs is answered by the next one, and so is everybody where new
    /// settings broke it off.
    async fn flush(&mut self) {
        let later = self.inbox.flushes.len();
        let drained = self.phase.can_try() && self.send_all(true).await;
        if !drained && self.inbox.changed {
            return;
        }
        let newer = self.inbox.flushes.split_off(later);
        self.answer(drained);
        self.inbox.flushes = newer;
    }

    /// Sends what waits, and what lingers on its way into the spool.
    async fn send_all(&mut self, unlimited: bool) -> bool {
        if let Err(error) = self.spool.commit().await {
            tracing::warn!(error = crate::tls::chain(&error), "what lingers is not committed");
        }
        self.drain(Level::Full, unlimited).await
    }

    /// Has the journal do something beside the runtime's thread.
    async fn journal(&self, work: impl FnOnce(&Journal) + Send + 'static) {
        if let Some(journal) = self.memory.journal.clone() {
            // What does not come about is said by the journal.
            let _done = tokio::task::spawn_blocking(move || work(&journal)).await;
        }
    }

    fn answer(&mut self, drained: bool) {
        self.publish();
        let status = self.status.borrow().clone();
        Inbox::answer(std::mem::take(&mut self.inbox.flushes), drained, &status);
    }

    /// Drains and takes up what comes of it. Whether nothing waits any more.
    async fn drain(&mut self, up_to: Level, unlimited: bool) -> bool {
        if self.memory.route.serving().is_none() {
            return false;
        }
        let (began, day, limit) = (Instant::now(), self.memory.day, self.memory.sizing.limit());
        self.ledger.mark_unchanged();
        self.security_seen = Some(self.security());
        let probe = matches!(self.phase, Phase::Hold { .. });
        let begin_with_preferred = up_to == Level::Full && !unlimited;
        let goal = Goal { up_to, unlimited, probe, begin_with_preferred };
        let requests = self.status.borrow().requests;
        let outcome = self.send(goal).await;
        let now = Instant::now();
        let drained = matches!(outcome, Outcome::Drained);
        match outcome {
            Outcome::Drained => {
                let tried = self.status.borrow().requests > requests;
                self.drained(up_to, began, tried);
            }
            Outcome::Rest { until } => {
                self.phase = Phase::Idle { next: until.min(began + self.settings.interval) };
            }
            Outcome::Trouble { wait, trouble } => self.phase = Phase::after(trouble, now + wait),
            // Disabled, perhaps: nothing is written any more.
            Outcome::Interrupted => return false,
        }
        self.note_day(day).await;
        self.note_limit(limit).await;
        drained
    }

    /// Nothing waits up to this level. Ordinary records are looked at again after an interval, also
    /// where they may not go now: the host may be on mains by then. What is in the way of them stays
    /// in the way if nothing was tried.
    fn drained(&mut self, up_to: Level, began: Instant, tried: bool) {
        let again = began + self.settings.interval;
        match &mut self.phase {
            Phase::BackOff { until, .. } if !tried && up_to < Level::Full => *until = again,
            Phase::Hold { probe, .. } if !tried && up_to < Level::Full => *probe = Some(again),
            Phase::Idle { next } if up_to < Level::Full => {
                *next = if *next > began { *next } else { again };
            }
            phase => {
                self.memory.failures = 0;
                *phase = Phase::Idle { next: again };
            }
        }
        if up_to == Level::Full {
            self.timetable.went(began);
        }
    }

    /// When records are expected to be tried next, as things are.
    fn next_attempt(&self) -> Option<Instant> {
        let due = self.phase.due()?;
        let is_idle = matches!(self.phase, Phase::Idle { .. });
        if is_idle { self.timetable.next(due, self.settings.interval) } else { Some(due) }
    }

    /// Keeps the day's bytes over a restart, if a drain spent any.
    async fn note_day(&self, before: Day) {
        if self.memory.day == before {
            return;
        }
        if let Err(error) = self.spool.set_meta(DAY, &self.memory.day.to_text()).await {
            tracing::warn!(error = crate::tls::chain(&error), "the day's bytes are not kept");
        }
    }

    /// Keeps the size limit over a restart, if a receiver taught a new one.
    async fn note_limit(&self, before: Option<usize>) {
        let limit = self.memory.sizing.limit();
        let (Some(limit), Some(to)) = (limit, &self.settings.destination) else { return };
        if before == Some(limit) {
            return;
        }
        let text = format!("{} {limit}", to.endpoint);
        if let Err(error) = self.spool.set_meta(LIMIT, &text).await {
            tracing::warn!(error = crate::tls::chain(&error), "the size limit is not kept");
        }
    }

    async fn send(&mut self, goal: Goal) -> Outcome {
        let settings = Arc::clone(&self.settings);
        let drain = Drain {
            spool: &self.spool,
            settings: &settings,
            timing: &self.timing,
            status: &self.status,
            memory: &mut self.memory,
            goal,
            progress: Progress::default(),
        };
        drain.run(&mut self.inbox).await
    }

    /// Says how things are, and logs it where that has changed.
    fn publish(&self) {
        let wall = (self.timing.wall)();
        let next = self.next_attempt().map(|due| due.saturating_duration_since(Instant::now()));
        let (state, trouble) = (self.phase.state(), self.phase.trouble());
        self.status.send_if_modified(|status| {
            let endpoint = self.memory.route.serving().map(|to| to.endpoint.to_string());
            let changed = status.state != state || status.trouble.as_ref() != trouble;
            if changed {
                tell(state, trouble);
            }
            status.state = state;
            status.trouble = trouble.cloned();
            status.endpoint = endpoint;
            status.schedule = self.timetable.schedule();
            status.next_attempt = next.and_then(|next| wall.checked_add(next));
            true
        });
    }
}

/// The day's bytes from before the start. Where they are not known, the day begins anew.
async fn recall_day(spool: &Spool) -> Day {
    let kept = spool.meta(DAY).await.ok().flatten();
    kept.and_then(|text| Day::from_text(&text)).unwrap_or_default()
}

/// The size limit that this destination taught before the start.
async fn recall_limit(spool: &Spool, settings: &UploadSettings) -> Sizing {
    let kept = spool.meta(LIMIT).await.ok().flatten();
    let limit = kept.as_deref().zip(settings.destination.as_ref()).and_then(|(text, to)| {
        let (endpoint, bytes) = text.rsplit_once(' ')?;
        bytes.parse().ok().filter(|_| endpoint == to.endpoint.to_string())
    });
    limit.map_or_else(Sizing::new, Sizing::with_limit)
}

fn tell(state: State, trouble: Option<&Trouble>) {
    let Some(trouble) = trouble else {
        tracing::info!(state = state.word(), "upload");
        return;
    };
    tracing::warn!(
        state = state.word(),
        reason = trouble.reason.word(),
        detail = trouble.detail,
        remedy = trouble.remedy,
        "upload"
    );
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
