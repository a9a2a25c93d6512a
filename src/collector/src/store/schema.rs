//! The shape of the store: one SQLite file, made and opened here.
//!
//! ```text
//! hosts    id, install_id ('' = a sender that gave none), first_seen, last_seen, version, os
//! records  id, host -> hosts.id, uid, boot_id, seq, level, kind, name, time, received, trace_id, json
//!            unique (host, uid)              a record is stored once
//!            (host, seq), (name, host, seq)  `query records`, `query gaps` stream without sorting
//!            (trace_id, time)                `query trace`, only rows that have one
//! exemplars  trace_id, time, record -> records.id
//!            the traces that a metric's exemplars name, for `query trace`; goes with its record
//! repeats  host -> hosts.id, seq
//!            numbers under which a record came that stands here already under another: a program that got
//!            no answer sent it again, or its owner replayed it. They are not missing.
//! erased   what was deleted at a host's request, and must not come back (erase.rs)
//! ```
//! Times are nanoseconds since 1970 in UTC. An id is unique within its host, so that one host cannot
//! take another's ids and so keep its records out.
//!
//! # Invariants
//! - `exemplars`, `repeats` and `erased` came later: a writer adds them to an older store, a reader does without.
//! - `application_id` says that the file is ours, `user_version` which shape it has; a file of
//!   another kind or of a later shape is refused, never changed.
//! - WAL with synchronous=FULL: a commit that returned survives a power cut.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// `CNDR`, in SQLite's header.
const APPLICATION: i32 = 0x434e_4452;
const VERSION: i32 = 1;
/// How long one process waits for another's lock.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE hosts (
    id         INTEGER PRIMARY KEY,
    install_id TEXT NOT NULL UNIQUE,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    version    TEXT,
    os         TEXT
) STRICT;
CREATE TABLE records (
    id       INTEGER PRIMARY KEY,
    host     INTEGER NOT NULL REFERENCES hosts (id),
    uid      TEXT NOT NULL,
    boot_id  TEXT,
    seq      INTEGER,
    level    INTEGER,
    kind     INTEGER NOT NULL,
    name     TEXT NOT NULL,
    time     INTEGER NOT NULL,
    received INTEGER NOT NULL,
    trace_id TEXT,
    json     TEXT NOT NULL,
    UNIQUE (host, uid)
) STRICT;
CREATE INDEX records_by_seq ON records (host, seq);
CREATE INDEX records_by_name ON records (name, host, seq);
CREATE INDEX records_by_trace ON records (trace_id, time) WHERE trace_id IS NOT NULL;
";
/// `time` is the record's, so that both indexes of a trace give its records in one order. A trigger and
/// not a cascade: it also works for whoever deletes with foreign keys off.
const EXEMPLARS: &str = "
CREATE TABLE IF NOT EXISTS exemplars (
    trace_id TEXT NOT NULL,
    time     INTEGER NOT NULL,
    record   INTEGER NOT NULL,
    PRIMARY KEY (trace_id, time, record)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS exemplars_by_record ON exemplars (record);
CREATE TRIGGER IF NOT EXISTS exemplars_go_with_their_record AFTER DELETE ON records BEGIN
    DELETE FROM exemplars WHERE record = old.id;
END;
";

const REPEATS: &str = "
CREATE TABLE IF NOT EXISTS repeats (
    host INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (host, seq)
) STRICT, WITHOUT ROWID;
";

/// Opens the store for the writer; makes it where there is none.
pub(super) fn open_to_write(path: &Path, max_bytes: Option<u64>) -> Result<Connection, StoreError> {
    let fail = |source| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    let db = Connection::open(path).map_err(fail)?;
    db.busy_timeout(BUSY).map_err(fail)?;
    check(&db, path, Absent::IsFine)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;",
    )
    .map_err(fail)?;
    make(&db).map_err(fail)?;
    db.execute_batch(EXEMPLARS).map_err(fail)?;
    db.execute_batch(REPEATS).map_err(fail)?;
    db.execute_batch(super::erase::TABLE).map_err(fail)?;
    if let Some(max_bytes) = max_bytes {
        let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(fail)?;
        let pages = i64::try_from(max_bytes).unwrap_or(i64::MAX) / page.max(1);
        // SQLite rounds up to what the file already has.
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(fail)?;
    }
    Ok(db)
}

/// Opens an existing store to look at it; a writer may be at work in another process.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let fail = |source| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(fail)?;
    db.busy_timeout(BUSY).map_err(fail)?;
    check(&db, path, Absent::IsForeign)?;
    Ok(db)
}

/// Whether the store has a table that earlier ones do not have.
pub(super) fn has(db: &Connection, table: &str) -> rusqlite::Result<bool> {
    let find = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    db.query_row(find, [table], |row| row.get(0))
}

#[derive(Clone, Copy, PartialEq)]
enum Absent {
    /// An empty file is a store that has yet to be made.
    IsFine,
    /// An empty file is no store.
    IsForeign,
}

fn check(db: &Connection, path: &Path, absent: Absent) -> Result<(), StoreError> {
    let pragma = |name| {
        db.pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(|source| StoreError::Open { path: path.to_owned(), source: Arc::new(source) })
    };
    let (application, version, schema) =
        (pragma("application_id")?, pragma("user_version")?, pragma("schema_version")?);
    let path = path.to_owned();
    match (application, version) {
        (APPLICATION, VERSION) => Ok(()),
        (APPLICATION, found) => Err(StoreError::Version { path, found }),
        (0, 0) if schema == 0 && absent == Absent::IsFine => Ok(()),
        _ => Err(StoreError::Foreign { path }),
    }
}

fn make(db: &Connection) -> rusqlite::Result<()> {
    let made: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if made == APPLICATION {
        return Ok(());
    }
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES}
         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_opens_again_and_another_programs_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        drop(open_to_write(&path, None).unwrap());
        drop(open_to_write(&path, None).unwrap());
        drop(open_to_read(&path).unwrap());

        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let before = std::fs::read(&foreign).unwrap();
        assert!(matches!(open_to_write(&foreign, None), Err(StoreError::Foreign { .. })));
        assert!(matches!(open_to_read(&foreign), Err(StoreError::Foreign { .. })));
        assert_eq!(std::fs::read(&foreign).unwrap(), before);
    }

    #[test]
    fn a_store_of_a_later_shape_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        let db = open_to_write(&path, None).unwrap();
        db.pragma_update(None, "user_version", VERSION + 1).unwrap();
        drop(db);
        assert!(matches!(open_to_write(&path, None), Err(StoreError::Version { found: 2, .. })));
    }

    #[test]
    fn there_is_nothing_to_read_before_something_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none.db");
        assert!(matches!(open_to_read(&path), Err(StoreError::Missing { .. })));
        assert!(!path.exists(), "looking must not make a store");
    }
}
