//! The store of an agent that does not run: looked at without changing a byte, and repaired when
//! asked to. What `agentctl spool` and `agentctl audit` work with.
//!
//! # Invariants
//! - Looking writes nothing: the log is read where it lies and not folded in.
//! - A store that an agent has open is refused; so there is one truth.
//!
//! On failure an [`OfflineError`] says which file, and what to do; damage is a finding of
//! [`Offline::verify`] wherever the file still opens.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candor_model::{InstallKey, Kind};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use crate::books::Books;
use crate::damage::{self, SALVAGE, STORE, StoreError};
use crate::dead::{self, DeadLetter};
use crate::error::OpenError;
use crate::gaps::Gap;
use crate::ledger::{Ledger, Verdict};
use crate::mirror::{Entry, Reflection};
use crate::peek;
use crate::press::Press;
use crate::row::{Row, Stored};
use crate::settings::{Framing, Settings, Surroundings};
use crate::store::{Place, Store};
use crate::{commit, lanes, look, schema};

/// Why a store of a stopped agent cannot be looked at.
#[derive(Debug, Error)]
pub enum OfflineError {
    /// There is none.
    #[error("there is no store {}; the agent never collected here", path.display())]
    Absent {
        /// Where it would be.
        path: PathBuf,
    },
    /// An agent has it open.
    #[error("the store {} is in use; ask the agent, or stop it first", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// It cannot be read as a store of this version.
    #[error("the store {} is damaged; `agentctl spool repair` saves what can be read", path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What SQLite said; `None` where the counters contradict themselves.
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// It could not be opened or repaired.
    #[error("cannot open the store {}; check its owner and its mode", path.display())]
    Unopened {
        /// The store.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<OpenError>,
    },
}

/// What comparing a store with itself and with its mirror found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The rows against the counters.
    pub verdict: Verdict,
    /// Whether the mirror has the same id and the same counters; `None` where there is no mirror.
    pub mirror_agrees: Option<bool>,
    /// A recovery was cut off and is taken up at the next start.
    pub is_unfinished: bool,
    /// The ledger.
    pub ledger: Ledger,
}

impl Audit {
    /// Whether nothing disagrees.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.verdict.is_sound() && !matches!(self.mirror_agrees, Some(false)) && !self.is_unfinished
    }
}

impl Audit {
    /// What disagrees, each in a sentence; none when it is sound.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut findings = self.verdict.findings();
        if self.mirror_agrees == Some(false) {
            findings.push("the mirror has other counters than the store".to_owned());
        }
        if self.is_unfinished {
            findings.push("a recovery was cut off; the next start goes on with it".to_owned());
        }
        findings
    }
}

/// What a repair came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Records that waited before, by the counters that could be read; `None` where none could.
    pub pending_before: Option<u64>,
    /// Records that were found damaged, and counted `corrupt`.
    pub lost: u64,
    /// Whether the store was set aside and a new one made of what could be read.
    pub was_rebuilt: bool,
    /// The store as it is now.
    pub audit: Audit,
}

/// An open store of an agent that does not run.
#[derive(Debug)]
pub struct Offline {
    // Before the connection: it holds the lock.
    _log: LogLeft,
    conn: Connection,
    dir: PathBuf,
    books: Books,
    install_id: String,
}

/// Where there was no log, looking makes an empty one, which goes again while nobody else may have it open.
#[derive(Debug)]
struct LogLeft(Option<PathBuf>);

impl LogLeft {
    /// For whoever holds the lock: without it the log may be another's.
    fn of(log: PathBuf, was_there: bool) -> Self {
        Self((!was_there).then_some(log))
    }
}

impl Drop for LogLeft {
    fn drop(&mut self) {
        if let Some(log) = self.0.take()
            && std::fs::metadata(&log).is_ok_and(|facts| facts.len() == 0)
        {
            // Where it stays, the next start takes it for the empty log that it is.
            let _ = std::fs::remove_file(log);
        }
    }
}

impl Offline {
    /// Opens the store in a state directory for reading.
    ///
    /// # Errors
    /// [`OfflineError`].
    pub fn open(dir: &Path) -> Result<Self, OfflineError> {
        let path = dir.join(STORE);
        if !path.exists() {
            return Err(OfflineError::Absent { path });
        }
        let refused = |source: rusqlite::Error| {
            let path = path.clone();
            if damage::is_in_use(&source) {
                OfflineError::InUse { path }
            } else {
                OfflineError::Damaged { path, source: Some(source) }
            }
        };
        let conn = connect(&path).map_err(refused)?;
        let log = path.with_file_name(format!("{STORE}-wal"));
        let was_there = log.exists();
        let found = schema::inspect(&conn).map_err(refused)?;
        // The first read took the lock; the log goes before it is let go, on errors as well.
        let log = LogLeft::of(log, was_there);
        let schema::Content::Ours { books: Some(books), install_id: Some(install_id) } = found
        else {
            return Err(OfflineError::Damaged { path, source: None });
        };
        Ok(Self { _log: log, conn, dir: dir.to_owned(), books: *books, install_id })
    }

    /// Opens the store as an agent would, takes out what is damaged, and looks at it again.
    ///
    /// # Errors
    /// [`OfflineError::InUse`], [`OfflineError::Unopened`], [`OfflineError::Damaged`] where the
    /// repaired store refuses as well: the medium fails.
    pub fn repair(dir: &Path, settings: Settings) -> Result<Repair, OfflineError> {
        let path = dir.join(STORE);
        let before = peek::peek(dir);
        let mut store = Self::open_to_change(dir, settings)?;
        let mended = store.mend().and_then(|()| store.checkpoint());
        mended.map_err(|error| damaged(&path, error))?;
        let damages = store.books.damages;
        drop(store);
        let audit = Self::open(dir)?.verify()?;
        let corrupt = |ledger: &Ledger| ledger.dropped.get(candor_model::DropReason::Corrupt);
        let known = before.as_ref().map(|peek| &peek.ledger);
        Ok(Repair {
            pending_before: known.map(|ledger| ledger.pending),
            lost: corrupt(&audit.ledger).saturating_sub(known.map_or(0, corrupt)),
            was_rebuilt: known.is_some_and(|ledger| ledger.damages < damages),
            audit,
        })
    }

    /// Makes a new record of a dead letter, as [`Spool::replay`](crate::Spool::replay) does.
    ///
    /// # Errors
    /// As [`repair`](Self::repair).
    pub fn replay(
        dir: &Path,
        settings: Settings,
        framing: Box<dyn Framing>,
        seq: u64,
    ) -> Result<Option<u64>, OfflineError> {
        let path = dir.join(STORE);
        if !path.exists() {
            return Err(OfflineError::Absent { path });
        }
        let mut store = Self::open_to_change(dir, settings)?;
        let replayed = commit::replay(&mut store, &Press::new(framing), seq);
        let replayed = replayed.and_then(|number| store.checkpoint().map(|()| number));
        replayed.map_err(|error| damaged(&path, error))
    }

    fn open_to_change(dir: &Path, settings: Settings) -> Result<Store, OfflineError> {
        let place = Place { dir: dir.to_owned(), settings, outside: Surroundings::default() };
        let path = place.store();
        Store::open(place).map_err(|error| match error {
            OpenError::InUse { path } => OfflineError::InUse { path },
            other => OfflineError::Unopened { path, source: Box::new(other) },
        })
    }

    /// The random id of the installation.
    #[must_use]
    pub fn install_id(&self) -> &str {
        &self.install_id
    }

    /// The secret whose hash the install id is; `None` where an earlier agent made the id.
    ///
    /// # Errors
    /// [`OfflineError::Damaged`].
    pub fn install_key(&self) -> Result<Option<InstallKey>, OfflineError> {
        let key = schema::read_meta(&self.conn, schema::INSTALL_KEY)
            .map_err(|error| damaged(&self.dir.join(STORE), StoreError::Sqlite(error)))?;
        Ok(key.and_then(|key| key.parse().ok()))
    }

    /// Reads every row, derives the ledger again, and compares it with the counters and the mirror.
    ///
    /// # Errors
    /// [`OfflineError::Damaged`] where a page cannot be read.
    pub fn verify(&self) -> Result<Audit, OfflineError> {
        let path = self.dir.join(STORE);
        let verdict = lanes::verify(&self.conn, &self.books).map_err(|e| damaged(&path, e))?;
        let Reflection { intent, done } = Reflection::read(&self.dir);
        let mirror_agrees = done.map(|done| {
            // A process that was killed after COMMIT had told the mirror its intent only.
            let is_cut_off = done.books.serial < self.books.serial;
            self.is_as(&done) || (is_cut_off && intent.is_some_and(|intent| self.is_as(&intent)))
        });
        let ledger = peek::ledger(&self.books);
        let is_unfinished = self.dir.join(SALVAGE).exists();
        Ok(Audit { verdict, mirror_agrees, is_unfinished, ledger })
    }

    /// Whether a slot of the mirror says what the store says; it does not know the ranges to be told.
    fn is_as(&self, entry: &Entry) -> bool {
        let books = Books { gaps: self.books.gaps.clone(), ..entry.books.clone() };
        entry.install_id == self.install_id && books == self.books
    }

    /// Hands over every whole row, in the order of its numbers, one at a time in memory; how many
    /// rows were damaged and left out.
    ///
    /// # Errors
    /// What `take` answers, or [`OfflineError::Damaged`] where a page cannot be read.
    pub fn rows<E: From<OfflineError>>(
        &self,
        mut take: impl FnMut(Kind, Row) -> Result<(), E>,
    ) -> Result<u64, E> {
        let path = self.dir.join(STORE);
        let (mut last, mut left_out) = (i64::MIN, 0);
        loop {
            let next = lanes::after(&self.conn, last);
            let next = next.map_err(|e| damaged(&path, StoreError::Sqlite(e)))?;
            let Some(row) = next else { return Ok(left_out) };
            last = row.id;
            // Unpacked, so that whoever takes it can read it.
            match row.unpacked().and_then(Stored::trusted) {
                Some((kind, row)) => take(kind, row)?,
                None => left_out += 1,
            }
        }
    }

    /// As [`Spool::page_before`](crate::Spool::page_before).
    ///
    /// # Errors
    /// [`OfflineError::Damaged`] where a page cannot be read.
    pub fn page_before(
        &self,
        before: u64,
        max_bytes: usize,
    ) -> Result<Vec<(Kind, Row)>, OfflineError> {
        look::before(&self.conn, before, max_bytes)
            .map_err(|error| damaged(&self.dir.join(STORE), StoreError::Sqlite(error)))
    }

    /// The dead letters, oldest first; times by the clock at the last commit.
    ///
    /// # Errors
    /// [`OfflineError::Damaged`].
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, OfflineError> {
        let mark = self.books.mark;
        let dated = |at: i64| -> SystemTime {
            let age = mark.at.saturating_sub(u64::try_from(at).unwrap_or(0));
            UNIX_EPOCH + Duration::from_millis(mark.wall.saturating_sub(age))
        };
        dead::list(&self.conn, dated)
            .map_err(|error| damaged(&self.dir.join(STORE), StoreError::Sqlite(error)))
    }

    /// Ranges of dropped numbers that the receiver was not yet told of.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        self.books.gaps.list()
    }
}

fn damaged(path: &Path, error: StoreError) -> OfflineError {
    OfflineError::Damaged { path: path.to_owned(), source: Some(error.into_sqlite()) }
}

/// A connection that changes nothing: the lock keeps an agent out, the log is not folded in when
/// it closes, and no statement may write.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::ZERO)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.execute_batch(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA query_only=ON; PRAGMA mmap_size=0;
         PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;",
    )?;
    Ok(conn)
}
