//! What waits, looked at from its newest end in bounded pieces; for those who show it.
//!
//! # Invariants
//! - Nothing is taken away, and a damaged row is passed over: it is counted when it is next to be sent.

use candor_model::Kind;
use rusqlite::Connection;

use crate::lanes;
use crate::row::Row;

/// Rows that one look gives at most, however small they are.
const MOST: usize = 64;

/// Whole rows whose first number is below `before`, newest first: at least one, then as many as hold
/// `max_bytes`.
pub(crate) fn before(
    conn: &Connection,
    before: u64,
    max_bytes: usize,
) -> rusqlite::Result<Vec<(Kind, Row)>> {
    let mut first = i64::try_from(before).unwrap_or(i64::MAX);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while rows.len() < MOST
        && let Some(row) = lanes::before(conn, first)?
    {
        first = row.id;
        let Some((kind, row)) = row.trusted() else { continue };
        bytes += row.size();
        if bytes > max_bytes && !rows.is_empty() {
            break;
        }
        rows.push((kind, row));
    }
    Ok(rows)
}
