//! The rows of the queue, as statements: put in, read in the order of sending, taken out.
//!
//! # Invariants
//! - [`remove`] is the one function that takes records out, and it demands a [`Fate`]; whatever it
//!   deletes it counts, in the caller's transaction.
//! - [`discard_damaged`] is its twin for rows whose own count cannot be believed: it counts by what
//!   is left.

use candor_model::{Kind, Level};
use rusqlite::{Connection, OptionalExtension as _, Row as Columns};

use crate::books::{Books, Fate, Unbalanced};
use crate::damage::StoreError;
use crate::row::{Row, RowId, Stored, Want};

/// Rows looked at in one call of [`next`]: what bounds its time when kinds alternate.
const MOST_ROWS: usize = 512;

const COLUMNS: &str = "id, level, kind, records, at, boot, sum, body";

/// Which rows to take out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    /// One row.
    One(RowId),
    /// Every lane above a level.
    Above(Level),
    /// Rows whose `at` is before this.
    Before(i64),
    /// Everything.
    All,
}

impl Which {
    fn condition(self) -> (&'static str, i64) {
        match self {
            Self::One(id) => ("id = ?1", id.0),
            Self::Above(level) => ("level > ?1", i64::from(level.number())),
            Self::Before(at) => ("at < ?1", at),
            Self::All => ("level >= ?1", i64::MIN),
        }
    }
}

/// Puts a row in.
pub(crate) fn insert(conn: &Connection, row: &Stored) -> rusqlite::Result<()> {
    let sql = "INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    conn.prepare_cached(sql)?
        .execute((row.id, row.level, row.kind, row.records, row.at, &row.boot, row.sum, &row.body))
        .map(drop)
}

/// Takes rows out and counts their records; how many records that were.
pub(crate) fn remove(
    conn: &Connection,
    books: &mut Books,
    which: Which,
    fate: Fate,
) -> Result<u64, StoreError> {
    let (condition, value) = which.condition();
    let sum = format!("SELECT coalesce(sum(records), 0) FROM batch WHERE {condition}");
    let records: i64 = conn.prepare_cached(&sum)?.query_row([value], |row| row.get(0))?;
    conn.prepare_cached(&format!("DELETE FROM batch WHERE {condition}"))?.execute([value])?;
    let records = u64::try_from(records).map_err(|_| Unbalanced)?;
    books.settle(records, fate)?;
    Ok(records)
}

/// Takes damaged rows out; what is missing then is `corrupt`.
pub(crate) fn discard_damaged(
    conn: &Connection,
    books: &mut Books,
    rows: &[RowId],
) -> Result<(), StoreError> {
    for row in rows {
        conn.prepare_cached("DELETE FROM batch WHERE id = ?1")?.execute([row.0])?;
    }
    let left = waiting(conn)?;
    if left > books.pending() {
        return Err(StoreError::Unbalanced);
    }
    books.reconcile(left);
    Ok(())
}

/// Records that wait, by the rows' own counts; read from the index alone.
pub(crate) fn waiting(conn: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(records), 0) FROM batch INDEXED BY lane";
    let sum: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    u64::try_from(sum).map_err(|_| StoreError::Unbalanced)
}

/// What [`next`] found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) kind: Option<Kind>,
    pub(crate) rows: Vec<Row>,
    /// Rows whose checksum does not hold; nothing was collected after the first of them.
    pub(crate) damaged: Vec<RowId>,
    bytes: usize,
}

/// The rows to send next: security first, then oldest first, one kind, bounded bytes.
pub(crate) fn next(conn: &Connection, want: Want) -> rusqlite::Result<Found> {
    let mut found = Found::default();
    let security = format!("SELECT {COLUMNS} FROM batch WHERE level = 0 AND ?1 >= 0 ORDER BY id");
    // By the primary key, never by a sort: a sort would hold bodies in memory.
    let others = format!("SELECT {COLUMNS} FROM batch WHERE +level BETWEEN 1 AND ?1 ORDER BY id");
    let room = collect(conn, (&security, want), &mut found)?;
    if room && want.up_to > Level::Security {
        collect(conn, (&others, want), &mut found)?;
    }
    Ok(found)
}

/// Collects rows of one statement; whether there is room for more.
fn collect(
    conn: &Connection,
    (sql, want): (&str, Want),
    found: &mut Found,
) -> rusqlite::Result<bool> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([want.up_to.number()])?;
    let mut seen = 0;
    while let Some(columns) = rows.next()? {
        seen += 1;
        let kind = Kind::from_number(columns.get(2)?);
        if seen > MOST_ROWS {
            return Ok(false);
        }
        if found.kind.is_some() && kind != found.kind {
            continue;
        }
        let stored = stored(columns)?;
        let id = RowId(stored.id);
        let Some((kind, row)) = stored.trusted() else {
            found.damaged.push(id);
            return Ok(false);
        };
        if !found.rows.is_empty() && found.bytes + row.bytes.len() > want.max_bytes {
            return Ok(false);
        }
        found.bytes += row.bytes.len();
        found.kind = Some(kind);
        found.rows.push(row);
    }
    Ok(true)
}

/// One row as it lies there, for a split or a rejection.
pub(crate) fn find(conn: &Connection, id: RowId) -> rusqlite::Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM batch WHERE id = ?1");
    conn.prepare_cached(&sql)?.query_row([id.0], stored).optional()
}

/// The first row after `id`, for a walk over the whole store in bounded memory.
pub(crate) fn after(conn: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM batch WHERE id > ?1 ORDER BY id LIMIT 1");
    conn.prepare_cached(&sql)?.query_row([id], stored).optional()
}

/// The last row before `id`, for the walk from the other end of a damaged store.
pub(crate) fn before(conn: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM batch WHERE id < ?1 ORDER BY id DESC LIMIT 1");
    conn.prepare_cached(&sql)?.query_row([id], stored).optional()
}

/// `at` of the oldest row.
pub(crate) fn oldest(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT at FROM batch ORDER BY id LIMIT 1";
    conn.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()
}

/// The oldest row of the least valuable lane, if that lane is not more valuable than `level`.
pub(crate) fn least_valuable(conn: &Connection, level: Level) -> rusqlite::Result<Option<RowId>> {
    let sql = "SELECT id FROM batch WHERE level >= ?1 ORDER BY level DESC, id LIMIT 1";
    let found =
        conn.prepare_cached(sql)?.query_row([level.number()], |row| row.get(0)).optional()?;
    Ok(found.map(RowId))
}

pub(crate) fn stored(row: &Columns<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        level: row.get(1)?,
        kind: row.get(2)?,
        records: row.get(3)?,
        at: row.get(4)?,
        boot: row.get(5)?,
        sum: row.get(6)?,
        body: row.get(7)?,
    })
}
