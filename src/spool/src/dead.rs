//! Dead letters: records that an endpoint refused for good, kept with its words for a person to
//! look at. They were counted `rejected` when they came here and are outside the ledger; a replay
//! makes a new record of one, with a number of its own.
//!
//! # Invariants
//! - Bounded by count and by bytes; the oldest goes first.
//! - A purge takes them like what waits.

use std::sync::Arc;
use std::time::SystemTime;

use candor_model::{Kind, Level};
use rusqlite::{Connection, OptionalExtension as _};

use crate::row::{Row, Stored};

/// Letters kept at most.
pub(crate) const MOST: i64 = 64;
/// Bytes of bodies kept at most.
pub(crate) const MOST_BYTES: i64 = 1 << 20;
/// Bytes kept of an endpoint's answer.
const MOST_ANSWER: usize = 1024;

/// A record that an endpoint refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its sequence number.
    pub seq: u64,
    /// Its level.
    pub level: Level,
    /// Its OTLP signal.
    pub kind: Kind,
    /// Boot id of the boot in which it was observed.
    pub boot: Arc<str>,
    /// When it was committed, by today's wall clock.
    pub time: SystemTime,
    /// What the endpoint answered, cut at 1 KiB.
    pub answer: String,
    /// The sealed frame.
    pub bytes: Vec<u8>,
}

/// Lays a row down here, in the caller's transaction. It comes unpacked, so that the bound of bytes
/// is one of memory as well.
pub(crate) fn lay(conn: &Connection, row: &Stored, answer: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO dead VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    conn.prepare_cached(sql)?.execute((
        row.id,
        row.level,
        row.kind,
        row.records,
        row.at,
        &row.boot,
        row.sum,
        cut(answer),
        &row.body,
    ))?;
    trim(conn)
}

/// The first [`MOST_ANSWER`] bytes, at a character's border.
fn cut(answer: &str) -> &str {
    &answer[..answer.floor_char_boundary(MOST_ANSWER)]
}

/// Drops the oldest beyond the bounds.
fn trim(conn: &Connection) -> rusqlite::Result<()> {
    let sql = "DELETE FROM dead WHERE id IN (SELECT id FROM (
         SELECT id, row_number() OVER newest AS place, sum(length(body)) OVER newest AS bytes
         FROM dead WINDOW newest AS (ORDER BY id DESC)) WHERE place > ?1 OR bytes > ?2)";
    conn.prepare_cached(sql)?.execute([MOST, MOST_BYTES]).map(drop)
}

/// Drops what stands above a level; everything with `None`.
pub(crate) fn purge(conn: &Connection, above: Option<Level>) -> rusqlite::Result<()> {
    let level = above.map_or(-1, |level| i64::from(level.number()));
    conn.prepare_cached("DELETE FROM dead WHERE level > ?1")?.execute([level]).map(drop)
}

/// How many there are.
pub(crate) fn count(conn: &Connection) -> rusqlite::Result<u64> {
    let count: i64 =
        conn.prepare_cached("SELECT count(*) FROM dead")?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// All of them that are whole, oldest first.
pub(crate) fn list(
    conn: &Connection,
    dated: impl Fn(i64) -> SystemTime,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let sql = "SELECT id, level, kind, records, at, boot, sum, body, answer FROM dead ORDER BY id";
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let answer = row.get(8)?;
        let time = dated(row.get(4)?);
        if let Some((kind, row)) = crate::lanes::stored(row)?.trusted() {
            let Ok(frames) = row.frames() else { continue };
            let (seq, level, bytes) = (row.first_seq, row.level, frames.into_owned());
            letters.push(DeadLetter { seq, level, kind, boot: row.boot, time, answer, bytes });
        }
    }
    Ok(letters)
}

/// One of them, if it is whole.
pub(crate) fn find(conn: &Connection, seq: u64) -> rusqlite::Result<Option<(Kind, Row)>> {
    let sql = "SELECT id, level, kind, records, at, boot, sum, body FROM dead WHERE id = ?1";
    let id = i64::try_from(seq).unwrap_or(i64::MAX);
    let found = conn.prepare_cached(sql)?.query_row([id], crate::lanes::stored).optional()?;
    Ok(found.and_then(Stored::trusted))
}

/// Takes one away.
pub(crate) fn take(conn: &Connection, seq: u64) -> rusqlite::Result<()> {
    let id = i64::try_from(seq).unwrap_or(i64::MAX);
    conn.prepare_cached("DELETE FROM dead WHERE id = ?1")?.execute([id]).map(drop)
}
