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
use crate::gaps::Gap;
use crate::lanes::{self, Which};
use crate::row::{Parcel, RowId, Stored, Want};
use crate::schema;
use crate::settings::Framing;
use crate::store::Store;

/// Bytes of bodies that are purged in one commit where the disk is full.
const PURGE_BYTES: i64 = 512 * 1024;

/// The rows to send next. Damaged ones on the way are counted out.
pub(crate) fn next(store: &mut Store, want: Want) -> Result<Option<Parcel>, StoreError> {
    loop {
        let found = lanes::next(&store.conn, want, store.order.ahead())?;
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
    store.overwrite(false)?;
    let wall = crate::timeline::unix_millis(store.place.outside.clock.wall());
    let outcome = store.write(|conn, books| {
        let before = books.uploaded;
        lanes::remove(conn, books, Which::These(rows), Fate::Uploaded { rejected })?;
        if books.uploaded > before {
            books.last_upload = wall;
        }
        Ok(())
    });
    store.overwrite(true)?;
    outcome?;
    store.settled(rows);
    Ok(())
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
    })?;
    store.settled(&[id]);
    Ok(())
}

/// Drops rows for a reason; how many records that were.
pub(crate) fn drop_rows(
    store: &mut Store,
    rows: &[RowId],
    reason: DropReason,
) -> Result<u64, StoreError> {
    let dropped = store.write(|conn, books| {
        lanes::remove(conn, books, Which::These(rows), Fate::Dropped(reason))
    })?;
    store.settled(rows);
    Ok(dropped)
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
    which: Which<'_>,
    dead_above: Option<Level>,
    reason: DropReason,
) -> Result<u64, StoreError> {
    let outcome = store.write(|conn, books| {
        dead::purge(conn, dead_above)?;
        lanes::remove(conn, books, which, Fate::Dropped(reason))
    });
    match outcome {
        Err(error) if error.is_full() => purge_in_slices(store, which, dead_above, reason),
        outcome => outcome,
    }
}

/// The same where the disk has no room for a log of everything at once.
fn purge_in_slices(
    store: &mut Store,
    which: Which<'_>,
    dead_above: Option<Level>,
    reason: DropReason,
) -> Result<u64, StoreError> {
    store.make_way();
    store.write(|conn, _| Ok(dead::purge(conn, dead_above)?))?;
    let mut purged = 0;
    loop {
        store.checkpoint()?;
        let slice = lanes::slice(&store.conn, which, PURGE_BYTES)?;
        if slice.is_empty() {
            store.regain();
            return Ok(purged);
        }
        purged += store.write(|conn, books| {
            lanes::remove(conn, books, Which::These(&slice), Fate::Dropped(reason))
        })?;
    }
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
    Ok(dead::list(&store.conn, |at| store.dated(at))?)
}

/// The ranges that the receiver was not yet told of have been told of.
pub(crate) fn gaps_told(store: &mut Store, told: &[Gap]) -> Result<(), StoreError> {
    store.write(|_, books| {
        books.gaps.tell(told);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candor_model::{Draft, Kind};

    use super::*;
    use crate::settings::Scrub;
    use crate::{Settings, Spool, Surroundings, Urgency};

    struct Bare;

    impl Framing for Bare {
        fn seal(&self, _: Kind, body: &[u8], _: u64, out: &mut Vec<u8>) {
            out.extend(body);
        }

        fn frame_len(&self, _: Kind, bytes: &[u8]) -> Option<usize> {
            (!bytes.is_empty()).then_some(bytes.len())
        }
    }

    const CANARY: &[u8] = b"candor canary of level three";

    /// How often the canary stands in any file of the directory.
    fn canaries(dir: &Path) -> usize {
        let files = std::fs::read_dir(dir).unwrap();
        let bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        bytes.map(|all| all.windows(CANARY.len()).filter(|run| *run == CANARY).count()).sum()
    }

    fn body(canary: bool, length: usize) -> Vec<u8> {
        let mut body = if canary { CANARY.repeat(length / CANARY.len()) } else { Vec::new() };
        body.resize(length, b'.');
        body
    }

    fn draft(level: Level, length: usize) -> Draft {
        let body = body(level == Level::Full, length);
        Draft { level, kind: Kind::Log, boot: "boot".into(), body }
    }

    /// Fills a store with both levels in every state that there is: waiting, uploaded, split,
    /// dead-lettered, evicted, lingering, set aside, in the store and in the log.
    async fn filled(dir: &Path, scrub: Scrub) -> Spool {
        let settings = Settings { max_bytes: 1 << 20, min_free: 0, ..Settings::default() };
        let outside = Surroundings { scrub, ..Surroundings::default() };
        let spool = Spool::open_with(dir, settings, Box::new(Bare), outside).unwrap();
        std::fs::write(dir.join("spool.damaged.db"), CANARY).unwrap();
        for n in 0..40 {
            let drafts = [Level::Full, Level::Basic].map(|level| draft(level, 900 + n * 613));
            spool.append(drafts.to_vec(), Urgency::Now).await.unwrap();
            let parcel = spool.next(Want::all(1)).await.unwrap().unwrap();
            let id = parcel.rows[0].id;
            match n % 4 {
                0 => spool.uploaded(&[id], 0).await.unwrap(),
                1 => spool.reject(id, "no").await.unwrap(),
                _ => {}
            }
        }
        // Delivered last, so that nothing comes to stand where it stood.
        let parcel = spool.next(Want::all(100_000)).await.unwrap().unwrap();
        let rows: Vec<RowId> = parcel.rows.iter().map(|row| row.id).collect();
        spool.uploaded(&rows, 0).await.unwrap();
        spool.append(vec![draft(Level::Full, 900)], Urgency::Linger).await.unwrap();
        spool
    }

    async fn left_after_lowering(scrub: Scrub) -> usize {
        let dir = tempfile::tempdir().unwrap();
        let spool = filled(dir.path(), scrub).await;
        assert!(canaries(dir.path()) > 100);
        assert!(spool.lower_to(Level::Basic).await.unwrap() > 0);
        assert!(spool.ledger().pending > 0, "the lower level stays");
        assert!(spool.verify().await.unwrap().is_sound());
        let left = canaries(dir.path());
        assert!(spool.dead_letters().await.unwrap().iter().all(|d| d.level <= Level::Basic));
        spool.clear(DropReason::Disabled).await.unwrap();
        left
    }

    #[tokio::test]
    async fn after_lowering_no_byte_of_a_higher_level_is_in_the_directory() {
        assert_eq!(left_after_lowering(Scrub::ALL).await, 0);
    }

    #[tokio::test]
    async fn without_any_one_part_of_the_clean_up_the_search_would_find_what_was_purged() {
        for scrub in [
            Scrub { overwrite: false, ..Scrub::ALL },
            Scrub { shrink: false, ..Scrub::ALL },
            Scrub { fold: false, ..Scrub::ALL },
        ] {
            assert!(left_after_lowering(scrub).await > 0, "{scrub:?}");
        }
    }

    #[tokio::test]
    async fn after_clearing_nothing_that_waited_is_in_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let spool = filled(dir.path(), Scrub::ALL).await;
        spool.clear(DropReason::Deleted).await.unwrap();
        assert_eq!(canaries(dir.path()), 0);
        assert!(spool.verify().await.unwrap().is_sound());
        assert_eq!((spool.ledger().pending, spool.ledger().dead_letters), (0, 0));
    }
}
