//! Empties the spool: parcel by parcel to the endpoint, each answer to the ledger, until nothing
//! waits or something is in the way. `uploader` says when.
//!
//! ```text
//! next parcel -> size -> body -> day's bytes? -> send -> decide -> settle -+
//!      ^                                                                               |
//!      +-- rest? <- lost ranges told (once, after the first success) <-----------------+
//! an endpoint that is out -> the next one of the route -> the same again
//! ```
//!
//! # Invariants
//! - A row leaves the spool only by [`settle`](Drain::settle), after an answer. What is broken off
//!   stays, and goes again with the same ids.
//! - Sending can be broken off at once; settling is never broken off.
//! - A parcel's rows are let go before its body is sent, so that at most two copies are held then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use candor_journal::Journal;
use candor_model::{DropReason, Level};
use candor_spool::{Parcel, Row, RowId, Spool, SpoolError, Want};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::body::{BodyError, make};
use crate::courier::Courier;
use crate::day::Day;
use crate::decision::{self, Decision, Now, between, decide, is_outage};
use crate::herald::Herald;
use crate::http::Post;
use crate::inbox::Inbox;
use crate::joining::Joining;
use crate::logbook::runs;
use crate::pace::Pace;
use crate::route::Route;
use crate::sizing::Sizing;
use crate::{
    Compression, Destination, Endpoint, Reason, State, Timing, Trouble, UploadSettings,
    UploadStatus,
};

/// The longest jitter: of the first upload after a start, and of a catch-up after an outage.
pub(crate) const JITTER: Duration = Duration::from_mins(1);

/// What the uploader remembers from one drain to the next.
pub(crate) struct Memory {
    pub(crate) sizing: Sizing,
    pub(crate) day: Day,
    /// Back-offs in a row.
    pub(crate) failures: u32,
    pub(crate) last_success: Option<SystemTime>,
    pub(crate) route: Route,
    pub(crate) pace: Pace,
    pub(crate) herald: Herald,
    pub(crate) joining: Joining,
    /// Bytes written to the network.
    pub(crate) sent: Arc<AtomicU64>,
    /// Where every request is written down.
    pub(crate) journal: Option<Journal>,
}

/// What a drain is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// Lanes above are left alone.
    pub(crate) up_to: Level,
    /// The day limit does not count.
    pub(crate) unlimited: bool,
    /// The first request is one row: a hold is probed.
    pub(crate) probe: bool,
    /// Also where another endpoint serves.
    pub(crate) begin_with_preferred: bool,
}

/// How a drain ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing waits.
    Drained,
    /// Something is in the way: what, and when to try again.
    Trouble { wait: Duration, trouble: Trouble },
    /// What waits is old, and enough of it went for now.
    Rest { until: Instant },
    /// Settings, or the stop, broke it off.
    Interrupted,
}

/// One drain.
pub(crate) struct Drain<'a> {
    pub(crate) spool: &'a Spool,
    pub(crate) settings: &'a UploadSettings,
    pub(crate) timing: &'a Timing,
    pub(crate) status: &'a watch::Sender<UploadStatus>,
    pub(crate) memory: &'a mut Memory,
    pub(crate) goal: Goal,
    pub(crate) progress: Progress,
}

/// What a drain has come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    reception: Reception,
    /// It was the first success after a back-off.
    reconnected: bool,
    /// The last answer says that its endpoint is out.
    outage: bool,
    /// Only security records go any more; everything else from then on.
    resting: Option<Instant>,
}

/// Whether somebody listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reception {
    /// Not yet known.
    #[default]
    Awaited,
    /// A receiver took records.
    Received,
    /// And lost ranges were told, or need not be.
    Told,
    /// And there is more to tell, at the end.
    LastWords,
    /// And that was told too.
    Silent,
}

/// Settings, or the stop, came in between.
struct Interrupted;

/// Why a request was not made.
enum Unposted {
    /// This row cannot be read.
    Row(RowId),
    /// Something else is in the way.
    Trouble(Outcome),
}

/// What was sent, without the rows' bytes.
struct Sent {
    rows: Vec<RowId>,
    records: u64,
    bytes: usize,
}

impl Drain<'_> {
    /// Sends until nothing waits or something is in the way at every endpoint.
    pub(crate) async fn run(mut self, inbox: &mut Inbox) -> Outcome {
        let mut preferred = Outcome::Interrupted;
        for place in self.memory.route.order(self.goal.begin_with_preferred) {
            let Some(destination) = self.memory.route.at(place).cloned() else { break };
            let outcome = self.serve(&destination, inbox).await;
            if !matches!(outcome, Outcome::Trouble { .. }) {
                return outcome;
            }
            let is_preferred = place == 0;
            if is_preferred {
                preferred = outcome;
                // What it says of its own counts; only an outage lets others in.
                if !self.progress.outage {
                    break;
                }
            } else if let Outcome::Trouble { trouble, .. } = outcome {
                tracing::debug!(endpoint = %destination.endpoint, %trouble, "no way to a fallback");
            }
        }
        self.memory.route.prefer();
        if matches!(&preferred, Outcome::Trouble { trouble, .. } if !trouble.reason.holds()) {
            self.memory.failures = self.memory.failures.saturating_add(1);
        }
        preferred
    }

    /// Sends to one endpoint.
    async fn serve(&mut self, destination: &Destination, inbox: &mut Inbox) -> Outcome {
        let sent = Arc::clone(&self.memory.sent);
        let journal = self.memory.journal.clone();
        let courier = Courier::new(destination, self.timing, &sent);
        let mut courier = courier.with_journal(journal.as_ref());
        self.progress.outage = false;
        self.memory.joining.begin(&destination.endpoint);
        let outcome = self.empty(&mut courier, inbox).await;
        if !matches!(outcome, Outcome::Interrupted) {
            courier.close().await;
        }
        outcome
    }

    async fn empty(&mut self, courier: &mut Courier<'_>, inbox: &mut Inbox) -> Outcome {
        loop {
            if inbox.is_over() {
                return Outcome::Interrupted;
            }
            match self.spool.next(self.want()).await {
                Ok(None) if self.progress.resting.is_none() && self.has_last_words() => {}
                Ok(None) => {
                    let rest = |until| Outcome::Rest { until };
                    return self.progress.resting.map_or(Outcome::Drained, rest);
                }
                Ok(Some(parcel)) => {
                    if let Some(outcome) = self.deliver(parcel, courier, inbox).await {
                        return outcome;
                    }
                }
                Err(error) => return self.store_failed(&error),
            }
            self.goal.probe = false;
            if self.tell_gaps(inbox).await.is_err() {
                return Outcome::Interrupted;
            }
            self.progress.resting = self.progress.resting.or_else(|| self.rest());
        }
    }

    fn want(&self) -> Want {
        let max_bytes = if self.goal.probe { 1 } else { self.memory.sizing.bytes() };
        let up_to = match self.progress.resting {
            Some(_) => Level::Security,
            None => self.goal.up_to.min(self.settings.ceiling),
        };
        Want { max_bytes, up_to }
    }

    /// Whether this drain itself lost records, and has not yet told so.
    fn has_last_words(&mut self) -> bool {
        let has = self.progress.reception == Reception::Told && self.spool.ledger().gaps > 0;
        if has {
            self.progress.reception = Reception::LastWords;
        }
        has
    }

    /// Somebody listens again: what is lost is told before what is old. What was lost on the way is
    /// told at the end, once: a receiver that refuses even that is not told for ever.
    async fn tell_gaps(&mut self, inbox: &mut Inbox) -> Result<(), Interrupted> {
        let next = match self.progress.reception {
            Reception::Received => Reception::Told,
            Reception::LastWords => Reception::Silent,
            Reception::Awaited | Reception::Told | Reception::Silent => return Ok(()),
        };
        self.progress.reception = next;
        if self.spool.ledger().gaps == 0 {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = inbox.interruption(self.settings) => Err(Interrupted),
            () = self.memory.herald.tell() => Ok(()),
        }
    }

    /// Until when a backlog rests, if it must.
    fn rest(&mut self) -> Option<Instant> {
        let received = self.progress.reception != Reception::Awaited;
        if self.goal.unlimited || !received || !self.is_backlog() {
            return None;
        }
        let now = Instant::now();
        if std::mem::take(&mut self.progress.reconnected) {
            let jitter = self.settings.interval.min(JITTER);
            return Some(now + between(Duration::ZERO, jitter, (self.timing.random)()));
        }
        self.memory.pace.rest(now)
    }

    /// Whether ordinary records wait for longer than an interval.
    fn is_backlog(&self) -> bool {
        let oldest = self.spool.ledger().oldest.filter(|_| self.goal.up_to > Level::Security);
        let age = oldest.and_then(|oldest| (self.timing.wall)().duration_since(oldest).ok());
        age.is_some_and(|age| age > self.settings.interval)
    }

    /// One parcel there and its answer back; `Some` ends the drain.
    async fn deliver(
        &mut self,
        parcel: Parcel,
        courier: &mut Courier<'_>,
        inbox: &mut Inbox,
    ) -> Option<Outcome> {
        let mut parcel = parcel;
        parcel.rows.truncate(self.memory.sizing.rows());
        let sent = Sent::of(&parcel.rows);
        let post = match self.post(parcel) {
            Ok(post) => post,
            Err(Unposted::Row(id)) => return self.unreadable(id).await,
            Err(Unposted::Trouble(outcome)) => return Some(outcome),
        };
        self.status.send_modify(|status| status.last_attempt = Some((self.timing.wall)()));
        let before = self.memory.sent.load(Ordering::Relaxed);
        let (began, is_backlog) = (Instant::now(), self.is_backlog());
        let answer = tokio::select! {
            biased;
            () = inbox.interruption(self.settings) => None,
            answer = courier.send(&post) => Some(answer),
        };
        self.count(before, courier);
        if is_backlog {
            self.memory.pace.spend(began, Instant::now());
        }
        match answer {
            None => Some(Outcome::Interrupted),
            Some(answer) => {
                self.progress.outage = is_outage(&answer);
                self.settle(&answer, &sent, courier.endpoint()).await
            }
        }
    }

    /// The request for these rows, if the day has room for it.
    fn post(&self, parcel: Parcel) -> Result<Post, Unposted> {
        let (compression, form) = (self.compression(), self.memory.joining.form());
        let body = make(&self.settings.resource, &parcel.rows, compression, form);
        let (kind, runs) = (parcel.kind, runs(&parcel.rows));
        drop(parcel);
        let body = body.map_err(|error| match error {
            BodyError::Row { id, source } => {
                tracing::error!(error = crate::tls::chain(&source), "a row is not delivered");
                Unposted::Row(id)
            }
            error @ BodyError::Compression(_) => Unposted::Trouble(
                self.back_off(Trouble::new(Reason::Store, crate::tls::chain(&error))),
            ),
        })?;
        self.admit(body.len()).map_err(Unposted::Trouble)?;
        Ok(Post { kind, body: body.into(), compression, runs })
    }

    /// A row that nobody can read is counted out.
    async fn unreadable(&self, row: RowId) -> Option<Outcome> {
        let dropped = self.spool.drop_rows(&[row], DropReason::Corrupt).await;
        dropped.err().map(|error| self.store_failed(&error))
    }

    fn compression(&self) -> Compression {
        self.settings.destination.as_ref().map(|to| to.compression).unwrap_or_default()
    }

    fn admit(&self, bytes: usize) -> Result<(), Outcome> {
        let limit = self.settings.max_bytes_per_day.filter(|_| !self.goal.unlimited);
        let Some(limit) = limit else { return Ok(()) };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.memory.day.admits(bytes, limit, (self.timing.wall)()).map_err(|wait| {
            let detail = format!("upload.max_bytes_per_day ({limit} bytes) is spent");
            Outcome::Trouble { wait, trouble: Trouble::new(Reason::DayLimit, detail) }
        })
    }

    /// Books what the network saw of an attempt, whatever became of it.
    fn count(&mut self, before: u64, courier: &Courier<'_>) {
        let total = self.memory.sent.load(Ordering::Relaxed);
        self.memory.day.spend(total.saturating_sub(before), (self.timing.wall)());
        self.status.send_modify(|status| {
            status.bytes_uploaded = total;
            status.session = courier.session().or(status.session);
        });
    }

    /// Does what the answer demands; `Some` ends the drain.
    async fn settle(
        &mut self,
        answer: &Answer,
        sent: &Sent,
        endpoint: &Endpoint,
    ) -> Option<Outcome> {
        let now = Now { wall: (self.timing.wall)(), random: (self.timing.random)() };
        let state = decision::State {
            failures: self.memory.failures,
            records: sent.records,
            interval: self.settings.interval,
            last_success: self.memory.last_success,
        };
        let decision = decide(answer, now, &state);
        match decision {
            Decision::Acknowledge { .. } => self.memory.joining.took(),
            _ if self.memory.joining.refused(answer) && self.compression() == Compression::Zstd => {
                tracing::debug!("the same rows go again as one zstd frame");
                return None;
            }
            _ => {}
        }
        tracing::debug!(rows = sent.rows.len(), records = sent.records, ?decision, "answered");
        if !matches!(decision, Decision::BackOff { .. }) {
            self.progress.reconnected |= std::mem::take(&mut self.memory.failures) > 0;
        }
        match decision {
            Decision::Acknowledge { rejected, message, unreadable } => {
                if let Err(error) = self.spool.uploaded(&sent.rows, rejected).await {
                    return Some(self.store_failed(&error));
                }
                self.memory.sizing.decided(sent.rows.len());
                if self.progress.reception == Reception::Awaited {
                    self.progress.reception = Reception::Received;
                }
                self.serves(endpoint);
                self.succeeded(now.wall, rejected, unreadable, message);
                None
            }
            Decision::Split { too_large } => self.split(sent, too_large).await,
            Decision::DeadLetter { answer } => self.dead_letter(sent, answer).await,
            Decision::BackOff { wait, trouble } => Some(Outcome::Trouble { wait, trouble }),
            Decision::Hold { probe_after, trouble } => {
                Some(Outcome::Trouble { wait: probe_after, trouble })
            }
        }
    }

    /// This endpoint takes records.
    fn serves(&mut self, endpoint: &Endpoint) {
        if self.memory.route.serves(endpoint) {
            tracing::info!(%endpoint, "records go to this endpoint now");
            self.status.send_modify(|status| status.endpoint = Some(endpoint.to_string()));
        }
    }

    fn succeeded(
        &mut self,
        wall: SystemTime,
        rejected: u64,
        unreadable: bool,
        message: Option<String>,
    ) {
        self.memory.last_success = Some(wall);
        if let Some(message) = &message {
            tracing::warn!(rejected, message, "the receiver took the records and says");
        }
        self.status.send_modify(|status| {
            // A long backlog goes on for minutes: what was in the way is not any more.
            status.state = State::Ok;
            status.trouble = None;
            status.last_success = Some(wall);
            status.requests += 1;
            status.rejected += rejected;
            status.unreadable_answers += u64::from(unreadable);
            status.message = message.or_else(|| status.message.take());
        });
    }

    async fn split(&mut self, sent: &Sent, too_large: bool) -> Option<Outcome> {
        if too_large {
            self.memory.sizing.too_large(sent.bytes);
        }
        match sent.rows.as_slice() {
            [row] => match self.spool.split(*row).await {
                Ok(true) => {
                    self.memory.sizing.split();
                    None
                }
                // The row is gone: its level was lowered meanwhile. The pause keeps a row that
                // cannot be split from becoming a busy loop.
                Ok(false) => Some(
                    self.back_off(Trouble::new(Reason::Store, "a refused row could not be split")),
                ),
                Err(error) => Some(self.store_failed(&error)),
            },
            rows => {
                self.memory.sizing.halve(rows.len());
                None
            }
        }
    }

    async fn dead_letter(&mut self, sent: &Sent, answer: String) -> Option<Outcome> {
        for row in &sent.rows {
            if let Err(error) = self.spool.reject(*row, &answer).await {
                return Some(self.store_failed(&error));
            }
        }
        tracing::warn!(answer, "the receiver refused a record for good");
        self.memory.sizing.found();
        self.status.send_modify(|status| {
            status.rejected += sent.records;
            status.message = Some(answer);
        });
        None
    }

    fn store_failed(&self, error: &SpoolError) -> Outcome {
        self.back_off(Trouble::new(Reason::Store, crate::tls::chain(error)))
    }

    fn back_off(&self, trouble: Trouble) -> Outcome {
        let wait = decision::back_off_for(self.memory.failures, (self.timing.random)());
        Outcome::Trouble { wait, trouble }
    }
}

impl Sent {
    fn of(rows: &[Row]) -> Self {
        Self {
            rows: rows.iter().map(|row| row.id).collect(),
            records: rows.iter().map(|row| u64::from(row.records)).sum(),
            bytes: rows.iter().map(Row::size).sum(),
        }
    }
}
