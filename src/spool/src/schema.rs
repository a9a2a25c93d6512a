//! The connection and the tables: settings of `SQLite`, the first making, and the look at what an
//! existing file holds. The picture of the tables stands in `lib.rs`.
//!
//! # Invariants
//! - A file that this version did not make is never written to: it is damage or of another version.

use std::path::Path;
use std::time::Duration;

use candor_model::DropReason;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::books::Books;
use crate::gaps::{Gap, Gaps};

pub(crate) const PAGE: u64 = 4096;
/// Pages beyond the cap that the file may grow by: the fixed tables, and room to settle accounts.
const SLACK_PAGES: u64 = 64;
const VERSION: i64 = 2;
/// Stores since this one have the same tables; their rows say for themselves how they are kept.
const OLDEST: i64 = 1;
/// `CAND`.
const APPLICATION: i64 = 0x4341_4e44;

const TABLES: &str = "
CREATE TABLE batch (
  id INTEGER PRIMARY KEY, level INTEGER NOT NULL, kind INTEGER NOT NULL, records INTEGER NOT NULL,
  at INTEGER NOT NULL, boot TEXT NOT NULL, sum INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX lane ON batch (level, id, records);
CREATE TABLE dead (
  id INTEGER PRIMARY KEY, level INTEGER NOT NULL, kind INTEGER NOT NULL, records INTEGER NOT NULL,
  at INTEGER NOT NULL, boot TEXT NOT NULL, sum INTEGER NOT NULL, answer TEXT NOT NULL,
  body BLOB NOT NULL) STRICT;
CREATE TABLE ledger (word TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// What stores of this version got later, beside [`TABLES`]; a store without it is whole.
const LATER: &str = "
CREATE TABLE IF NOT EXISTS gap (
  first INTEGER NOT NULL, reason TEXT NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
  sum INTEGER NOT NULL, PRIMARY KEY (first, reason)) STRICT, WITHOUT ROWID;
";

/// What a store that opened turned out to be.
#[derive(Debug)]
pub(crate) enum Content {
    /// No table yet.
    Empty,
    /// Ours; `None` where the part is damaged.
    Ours {
        /// The counters.
        books: Option<Box<Books>>,
        /// The installation's id.
        install_id: Option<String>,
    },
    /// Of another program, or of another version of this one.
    Foreign,
}

/// Opens a file with every setting of a store.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::ZERO)?;
    conn.set_prepared_statement_cache_capacity(32);
    // Exclusive before the log is first touched: no shared-memory file, nothing mapped, and a
    // second process is refused by SQLite itself. The log is folded in by `Store::checkpoint`
    // alone, so that its cost is known and its size is bounded by what is seen after each commit.
    conn.execute_batch(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;
         PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;
         PRAGMA journal_size_limit=4194304; PRAGMA mmap_size=0; PRAGMA cache_size=-256;
         PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;
         PRAGMA secure_delete=ON;",
    )?;
    Ok(conn)
}

/// Sets the hard stop of the file's growth. A file that is larger already stays as it is.
pub(crate) fn limit(conn: &Connection, max_bytes: u64) -> rusqlite::Result<()> {
    let pages = i64::try_from(max_bytes / PAGE + SLACK_PAGES).unwrap_or(i64::MAX);
    conn.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))
}

/// Makes the tables, in the transaction that the caller has begun.
pub(crate) fn create(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(TABLES)?;
    complete(conn)?;
    conn.execute_batch(&format!(
        "PRAGMA application_id={APPLICATION}; PRAGMA user_version={VERSION};"
    ))
}

/// Makes the tables that an earlier agent's store lacks.
fn complete(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(LATER)
}

/// Makes an earlier agent's store one of this version: no row is touched, so it takes no time.
pub(crate) fn upgrade(conn: &Connection) -> rusqlite::Result<()> {
    complete(conn)?;
    if pragma(conn, "user_version")? != VERSION {
        conn.execute_batch(&format!("PRAGMA user_version={VERSION};"))?;
    }
    Ok(())
}

/// Whether the tables of a store of this version are those of ours.
pub(crate) const fn is_known(version: i64) -> bool {
    OLDEST <= version && version <= VERSION
}

/// Looks at an open file without changing it.
pub(crate) fn inspect(conn: &Connection) -> rusqlite::Result<Content> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    let number = |name: &str| pragma(conn, name);
    let made_by = (number("application_id")?, number("user_version")?);
    if tables == 0 && made_by == (0, 0) {
        return Ok(Content::Empty);
    }
    if made_by.0 != APPLICATION || !is_known(made_by.1) || number("auto_vacuum")? != 2 {
        return Ok(Content::Foreign);
    }
    Ok(Content::Ours {
        books: read_books(conn)?.map(Box::new),
        install_id: read_meta(conn, INSTALL_ID)?,
    })
}

/// One number that a pragma answers.
pub(crate) fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))
}

/// Key of the installation's id in `meta`.
pub(crate) const INSTALL_ID: &str = "install_id";
/// Key of the secret whose hash the id is.
pub(crate) const INSTALL_KEY: &str = "install_key";

pub(crate) fn read_meta(conn: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let mut find = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    find.query_row([key], |row| row.get(0)).optional()
}

pub(crate) fn write_meta(conn: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
    conn.prepare_cached(sql)?.execute([key, value]).map(drop)
}

/// The stored counters; `None` when their sum does not hold.
pub(crate) fn read_books(conn: &Connection) -> rusqlite::Result<Option<Books>> {
    let mut select = conn.prepare_cached("SELECT word, number FROM ledger")?;
    let list: Vec<(String, i64)> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let find = |word: &str| {
        let (_, number) = list.iter().find(|(w, _)| w == word)?;
        u64::try_from(*number).ok()
    };
    let Some(mut books) = Books::read(find) else { return Ok(None) };
    books.gaps = read_gaps(conn)?;
    Ok(Some(books))
}

/// The ranges that are not yet told, but for damaged ones.
pub(crate) fn read_gaps(conn: &Connection) -> rusqlite::Result<Gaps> {
    let find = "SELECT count(*) FROM sqlite_schema WHERE name = 'gap'";
    if conn.query_row(find, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(Gaps::default());
    }
    let mut select = conn.prepare_cached("SELECT first, last, count, reason, sum FROM gap")?;
    let mut rows = select.query([])?;
    let mut gaps = Vec::new();
    while let Some(row) = rows.next()? {
        let number = |column| row.get(column).map(|n: i64| u64::try_from(n).unwrap_or(0));
        let (word, sum): (String, i64) = (row.get(3)?, row.get(4)?);
        let Some(reason) = DropReason::from_word(&word) else { continue };
        let gap = Gap { first: number(0)?, last: number(1)?, count: number(2)?, reason };
        if gap.checksum() == sum {
            gaps.push(gap);
        }
    }
    Ok(Gaps::of(gaps))
}

/// Writes the ranges that differ from `before`.
fn write_gaps(conn: &Connection, before: &[Gap], after: &[Gap]) -> rusqlite::Result<()> {
    let mut delete = conn.prepare_cached("DELETE FROM gap WHERE first = ?1 AND reason = ?2")?;
    for gap in before.iter().filter(|gap| !after.contains(gap)) {
        delete.execute((signed(gap.first), gap.reason.word()))?;
    }
    let mut insert =
        conn.prepare_cached("INSERT OR REPLACE INTO gap VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for gap in after.iter().filter(|gap| !before.contains(gap)) {
        let Gap { first, last, count, reason } = *gap;
        let numbers = (signed(last), signed(count), gap.checksum());
        insert.execute((signed(first), reason.word(), numbers.0, numbers.1, numbers.2))?;
    }
    Ok(())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes the counters and ranges that differ from `before`; all of them when there is none.
pub(crate) fn write_books(
    conn: &Connection,
    before: Option<&Books>,
    after: &Books,
) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO ledger VALUES (?1, ?2) ON CONFLICT DO UPDATE SET number = excluded.number";
    let mut upsert = conn.prepare_cached(sql)?;
    let old = before.map(Books::list);
    for (word, number) in after.list() {
        if old.as_ref().is_none_or(|old| !old.contains(&(word, number))) {
            upsert.execute((word, signed(number)))?;
        }
    }
    match before {
        Some(before) if before.gaps == after.gaps => Ok(()),
        Some(before) => write_gaps(conn, before.gaps.list(), after.gaps.list()),
        None => {
            conn.execute("DELETE FROM gap", [])?;
            write_gaps(conn, &[], after.gaps.list())
        }
    }
}
