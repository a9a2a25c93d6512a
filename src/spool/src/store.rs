//! The open store: one connection, the committed counters, and the one way to change both.
//!
//! # Invariants
//! - [`Store::write`] is the one place that begins and commits; rows and counters change together
//!   or not at all, and the mirror is never behind.
//! - The log is folded into the store when it passes 4 MiB or the disk is nearly full, at a purge
//!   and at close, by [`Store::fold`] alone; so every fsync is known: see [`Ledger::fsyncs`]. In
//!   ordinary running its file keeps its length and is written anew from the beginning.
//! - What is purged is overwritten (`secure_delete`), given back to the file system and gone from
//!   the log before [`Store::scrub`] returns. What an endpoint acknowledged is only unlinked, since
//!   overwriting would write each byte twice; the next purge gives those pages back as well.
//!
//! On failure the transaction is rolled back and the counters stand; `writer.rs` decides whether
//! to report, to open again or to rebuild. A commit that fails while the disk is gone is in doubt until
//! the store can be opened again; nothing is read or written before.
//!
//! [`Ledger::fsyncs`]: crate::Ledger::fsyncs

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode};

use crate::books::Books;
use crate::damage::{self, SALVAGE, STORE, StoreError};
use crate::ledger::{Ledger, Verdict};
use crate::mirror::{Mirror, Slot};
use crate::order::{Oldest, Order};
use crate::reserve::Reserve;
use crate::row::RowId;
use crate::schema::{self, PAGE, pragma};
use crate::settings::{Settings, Surroundings};
use crate::timeline::{Timeline, millis};
use crate::{dead, lanes};

/// The log is folded in when it is longer than this.
const LOG_BYTES: u64 = 4 * 1024 * 1024;
/// Free bytes of the file system below which the store does not grow, whatever `min_free` says, so
/// that deletes and acknowledgements still find room for the log.
pub(crate) const HEADROOM: u64 = 1024 * 1024;
/// How long the mirror may rest in the page cache while commits happen.
const MIRROR_REST: Duration = Duration::from_mins(10);
/// Free pages given back in one step of [`Store::shrink`].
const SHRINK_STEP: i64 = 256;

thread_local! {
    #[cfg_attr(
        windows,
        expect(clippy::missing_const_for_thread_local, reason = "it is const; that target's lint misses it")
    )]
    /// Pages in the log, as `SQLite` told after the last commit. There is one store a thread.
    static LOG_PAGES: Cell<u64> = const { Cell::new(0) };
}

/// What becomes of the log's file after it was folded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fold {
    /// It gives its space back, and what it held is gone.
    Empty,
    /// It is written anew from its beginning: a sync of bytes that are there already needs no change
    /// of the file system's own.
    Reuse,
}

/// Where a store lies and what it is told about its host.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) outside: Surroundings,
}

impl Place {
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join(STORE)
    }

    /// Free bytes of the file system; `None` where it does not tell.
    pub(crate) fn free(&self) -> Option<u64> {
        (self.outside.free_bytes)(&self.dir)
    }
}

/// The counters of a commit.
#[derive(Debug)]
pub(crate) struct Doubt {
    books: Box<Books>,
    /// How much of [`Store::withheld`] and [`Store::refused`] they hold already; more may come meanwhile.
    withheld: u64,
    refused: u64,
}

/// The open store.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) conn: Connection,
    pub(crate) place: Place,
    pub(crate) books: Books,
    pub(crate) mirror: Mirror,
    pub(crate) timeline: Timeline,
    /// Calls of fsync so far.
    pub(crate) fsyncs: u64,
    /// The log is empty, so the next commit syncs its header as well.
    pub(crate) log_is_new: bool,
    /// Boot clock when the mirror was last forced.
    pub(crate) forced: Duration,
    /// Withheld and refused since the last commit; the next one stores them.
    pub(crate) withheld: u64,
    pub(crate) refused: u64,
    /// What goes first after an outage.
    pub(crate) order: Order,
    /// What is given up when the disk is full.
    pub(crate) reserve: Reserve,
    /// No connection: opening again failed the last time.
    pub(crate) detached: bool,
    /// A commit that ended in a read or write error, until the store is open again and tells whether it
    /// happened.
    pub(crate) doubt: Option<Doubt>,
    /// It did, but its caller was told that it failed.
    pub(crate) has_happened: bool,
}

impl Store {
    /// Changes rows and counters in one transaction.
    pub(crate) fn write<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Books) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.detached {
            self.reopen()?;
        }
        let mut books = self.books.clone();
        books.serial += 1;
        books.withheld += self.withheld;
        books.refused += self.refused;
        let clock = &self.place.outside.clock;
        books.mark = self.timeline.mark(clock.wall(), clock.boot());
        let done = match self.transact(&mut books, work) {
            Ok(done) => done,
            Err(error) => {
                self.roll_back();
                return Err(error);
            }
        };
        match self.commit() {
            Ok(()) => {
                let commit = self.doubted(books);
                self.stands(commit);
            }
            Err(error) if wants_reopening(&error) => {
                // The error may have come after the log was complete; opening it again tells.
                self.doubt = Some(self.doubted(books));
                self.has_happened = false;
                if self.reopen().is_err() || !std::mem::take(&mut self.has_happened) {
                    return Err(error);
                }
            }
            Err(error) => {
                self.roll_back();
                return Err(error);
            }
        }
        self.fsyncs += 1 + u64::from(std::mem::take(&mut self.log_is_new));
        self.keep_short();
        Ok(done)
    }

    /// These counters, with all that was withheld and refused until now.
    fn doubted(&self, books: Books) -> Doubt {
        Doubt { books: Box::new(books), withheld: self.withheld, refused: self.refused }
    }

    /// These counters are committed.
    fn stands(&mut self, commit: Doubt) {
        self.mirror.write(Slot::Done, &commit.books);
        self.books = *commit.books;
        self.withheld = self.withheld.saturating_sub(commit.withheld);
        self.refused = self.refused.saturating_sub(commit.refused);
    }

    /// Everything before the commit.
    fn transact<T>(
        &mut self,
        books: &mut Books,
        work: impl FnOnce(&Connection, &mut Books) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = work(&self.conn, books)?;
        schema::write_books(&self.conn, Some(&self.books), books)?;
        self.mirror.write(Slot::Intent, books);
        Ok(done)
    }

    fn commit(&self) -> Result<(), StoreError> {
        Ok(self.conn.prepare_cached("COMMIT")?.execute([]).map(drop)?)
    }

    fn roll_back(&mut self) {
        // The rollback of a transaction that never began fails, which is as well.
        let _ = self.conn.execute_batch("ROLLBACK");
        self.mirror.write(Slot::Intent, &self.books);
    }

    /// Whether the commit in doubt is in the store that was opened again.
    fn resolve(&mut self) -> Result<(), StoreError> {
        let Some(doubted) = &self.doubt else { return Ok(()) };
        let is_there = matches!(
            schema::read_books(&self.conn)?, Some(books) if books.serial == doubted.books.serial
        );
        match self.doubt.take() {
            Some(doubted) if is_there => {
                self.stands(doubted);
                self.has_happened = true;
            }
            _ => self.roll_back(),
        }
        Ok(())
    }

    /// Folds the log in when it is long, and forces the mirror now and then. The commit stands
    /// whatever happens here; trouble shows again at the next one.
    fn keep_short(&mut self) {
        let length = LOG_PAGES.get() * PAGE;
        // Folding in may need as much room again; on a nearly full disk it is done while there is.
        let cramped = self.place.free().is_some_and(|free| free < length + HEADROOM);
        if length > LOG_BYTES || cramped {
            if let Err(error) = self.fold(if cramped { Fold::Empty } else { Fold::Reuse }) {
                tracing::warn!(?error, "cannot fold the log into the store");
            }
        } else if self.place.outside.clock.boot().saturating_sub(self.forced) >= MIRROR_REST {
            self.force_mirror();
        }
        self.reserve.renew(self.place.free(), HEADROOM);
    }

    /// Frees what can be freed on a full disk: the reserve, and the log.
    pub(crate) fn make_way(&mut self) {
        self.reserve.give_up();
        if let Err(error) = self.checkpoint() {
            tracing::warn!(?error, "cannot fold the log into the store");
        }
    }

    /// After something worked only because [`make_way`](Self::make_way) was called: takes the room
    /// of the log back as the reserve, before somebody else does.
    pub(crate) fn regain(&mut self) {
        if let Err(error) = self.checkpoint() {
            tracing::warn!(?error, "cannot fold the log into the store");
        }
        self.reserve.renew(self.place.free(), 0);
    }

    /// Folds the whole log into the store and empties it.
    pub(crate) fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.fold(Fold::Empty)
    }

    fn fold(&mut self, fold: Fold) -> Result<(), StoreError> {
        let sql = match fold {
            Fold::Empty => "PRAGMA wal_checkpoint(TRUNCATE)",
            Fold::Reuse => "PRAGMA wal_checkpoint(RESTART)",
        };
        let busy: i64 = self.conn.query_row(sql, [], |row| row.get(0))?;
        LOG_PAGES.set(0);
        if busy != 0 {
            tracing::warn!("the log is read by somebody else and stays");
        }
        if !self.log_is_new {
            self.fsyncs += 2;
        }
        self.log_is_new = true;
        self.force_mirror();
        Ok(())
    }

    fn force_mirror(&mut self) {
        self.fsyncs += u64::from(self.mirror.force());
        self.forced = self.place.outside.clock.boot();
    }

    /// Makes what a purge took out unfindable in the state directory.
    pub(crate) fn scrub(&mut self) -> Result<(), StoreError> {
        damage::forget_aside(&self.place.dir);
        let scrub = self.place.outside.scrub;
        while scrub.shrink && self.shrink_anyway()? {}
        if scrub.fold { self.checkpoint() } else { Ok(()) }
    }

    /// A step of shrinking, on a full disk as well: the log gives back what the steps before took.
    fn shrink_anyway(&mut self) -> Result<bool, StoreError> {
        match self.shrink(0) {
            Err(error) if error.is_full() => {
                self.make_way();
                self.shrink(0)
            }
            outcome => outcome,
        }
    }

    /// How what is deleted from now on is overwritten: thoroughly, or only where that writes no
    /// page that would not be written anyway.
    pub(crate) fn overwrite(&self, thoroughly: bool) -> Result<(), StoreError> {
        let word = match (self.place.outside.scrub.overwrite, thoroughly) {
            (false, _) => "OFF",
            (true, false) => "FAST",
            (true, true) => "ON",
        };
        self.conn.prepare_cached(&format!("PRAGMA secure_delete={word}"))?.query([])?.next()?;
        Ok(())
    }

    /// Gives one slice of free pages back to the file system, if more than `keep` are free and at
    /// least as many as are in use; whether there is more to give.
    pub(crate) fn shrink(&mut self, keep: i64) -> Result<bool, StoreError> {
        let (free, all) =
            (pragma(&self.conn, "freelist_count")?, pragma(&self.conn, "page_count")?);
        if free <= keep || (keep > 0 && free * 2 < all) {
            return Ok(false);
        }
        // One step frees one page: the statement must be run to its end.
        let sql = format!("PRAGMA incremental_vacuum({SHRINK_STEP})");
        let mut vacuum = self.conn.prepare_cached(&sql)?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
        self.fsyncs += 1 + u64::from(std::mem::take(&mut self.log_is_new));
        Ok(pragma(&self.conn, "freelist_count")? < free)
    }

    /// Bytes of pages in use.
    pub(crate) fn bytes(&self) -> Result<u64, StoreError> {
        allocated(&self.conn)
    }

    /// Takes other bounds; they hold from the next commit on.
    pub(crate) fn configure(&mut self, settings: Settings) -> Result<(), StoreError> {
        self.place.settings = settings;
        Ok(schema::limit(&self.conn, self.place.settings.max_bytes)?)
    }

    /// The age clock now.
    pub(crate) fn now(&self) -> u64 {
        self.timeline.at(self.place.outside.clock.boot())
    }

    /// Decides what goes first now.
    pub(crate) fn look_ahead(&mut self) -> Result<(), StoreError> {
        let oldest = lanes::first(&self.conn)?.map(|(id, at)| Oldest { id, age: self.age(at) });
        let most = millis(self.place.settings.backlog_after);
        let newest = match oldest {
            Some(oldest) if oldest.age > most => lanes::newest(&self.conn)?,
            _ => Vec::new(),
        };
        self.order = std::mem::take(&mut self.order).look(oldest, most, newest);
        Ok(())
    }

    /// Rows were settled.
    pub(crate) fn settled(&mut self, rows: &[RowId]) {
        self.order = std::mem::take(&mut self.order).settled(rows);
    }

    /// A moment of the age clock by today's wall clock.
    pub(crate) fn dated(&self, at: i64) -> SystemTime {
        let wall = self.place.outside.clock.wall();
        wall.checked_sub(Duration::from_millis(self.age(at))).unwrap_or(UNIX_EPOCH)
    }

    fn age(&self, at: i64) -> u64 {
        self.now().saturating_sub(u64::try_from(at).unwrap_or(0))
    }

    /// The ledger as last committed, but for what lingers.
    pub(crate) fn ledger(&self) -> Result<Ledger, StoreError> {
        let books = &self.books;
        let oldest = lanes::oldest(&self.conn)?.map(|at| self.dated(at));
        Ok(Ledger {
            generated: books.generated(),
            uploaded: books.uploaded,
            dropped: books.dropped,
            pending: books.pending(),
            generated_by_level: books.by_level,
            withheld: books.withheld + self.withheld,
            refused: books.refused + self.refused,
            bytes: self.bytes()?,
            max_bytes: self.place.settings.max_bytes,
            oldest,
            next_seq: books.next_seq(),
            before: books.before,
            last_upload: last_upload(books),
            dead_letters: dead::count(&self.conn)?,
            gaps: books.gaps.list().len(),
            fsyncs: self.fsyncs,
            damages: books.damages,
            ..Ledger::default()
        })
    }

    /// Reads every row and compares what is there with what the counters say.
    pub(crate) fn verify(&self) -> Result<Verdict, StoreError> {
        lanes::verify(&self.conn, &self.books)
    }

    /// Takes out every row that is damaged.
    pub(crate) fn mend(&mut self) -> Result<(), StoreError> {
        let mut last = i64::MIN;
        while let Some(row) = lanes::after(&self.conn, last)? {
            last = row.id;
            if row.trusted().is_none() {
                self.write(|conn, books| lanes::discard_damaged(conn, books, &[RowId(last)]))?;
            }
        }
        Ok(())
    }

    /// Opens the connection again after a read or write error: `SQLite` asks for that before the
    /// file is believed again.
    pub(crate) fn reopen(&mut self) -> Result<(), StoreError> {
        self.close_connection()?;
        if self.place.dir.join(SALVAGE).exists() {
            return self.rebuild();
        }
        self.conn = open(&self.place.store(), self.place.settings.max_bytes)?;
        self.log_is_new = false;
        self.resolve()?;
        self.detached = false;
        Ok(())
    }

    /// Lets go of the file; until another connection is set every operation fails.
    pub(crate) fn close_connection(&mut self) -> Result<(), StoreError> {
        self.detached = true;
        self.conn = Connection::open_in_memory()?;
        Ok(())
    }
}

/// Opens the file with its settings and its limit.
pub(crate) fn open(path: &Path, max_bytes: u64) -> rusqlite::Result<Connection> {
    let mut conn = schema::connect(path)?;
    conn.wal_hook(Some(|_: &mut Wal, pages| {
        LOG_PAGES.set(u64::try_from(pages).unwrap_or(0));
        Ok(())
    }))?;
    schema::limit(&conn, max_bytes)?;
    Ok(conn)
}

/// Bytes of pages in use, of the transaction's own state inside one.
pub(crate) fn allocated(conn: &Connection) -> Result<u64, StoreError> {
    let used = pragma(conn, "page_count")? - pragma(conn, "freelist_count")?;
    Ok(u64::try_from(used).unwrap_or(0) * PAGE)
}

/// Whether the error leaves the connection in doubt. One that was opened while the file system
/// was read-only stays so, even after the file system no longer is.
pub(crate) fn wants_reopening(error: &StoreError) -> bool {
    matches!(error, StoreError::Sqlite(error) if matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen)
    ))
}

fn last_upload(books: &Books) -> Option<SystemTime> {
    (books.last_upload > 0).then(|| UNIX_EPOCH + Duration::from_millis(books.last_upload))
}
