//! What the uploader and the owner do with rows, each in one transaction with its count.
//!
//! # Invariants
//! - A row that is gone meanwhile (withdrawn, expired, evicted) is counted by whoever took it; an
//!   answer about it changes nothing.
//! - Nothing leaves by [`next`] but what is whole.

use candor_model::{DropReason, Level};

use crate::books::Fate;
use crate::damage::StoreError;
use crate::dead::{self, DeadLetter};
use crate::lanes::{self, Which};
use crate::row::{Parcel, RowId, Stored, Want};
use crate::schema;
use crate::settings::Framing;
use crate::store::Store;

/// The rows to send next. Damaged ones on the way are counted out.
pub(crate) fn next(store: &mut Store, want: Want) -> Result<Option<Parcel>, StoreError> {
    loop {
        let found = lanes::next(&store.conn, want)?;
        let damaged = found.damaged;
        if !damaged.is_empty() {
            tracing::error!(rows = damaged.len(), "rows are damaged and are not delivered");
            store.write(|conn, books| lanes::discard_damaged(conn, books, &damaged))?;
        }
        match found.kind {
            Some(kind) => return Ok(Some(Parcel { kind, rows: found.rows })),
            None if !damaged.is_empty() => {}
            // Counters that wait for rows which cannot be found are damage as well.
            None if want.up_to == Level::Full && store.books.pending() > 0 => {
                return Err(StoreError::Unbalanced);
            }
            None => return Ok(None),
        }
    }
}

/// An endpoint has these rows, but for `rejected` of their records.
pub(crate) fn uploaded(store: &mut Store, rows: &[RowId], rejected: u64) -> Result<(), StoreError> {
    // Overwriting what was delivered would write each byte twice; the next purge gives the pages
    // back. No row is put in by this transaction, so none can take over their old bytes.
    store.conn.execute_batch("PRAGMA secure_delete=FAST")?;
    let wall = crate::timeline::unix_millis(store.place.outside.clock.wall());
    let outcome = store.write(|conn, books| {
        let (mut left, before) = (rejected, books.uploaded);
        for &row in rows {
            let fate = Fate::Uploaded { rejected: left };
            left = left.saturating_sub(lanes::remove(conn, books, Which::One(row), fate)?);
        }
        if books.uploaded > before {
            books.last_upload = wall;
        }
        Ok(())
    });
    store.conn.execute_batch("PRAGMA secure_delete=ON")?;
    outcome
}

/// Makes two rows of one; false when it holds one record, or is gone.
pub(crate) fn split(
    store: &mut Store,
    framing: &dyn Framing,
    id: RowId,
) -> Result<bool, StoreError> {
    let Some(row) = lanes::find(&store.conn, id)? else { return Ok(false) };
    let Some((kind, trusted)) = row.clone().trusted() else { return Ok(false) };
    let half = trusted.records / 2;
    let Some(at) = frames_end(framing, kind, &trusted.bytes, half) else { return Ok(false) };
    let (first, second) = halves(row, at, i64::from(half));
    store.write(|conn, _| {
        // Not `remove`: no record leaves, the same ones come back in the next two lines.
        conn.prepare_cached("DELETE FROM batch WHERE id = ?1")?.execute([id.0])?;
        lanes::insert(conn, &first)?;
        lanes::insert(conn, &second)?;
        Ok(true)
    })
}

/// Where the first `records` frames end; `None` when there is nothing to cut.
fn frames_end(
    framing: &dyn Framing,
    kind: candor_model::Kind,
    bytes: &[u8],
    records: u32,
) -> Option<usize> {
    let mut end = 0;
    for _ in 0..records {
        end += framing.frame_len(kind, bytes.get(end..)?)?;
    }
    (end > 0 && end < bytes.len()).then_some(end)
}

fn halves(mut first: Stored, at: usize, records: i64) -> (Stored, Stored) {
    let body = first.body.split_off(at);
    let (id, rest) = (first.id + records, first.records - records);
    let mut second = Stored { id, records: rest, body, sum: 0, ..first.clone() };
    first.records = records;
    first.sum = first.checksum();
    second.sum = second.checksum();
    (first, second)
}

/// An endpoint refused a row for good: its records are dropped, and it is kept as a dead letter.
pub(crate) fn reject(store: &mut Store, id: RowId, answer: &str) -> Result<(), StoreError> {
    store.write(|conn, books| {
        if let Some(row) = lanes::find(conn, id)? {
            dead::lay(conn, &row, answer)?;
            lanes::remove(conn, books, Which::One(id), Fate::Dropped(DropReason::Rejected))?;
        }
        Ok(())
    })
}

/// Drops rows for a reason; how many records that were.
pub(crate) fn drop_rows(
    store: &mut Store,
    rows: &[RowId],
    reason: DropReason,
) -> Result<u64, StoreError> {
    store.write(|conn, books| {
        let mut dropped = 0;
        for &row in rows {
            dropped += lanes::remove(conn, books, Which::One(row), Fate::Dropped(reason))?;
        }
        Ok(dropped)
    })
}

/// Takes back every lane above a level, dead letters included; how many records that were.
pub(crate) fn withdraw(store: &mut Store, level: Level) -> Result<u64, StoreError> {
    purge(store, Which::Above(level), Some(level), DropReason::Withdrawn)
}

/// Takes back everything; how many records that were.
pub(crate) fn clear(store: &mut Store, reason: DropReason) -> Result<u64, StoreError> {
    purge(store, Which::All, None, reason)
}

fn purge(
    store: &mut Store,
    which: Which,
    dead_above: Option<Level>,
    reason: DropReason,
) -> Result<u64, StoreError> {
    store.write(|conn, books| {
        dead::purge(conn, dead_above)?;
        lanes::remove(conn, books, which, Fate::Dropped(reason))
    })
}

/// A value that survives restarts.
pub(crate) fn meta(store: &mut Store, key: &str) -> Result<Option<String>, StoreError> {
    Ok(schema::read_meta(&store.conn, key)?)
}

/// Sets it, if it is another.
pub(crate) fn set_meta(store: &mut Store, key: &str, value: &str) -> Result<(), StoreError> {
    if schema::read_meta(&store.conn, key)?.as_deref() == Some(value) {
        return Ok(());
    }
    store.write(|conn, _| Ok(schema::write_meta(conn, key, value)?))
}

/// The dead letters, oldest first.
pub(crate) fn dead_letters(store: &mut Store) -> Result<Vec<DeadLetter>, StoreError> {
    Ok(dead::list(&store.conn)?)
}
