//! The one thread that touches the store: takes commands, groups appends, answers after the
//! commit, and does the housekeeping when nobody asks for anything.
//!
//! # Invariants
//! - It sleeps without a timeout while nothing lingers: an idle spool causes no wakeup.
//! - An append that is waited for is answered after its COMMIT, together with all others that had
//!   arrived by then.
//! - After [`Command::Close`], or when the last handle is gone, what lingers is committed and the
//!   log is folded in before the thread ends.
//!
//! On failure: trouble (disk full, read error) is the caller's error and ordinary drafts stay in
//! memory for another try; damage is repaired (`recovery.rs`) and the command is done again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use candor_model::{Draft, DropReason, Level};
use tokio::sync::watch;

use crate::command::{Command, Done, Envelope};
use crate::commit::Group;
use crate::company::Company;
use crate::damage::StoreError;
use crate::error::SpoolError;
use crate::ledger::{Ledger, LossBound};
use crate::linger::Linger;
use crate::press::Press;
use crate::row::Parcel;
use crate::settings::Framing;
use crate::store::{Store, wants_reopening};
use crate::{commit, look, queue, rights};

/// The least pause before a refused commit is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Free pages that are kept for the next rows; more are given back when there is nothing to do.
const KEEP_FREE: i64 = 256;

/// Whether to go on, or who closes: nobody, when the last handle is gone.
type Flow = ControlFlow<Option<Done<()>>>;

/// The thread's state.
pub(crate) struct Writer {
    store: Store,
    press: Press,
    linger: Linger,
    /// Drafts that were ever taken in.
    taken: u64,
    company: Company,
    ceiling: Level,
    commands: Receiver<Envelope>,
    ledger: watch::Sender<Ledger>,
    /// The store's state when `ledger` was last computed.
    published: (u64, u64),
    /// A purge is done but not yet cleaned up behind.
    scrub_due: bool,
    /// Rows left, so pages may be free.
    shrink_due: bool,
}

impl Writer {
    pub(crate) fn new(
        store: Store,
        framing: Box<dyn Framing>,
        commands: Receiver<Envelope>,
    ) -> (Self, watch::Receiver<Ledger>) {
        let (ledger, watched) = watch::channel(store.ledger().unwrap_or_default());
        let published = (store.books.serial, store.fsyncs);
        let writer = Self {
            store,
            press: Press::new(framing),
            linger: Linger::default(),
            taken: 0,
            company: Company::default(),
            ceiling: Level::Full,
            commands,
            ledger,
            published,
            scrub_due: false,
            shrink_due: true,
        };
        (writer, watched)
    }

    /// Runs until closed.
    pub(crate) fn run(mut self) {
        let asked = loop {
            let flow = match self.receive() {
                Ok(envelope) => self.obey(envelope.command),
                Err(RecvTimeoutError::Timeout) => {
                    self.housekeeping();
                    Flow::Continue(())
                }
                Err(RecvTimeoutError::Disconnected) => Flow::Break(None),
            };
            self.publish();
            if let Flow::Break(asked) = flow {
                break asked;
            }
        };
        let closed = self.close();
        self.publish();
        if let Some(done) = asked {
            answer(done, closed);
        }
    }

    fn receive(&self) -> Result<Envelope, RecvTimeoutError> {
        let idle_work = (self.scrub_due || self.shrink_due).then_some(Duration::ZERO);
        match idle_work.or_else(|| self.linger.wait()) {
            Some(wait) => self.commands.recv_timeout(wait),
            None => self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Does one command; who closes is given back.
    fn obey(&mut self, command: Command) -> Flow {
        self.learn();
        match command {
            append @ (Command::Linger(..) | Command::Append(..) | Command::AppendThen(..)) => {
                return self.append(append);
            }
            Command::Close(done) => return Flow::Break(Some(done)),
            Command::Commit(done) => self.reply(done, Self::commit),
            Command::LowerTo(level, done) => self.reply(done, |w| w.lower_to(level)),
            Command::SetCeiling(level, done) => {
                self.ceiling = level;
                self.reply(done, |_| Ok(()));
            }
            Command::Configure(settings, done) => self.reply(done, |w| {
                w.published.0 = 0;
                w.attempt("change the bounds", |store| store.configure(settings.clone()))
            }),
            Command::Clear(reason, done) => self.reply(done, |w| w.clear(reason)),
            Command::Renew(done) => self.reply(done, Self::renew),
            Command::Next(want, done) => self.reply(done, |w| w.next(want)),
            other => self.settle(other),
        }
        Flow::Continue(())
    }

    /// The commands about single rows, and the side tables.
    fn settle(&mut self, command: Command) {
        self.shrink_due = true;
        match command {
            Command::Uploaded(rows, rejected, done) => self.reply(done, |w| {
                w.attempt("delete uploaded rows", |s| queue::uploaded(s, &rows, rejected))
            }),
            Command::Split(row, done) => self.reply(done, |w| {
                attempt(&mut w.store, "split a row", |s| queue::split(s, &w.press, row))
            }),
            Command::Reject(row, words, done) => {
                self.reply(done, |w| w.attempt("reject a row", |s| queue::reject(s, row, &words)));
            }
            Command::Drop(rows, reason, done) => {
                self.reply(done, |w| {
                    w.attempt("drop rows", |s| queue::drop_rows(s, &rows, reason))
                });
            }
            Command::Meta(key, done) => {
                self.reply(done, |w| w.attempt("read a key", |s| queue::meta(s, &key)));
            }
            Command::SetMeta(key, value, done) => {
                self.reply(done, |w| w.attempt("set a key", |s| queue::set_meta(s, &key, &value)));
            }
            Command::DeadLetters(done) => {
                self.reply(done, |w| w.attempt("list dead letters", queue::dead_letters));
            }
            Command::Replay(seq, done) => self.reply(done, |w| {
                let press = &w.press;
                attempt(&mut w.store, "replay a dead letter", |s| commit::replay(s, press, seq))
            }),
            Command::Gaps(done) => {
                self.reply(done, |w| Ok(w.store.books.gaps.list().to_vec()));
            }
            Command::Page(after, bytes, done) => self
                .reply(done, |w| w.attempt("read what waits", |s| rights::page(s, after, bytes))),
            Command::PageBefore(before, bytes, done) => self.reply(done, |w| {
                w.attempt("look at what waits", |s| Ok(look::before(&s.conn, before, bytes)?))
            }),
            Command::Settle(accepted, rejected, done) => self.reply(done, |w| {
                w.attempt("settle by a receipt", |s| rights::settle(s, &accepted, &rejected))
            }),
            Command::Verify(done) => self.reply(done, |w| w.attempt("verify", |s| s.verify())),
            // `obey` has done the others.
            _ => {}
        }
    }

    /// Does something and answers, after the ledger shows what was done: who has an answer reads
    /// no older ledger.
    fn reply<T>(&mut self, done: Done<T>, work: impl FnOnce(&mut Self) -> Result<T, SpoolError>) {
        let outcome = work(self);
        self.publish();
        answer(done, outcome);
    }

    /// Takes drafts in, and with them all appends that are waiting in the queue already.
    fn append(&mut self, first: Command) -> Flow {
        let began = Instant::now();
        let mut after = self.take(first);
        while self.linger.is_due() && !self.linger.is_full() && after.is_none() {
            let Some(next) = self.another(began) else { break };
            after = self.take(next.command);
        }
        if self.linger.is_due() {
            // Whoever waits has been answered, and what lingers stays where it was refused.
            let _ = self.commit();
        }
        after.map_or(Flow::Continue(()), |command| self.obey(command))
    }

    /// What is in the queue already, or comes while the commit that began then waits for company.
    fn another(&self, began: Instant) -> Option<Envelope> {
        match self.commands.try_recv() {
            Ok(next) => Some(next),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                let until = self.company.until(self.linger.callers(), began)?;
                let wait = until.checked_duration_since(Instant::now())?;
                self.commands.recv_timeout(wait).ok()
            }
        }
    }

    /// Lets in what the ceiling lets in; another command is given back.
    fn take(&mut self, append: Command) -> Option<Command> {
        match append {
            Command::Linger(drafts, since) => {
                let (drafts, _) = self.let_in(drafts);
                let linger = self.store.place.settings.linger;
                self.store.refused += self.linger.add(drafts, (since, linger));
            }
            Command::Append(drafts, done) => {
                let (drafts, _) = self.let_in(drafts);
                self.linger.add_urgent(drafts, done);
            }
            Command::AppendThen(drafts, then, done) => {
                let (drafts, withheld) = self.let_in(drafts);
                self.linger.add_urgent(drafts, done);
                if withheld == 0 {
                    self.linger.add_then(then);
                }
            }
            other => return Some(other),
        }
        None
    }

    /// What the ceiling lets in of what was handed over, and how many it withheld.
    fn let_in(&mut self, mut drafts: Vec<Draft>) -> (Vec<Draft>, u64) {
        let offered = count(drafts.len());
        drafts.retain(|draft| draft.level <= self.ceiling);
        let withheld = offered - count(drafts.len());
        self.taken += offered;
        self.store.withheld += withheld;
        (drafts, withheld)
    }

    /// Settles what can be settled. Where the store still does not open, what is asked of it says so.
    fn learn(&mut self) {
        if self.store.detached || self.store.has_happened || self.linger.is_doubted() {
            let _ = self.settle_doubt();
        }
    }

    /// Learns whether a commit in doubt happened, before anything is asked of the store again.
    fn settle_doubt(&mut self) -> Result<(), SpoolError> {
        if self.store.detached {
            self.attempt("open the store again", |_| Ok(()))?;
        }
        let lost = self.linger.settled(std::mem::take(&mut self.store.has_happened));
        self.store.withheld += lost.withheld;
        self.store.refused += lost.refused;
        Ok(())
    }

    /// Commits what waits and answers who waits for it.
    fn commit(&mut self) -> Result<(), SpoolError> {
        if self.linger.is_empty() {
            return Ok(());
        }
        let outcome = self.settle_doubt().and_then(|()| self.commit_group());
        let waiting = match &outcome {
            Ok(()) => {
                self.company.committed(self.linger.callers(), Instant::now());
                self.linger.committed()
            }
            Err(error) => {
                tracing::warn!(%error, "what lingers stays in memory");
                self.linger.refused(self.store.place.settings.linger.max(PAUSE))
            }
        };
        self.publish();
        for done in waiting {
            answer(done, outcome.clone());
        }
        outcome
    }

    fn commit_group(&mut self) -> Result<(), SpoolError> {
        let drafts = self.linger.sorted();
        let group = Group { drafts: &drafts, thens: self.linger.thens() };
        if drafts.is_empty() && group.thens.is_empty() {
            // All that was handed over was above the ceiling.
            return Ok(());
        }
        let press = &self.press;
        let outcome = attempt(&mut self.store, "commit records", |store| {
            match commit::commit(store, press, group, false) {
                Err(error) if error.is_full() => {
                    // The log and the reserve give room; the file takes no more than it has.
                    store.make_way();
                    commit::commit(store, press, group, true)?;
                    store.regain();
                    Ok(())
                }
                outcome => outcome,
            }
        });
        if self.store.doubt.is_some() {
            self.linger.doubt();
        }
        // Where the store was opened again after the error, it has told that the group is there.
        if std::mem::take(&mut self.store.has_happened) { Ok(()) } else { outcome }
    }

    fn lower_to(&mut self, level: Level) -> Result<u64, SpoolError> {
        let lowered = level < self.ceiling;
        self.ceiling = level;
        self.store.withheld += self.linger.withdraw(Some(level));
        let withdrawn = self.attempt("withdraw records", |store| queue::withdraw(store, level))?;
        self.scrub_due |= lowered || withdrawn > 0;
        self.scrub()?;
        Ok(withdrawn)
    }

    fn clear(&mut self, reason: DropReason) -> Result<u64, SpoolError> {
        self.store.withheld += self.linger.withdraw(None);
        let cleared = self.attempt("clear the store", |store| queue::clear(store, reason))?;
        self.scrub_due = true;
        self.scrub()?;
        Ok(cleared)
    }

    fn renew(&mut self) -> Result<u64, SpoolError> {
        self.store.withheld += self.linger.withdraw(None);
        let deleted = self.attempt("renew the ids", rights::renew)?;
        self.scrub_due = true;
        self.scrub()?;
        Ok(deleted)
    }

    fn scrub(&mut self) -> Result<(), SpoolError> {
        if self.scrub_due {
            self.attempt("clean up after a purge", Store::scrub)?;
            self.scrub_due = false;
            self.shrink_due = false;
        }
        Ok(())
    }

    fn next(&mut self, want: crate::Want) -> Result<Option<Parcel>, SpoolError> {
        self.attempt("read the next rows", |store| {
            commit::expire_now(store)?;
            store.look_ahead()?;
            queue::next(store, want)
        })
    }

    fn attempt<T>(
        &mut self,
        operation: &'static str,
        work: impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, SpoolError> {
        attempt(&mut self.store, operation, work)
    }

    /// What is due when no command came: a commit, a clean-up, one slice of shrinking.
    fn housekeeping(&mut self) {
        self.learn();
        if self.linger.is_due() {
            let _ = self.commit();
        } else if self.scrub_due {
            // Tried once more; the next purge or the close tries again.
            let _ = self.scrub();
            self.scrub_due = false;
        } else if self.shrink_due {
            let more = self.attempt("give free pages back", |store| store.shrink(KEEP_FREE));
            self.shrink_due = more.unwrap_or(false);
        }
    }

    fn close(&mut self) -> Result<(), SpoolError> {
        self.learn();
        let committed = self.commit();
        self.attempt("close the store", |store| {
            if store.withheld + store.refused > 0 {
                store.write(|_, _| Ok(()))?;
            }
            store.checkpoint()
        })?;
        committed
    }

    /// Shows the ledger of this moment, if it is another than before.
    fn publish(&mut self) {
        let state = (self.store.books.serial, self.store.fsyncs);
        let fresh = (state != self.published).then(|| self.store.ledger().ok()).flatten();
        if fresh.is_some() {
            self.published = state;
        }
        let books = &self.store.books;
        let withheld = books.withheld + self.store.withheld;
        let refused = books.refused + self.store.refused;
        let lingering = LossBound { taken: self.taken, ..self.linger.bound() };
        self.ledger.send_if_modified(|shown| {
            let before = (shown.withheld, shown.refused, essence(shown.lingering));
            let changed = fresh.is_some() || before != (withheld, refused, essence(lingering));
            if let Some(fresh) = fresh {
                *shown = fresh;
            }
            (shown.withheld, shown.refused, shown.lingering) = (withheld, refused, lingering);
            changed
        });
    }
}

/// A bound without its age, which changes all the time.
fn essence(bound: LossBound) -> (u64, Option<Instant>) {
    (bound.events, bound.since)
}

/// Does a piece of work; on a full disk makes way, on damage repairs the store, and does it once
/// more.
fn attempt<T>(
    store: &mut Store,
    operation: &'static str,
    mut work: impl FnMut(&mut Store) -> Result<T, StoreError>,
) -> Result<T, SpoolError> {
    let outcome = if store.detached { store.reopen() } else { Ok(()) };
    let outcome = outcome.and_then(|()| work(store)).or_else(|error| {
        if error.is_full() {
            store.make_way();
            let done = work(store)?;
            store.regain();
            return Ok(done);
        }
        if wants_reopening(&error) {
            store.reopen()?;
            return Err(error);
        }
        if !error.is_damage() {
            return Err(error);
        }
        tracing::error!(?error, operation, "the store is damaged");
        store.rebuild()?;
        work(store)
    });
    outcome.map_err(|error| SpoolError::Store {
        operation,
        path: store.place.store(),
        source: Arc::new(error.into_sqlite()),
    })
}

/// Whoever asked may have gone; then nobody wants the answer.
fn answer<T>(done: Done<T>, outcome: Result<T, SpoolError>) {
    let _ = done.send(outcome);
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
