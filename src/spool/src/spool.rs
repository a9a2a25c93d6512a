//! The handle: what every other room sees of the spool. Cheap to clone; each call is a question to
//! the one writer thread and its answer.
//!
//! # Invariants
//! - No call blocks the caller's thread, but for [`Spool::open`].
//! - A call whose future is dropped may still happen.
//!
//! On failure a call says that nothing was changed; when the thread is gone, [`SpoolError::Closed`].

use std::fmt;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use candor_model::{Draft, DropReason, InstallKey, Kind, Level};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::command::{Command, Done, Envelope, ROOM};
use crate::dead::DeadLetter;
use crate::error::{OpenError, SpoolError};
use crate::gaps::Gap;
use crate::handed::Handed;
use crate::ledger::{Ledger, Verdict};
use crate::rights::{Range, Settled};
use crate::row::{Parcel, Row, RowId, Want};
use crate::schema::INSTALL_KEY;
use crate::settings::{Framing, Settings, Surroundings};
use crate::store::{Place, Store};
use crate::then::Then;
use crate::writer::Writer;

/// How soon an append must be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Within `linger`, together with others; at once for the security level.
    Linger,
    /// Before the call returns.
    Now,
}

/// A handle on an open spool.
#[derive(Clone)]
pub struct Spool(Arc<Shared>);

struct Shared {
    commands: Sender<Envelope>,
    places: Arc<Semaphore>,
    handed: Handed,
    ledger: watch::Receiver<Ledger>,
    install_id: Arc<str>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    /// Opens the store in `dir`, makes it where there is none, and recovers it where it is damaged.
    /// The ceiling stands at [`Level::Full`] until [`lower_to`](Self::lower_to) is called. Blocks
    /// for a few milliseconds, longer where a damaged store is recovered.
    ///
    /// # Errors
    /// [`OpenError`]: the surroundings do not let it; damage is none.
    pub fn open(
        dir: &Path,
        settings: Settings,
        framing: Box<dyn Framing>,
    ) -> Result<Self, OpenError> {
        Self::open_with(dir, settings, framing, Surroundings::default())
    }

    /// As [`open`](Self::open), on a host of one's own making.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        dir: &Path,
        settings: Settings,
        framing: Box<dyn Framing>,
        outside: Surroundings,
    ) -> Result<Self, OpenError> {
        candor_platform::create_private_dir(dir)
            .map_err(|source| OpenError::Directory { path: dir.to_owned(), source })?;
        let place = Place { dir: dir.to_owned(), settings, outside };
        let path = place.store();
        let store = Store::open(place)?;
        let install_id = store.mirror.install_id().into();
        let (commands, received) = channel();
        let (writer, ledger) = Writer::new(store, framing, received);
        let thread = Builder::new()
            .name("spool".to_owned())
            .stack_size(512 * 1024)
            .spawn(|| writer.run())
            .map_err(|source| OpenError::Thread { path, source })?;
        let places = Arc::new(Semaphore::new(ROOM));
        let thread = Mutex::new(Some(thread));
        let handed = Handed::default();
        Ok(Self(Arc::new(Shared { commands, places, handed, ledger, install_id, thread })))
    }

    /// Hands drafts over. With [`Urgency::Now`] it returns after the commit that holds them, with
    /// [`Urgency::Linger`] when they are queued. Drafts above the ceiling are counted `withheld`.
    /// Waits while 64 commands are queued.
    ///
    /// # Errors
    /// [`SpoolError`]: none of these drafts was stored or counted.
    pub async fn append(&self, drafts: Vec<Draft>, urgency: Urgency) -> Result<(), SpoolError> {
        match urgency {
            Urgency::Linger => {
                self.hand_over(drafts.len(), |since| Command::Linger(drafts, since)).await
            }
            Urgency::Now => {
                let (done, answer) = oneshot::channel();
                self.hand_over(drafts.len(), |_| Command::Append(drafts, done)).await?;
                answer.await.map_err(|_| SpoolError::Closed)?
            }
        }
    }

    /// As [`append`](Self::append) with [`Urgency::Now`]; what `then` says becomes true in the same
    /// transaction. Where the ceiling withholds one of the drafts it does not become true.
    ///
    /// # Errors
    /// [`SpoolError`]: none of these drafts was stored or counted, and nothing became true.
    pub async fn append_then(&self, drafts: Vec<Draft>, then: Then) -> Result<(), SpoolError> {
        let (done, answer) = oneshot::channel();
        self.hand_over(drafts.len(), |_| Command::AppendThen(drafts, then, done)).await?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    /// Commits what lingers.
    ///
    /// # Errors
    /// [`SpoolError`]; what lingers stays in memory and is tried again.
    pub async fn commit(&self) -> Result<(), SpoolError> {
        self.ask(Command::Commit).await
    }

    /// Takes back everything above `level` (`withdrawn`; what lingered, `withheld`), makes it
    /// unfindable in the state directory, and withholds such drafts from now on. How many records
    /// were withdrawn.
    ///
    /// # Errors
    /// [`SpoolError`]; the ceiling stands lowered, call it again for the rest.
    pub async fn lower_to(&self, level: Level) -> Result<u64, SpoolError> {
        self.ask(|done| Command::LowerTo(level, done)).await
    }

    /// Lets drafts up to `level` in from now on. To lower, use [`lower_to`](Self::lower_to).
    ///
    /// # Errors
    /// [`SpoolError::Closed`].
    pub async fn set_ceiling(&self, level: Level) -> Result<(), SpoolError> {
        self.ask(|done| Command::SetCeiling(level, done)).await
    }

    /// Takes other bounds, without closing. A smaller cap evicts at the next commit; what fits is
    /// not touched.
    ///
    /// # Errors
    /// [`SpoolError`]; the bounds count all the same from the next commit on.
    pub async fn configure(&self, settings: Settings) -> Result<(), SpoolError> {
        self.ask(|done| Command::Configure(settings, done)).await
    }

    /// Takes back everything that waits, for an owner's reason, and makes it unfindable in the
    /// state directory. How many records that were.
    ///
    /// # Errors
    /// [`SpoolError`]; call it again.
    pub async fn clear(&self, reason: DropReason) -> Result<u64, SpoolError> {
        self.ask(|done| Command::Clear(reason, done)).await
    }

    /// Deletes everything that waits (`deleted`) and every dead letter, makes it unfindable in the
    /// state directory, and makes another install id, under which numbers begin at 1 again. The
    /// ledger goes on. How many records waited. This handle knows the former id: close it, and open
    /// the store anew.
    ///
    /// # Errors
    /// [`SpoolError`]; call it again.
    pub async fn renew(&self) -> Result<u64, SpoolError> {
        self.ask(Command::Renew).await
    }

    /// Whole rows, by their numbers, from the first above `after` on: at least one, then as many as
    /// hold `max_bytes`. Nothing is taken away.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn page(&self, after: u64, max_bytes: usize) -> Result<Vec<(Kind, Row)>, SpoolError> {
        self.ask(|done| Command::Page(after, max_bytes, done)).await
    }

    /// Whole rows from the newest end: those whose first number is below `before`, the newest first; at least
    /// one, then as many as hold `max_bytes`. Nothing is taken away.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn page_before(
        &self,
        before: u64,
        max_bytes: usize,
    ) -> Result<Vec<(Kind, Row)>, SpoolError> {
        self.ask(|done| Command::PageBefore(before, max_bytes, done)).await
    }

    /// A receiver has these records by another way than an upload, and refused those. Rows that are
    /// gone meanwhile are left out, and so are rows of which not every record is named.
    ///
    /// # Errors
    /// [`SpoolError`]; the rows still wait.
    pub async fn settle(
        &self,
        accepted: &[Range],
        rejected: &[Range],
    ) -> Result<Settled, SpoolError> {
        let (accepted, rejected) = (accepted.to_vec(), rejected.to_vec());
        self.ask(|done| Command::Settle(accepted, rejected, done)).await
    }

    /// The secret whose hash the install id is; `None` where an earlier agent made the id.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn install_key(&self) -> Result<Option<InstallKey>, SpoolError> {
        Ok(self.meta(INSTALL_KEY).await?.and_then(|key| key.parse().ok()))
    }

    /// What to send next: security first, then oldest first; rows of one kind. When the oldest waits
    /// longer than [`Settings::backlog_after`], the newest report of each lane goes ahead of the
    /// backlog, once. It takes nothing away: asked again, it answers the same until rows are
    /// settled or newer ones go first. What lingers is not in
    /// it: [`commit`](Self::commit) first.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn next(&self, want: Want) -> Result<Option<Parcel>, SpoolError> {
        self.ask(|done| Command::Next(want, done)).await
    }

    /// An endpoint acknowledged these rows, but refused `rejected` of their records. Rows that are
    /// gone meanwhile are left out.
    ///
    /// # Errors
    /// [`SpoolError`]; the rows still wait.
    pub async fn uploaded(&self, rows: &[RowId], rejected: u64) -> Result<(), SpoolError> {
        let rows = rows.to_vec();
        self.ask(|done| Command::Uploaded(rows, rejected, done)).await
    }

    /// Makes two rows of one; the first keeps its id. False when there is nothing to split.
    ///
    /// # Errors
    /// [`SpoolError`]; the row stands as it was.
    pub async fn split(&self, row: RowId) -> Result<bool, SpoolError> {
        self.ask(|done| Command::Split(row, done)).await
    }

    /// An endpoint refused this row for good: counted `rejected`, kept as a dead letter with the
    /// endpoint's words.
    ///
    /// # Errors
    /// [`SpoolError`]; the row still waits.
    pub async fn reject(&self, row: RowId, answer: &str) -> Result<(), SpoolError> {
        let answer = answer.to_owned();
        self.ask(|done| Command::Reject(row, answer, done)).await
    }

    /// Drops rows. How many records they held.
    ///
    /// # Errors
    /// [`SpoolError`]; the rows still wait.
    pub async fn drop_rows(&self, rows: &[RowId], reason: DropReason) -> Result<u64, SpoolError> {
        let rows = rows.to_vec();
        self.ask(|done| Command::Drop(rows, reason, done)).await
    }

    /// The dead letters, oldest first; at most 64, of at most 1 MiB.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, SpoolError> {
        self.ask(Command::DeadLetters).await
    }

    /// Makes a new record of the dead letter with this number: same id, new number, generated anew.
    /// The number that it got; `None` where there is no such letter, or it cannot be opened.
    ///
    /// # Errors
    /// [`SpoolError`]; the letter stays.
    pub async fn replay(&self, seq: u64) -> Result<Option<u64>, SpoolError> {
        self.ask(|done| Command::Replay(seq, done)).await
    }

    /// Ranges of numbers that were dropped and that the receiver was not told of, by their first
    /// number; at most 256. They stay, over restarts, until they are [`Then::GapsTold`].
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn gaps(&self) -> Result<Vec<Gap>, SpoolError> {
        self.ask(Command::Gaps).await
    }

    /// A value that [`set_meta`](Self::set_meta) left.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn meta(&self, key: &str) -> Result<Option<String>, SpoolError> {
        let key = key.to_owned();
        self.ask(|done| Command::Meta(key, done)).await
    }

    /// Leaves a value for the next start. One commit, none when it is the same already.
    ///
    /// # Errors
    /// [`SpoolError`]; the old value stands.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), SpoolError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.ask(|done| Command::SetMeta(key, value, done)).await
    }

    /// Reads every row and compares what is there with the ledger.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub async fn verify(&self) -> Result<Verdict, SpoolError> {
        self.ask(Command::Verify).await
    }

    /// The ledger of this moment; no question to the thread.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let ledger = self.0.ledger.borrow().clone();
        let lingering = self.0.handed.beyond(ledger.lingering);
        Ledger { lingering, ..ledger }.now()
    }

    /// The ledger, watched. The copies' loss bound is that of the change: the age, and what the writer
    /// thread knew of.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Ledger> {
        self.0.ledger.clone()
    }

    /// The installation's random id, made with the first store and by [`renew`](Self::renew).
    #[must_use]
    pub fn install_id(&self) -> &str {
        &self.0.install_id
    }

    /// Commits what lingers, folds the log in and ends the thread. Other handles answer
    /// [`SpoolError::Closed`] from then on.
    ///
    /// # Errors
    /// [`SpoolError`] where the last commit or the folding failed; the thread has ended all the
    /// same, and what was committed before stands.
    pub async fn close(self) -> Result<(), SpoolError> {
        let outcome = self.ask(Command::Close).await;
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It has answered and has nothing left but to drop the connection.
        if thread.is_some_and(|thread| thread.join().is_err()) {
            return Err(SpoolError::Closed);
        }
        outcome
    }

    async fn ask<T>(&self, command: impl FnOnce(Done<T>) -> Command) -> Result<T, SpoolError> {
        let (done, answer) = oneshot::channel();
        self.tell(command(done)).await?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    async fn tell(&self, command: Command) -> Result<(), SpoolError> {
        let place = self.place().await?;
        self.send(command, place)
    }

    /// Sends drafts, which are in the loss bound from then on.
    async fn hand_over(
        &self,
        drafts: usize,
        command: impl FnOnce(Instant) -> Command,
    ) -> Result<(), SpoolError> {
        let place = self.place().await?;
        let taken = self.0.ledger.borrow().lingering.taken;
        self.0.handed.send(drafts, taken, |since| self.send(command(since), place))
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, SpoolError> {
        let place = Arc::clone(&self.0.places).acquire_owned().await;
        place.map_err(|_| SpoolError::Closed)
    }

    fn send(&self, command: Command, place: OwnedSemaphorePermit) -> Result<(), SpoolError> {
        let envelope = Envelope { command, _place: place };
        self.0.commands.send(envelope).map_err(|_| SpoolError::Closed)
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("ledger", &self.ledger()).finish_non_exhaustive()
    }
}
