//! What the uploader and the owner do with rows, each in one transaction with its count.
//!
//! # Invariants
//! - A row that is gone meanwhile (withdrawn, expired, evicted) is counted by whoever took it; an
//!   answer about it changes nothing.
//! - Nothing leaves by [`next`] but what is whole.

use candor_model::{DropReason, Kind, Level};

use crate::books::Fate;
use crate::damage::StoreError;
use crate::dead::{self, DeadLetter};
use crate::lanes::{self, Which};
use crate::press::Press;
use crate::row::{Parcel, RowId, Stored, Want};
use crate::schema;
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

/// Makes two rows of one; false when it holds one record, or is gone. One that cannot be unpacked
/// is counted out, so that nobody asks for it again.
pub(crate) fn split(store: &mut Store, press: &Press, id: RowId) -> Result<bool, StoreError> {
    let Some(row) = lanes::find(&store.conn, id)? else { return Ok(false) };
    let Some((kind, trusted)) = row.clone().trusted() else { return Ok(false) };
    let Ok(frames) = trusted.frames() else {
        store.write(|conn, books| {
            lanes::remove(conn, books, Which::One(id), Fate::Dropped(DropReason::Corrupt))
        })?;
        return Ok(true);
    };
    let half = trusted.records / 2;
    let Some(at) = press.cut(kind, &frames, half) else { return Ok(false) };
    let (mut first, mut second) = halves(row, kind, i64::from(half));
    press.finish(&mut first, &frames[..at]);
    press.finish(&mut second, &frames[at..]);
    store.write(|conn, _| {
        // Not `remove`: no record leaves, the same ones come back in the next two lines.
        conn.prepare_cached("DELETE FROM batch WHERE id = ?1")?.execute([id.0])?;
        lanes::insert(conn, &first)?;
        lanes::insert(conn, &second)?;
        Ok(true)
    })
}

/// Two rows without bodies in place of one.
fn halves(whole: Stored, kind: Kind, records: i64) -> (Stored, Stored) {
    let bare = Stored { kind: kind as i64, body: Vec::new(), sum: 0, ..whole };
    let rest = Stored { id: bare.id + records, records: bare.records - records, ..bare.clone() };
    (Stored { records, ..bare }, rest)
}

/// An endpoint refused a row for good: its records are dropped, and it is kept as a dead letter.
pub(crate) fn reject(store: &mut Store, id: RowId, answer: &str) -> Result<(), StoreError> {
    store.write(|conn, books| {
        if let Some(row) = lanes::find(conn, id)? {
            // What cannot be read is counted like the rest, and leaves nothing to look at.
            if let Some(letter) = row.unpacked() {
                dead::lay(conn, &letter, answer)?;
            }
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use candor_model::Draft;

    use super::*;
    use crate::settings::Scrub;
    use crate::{Framing, Kept, Row, Settings, Spool, Surroundings, Urgency};

    struct Bare;

    impl Framing for Bare {
        fn seal(&self, _: Kind, body: &[u8], _: u64, out: &mut Vec<u8>) {
            out.extend(body);
        }

        fn frame_len(&self, _: Kind, bytes: &[u8]) -> Option<usize> {
            (!bytes.is_empty()).then_some(bytes.len())
        }
    }

    /// Bytes by which records of level three are known again, eight at a time, wherever they lie.
    #[derive(Default)]
    struct Canaries {
        chunks: HashSet<[u8; 8]>,
        /// By the first two bytes, since a search looks at every place of every file.
        likely: Vec<bool>,
    }

    impl Canaries {
        fn add(&mut self, bytes: &[u8]) {
            self.likely.resize(1 << 16, false);
            for chunk in bytes.chunks_exact(32) {
                let chunk: [u8; 8] = chunk[..8].try_into().unwrap();
                self.likely[usize::from(u16::from_le_bytes([chunk[0], chunk[1]]))] = true;
                self.chunks.insert(chunk);
            }
        }

        /// How often any of them stands in any file of the directory.
        fn count(&self, dir: &Path) -> usize {
            let files = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
            // The reserve holds noise of its own and never a record.
            let files = files.filter(|file| file.file_name() != "spool.reserve");
            let stands = |run: &&[u8]| {
                self.likely[usize::from(u16::from_le_bytes([run[0], run[1]]))]
                    && self.chunks.contains(*run)
            };
            files.map(|f| std::fs::read(f.path()).unwrap().windows(8).filter(stands).count()).sum()
        }
    }

    /// Bytes that do not pack, so that they lie in the store as they are.
    fn noise(seed: usize, length: usize) -> Vec<u8> {
        let mut state = seed as u64 + 1;
        let mut body = Vec::new();
        while body.len() < length {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            body.extend(&state.to_le_bytes()[4..]);
        }
        body
    }

    /// Words that pack well: what lies in the store is not what was handed over.
    fn words(seed: usize, length: usize) -> Vec<u8> {
        let mut body = Vec::new();
        for n in 0.. {
            if body.len() >= length {
                break;
            }
            body.extend(format!("record {} of a unit that failed again; ", seed * n % 977).bytes());
        }
        body
    }

    fn draft(level: Level, body: Vec<u8>) -> Draft {
        Draft { level, kind: Kind::Log, boot: "boot".into(), body }
    }

    /// Fills a store with both levels in every state that there is: waiting, uploaded, split,
    /// dead-lettered, evicted, lingering, set aside, in the store and in the log.
    async fn filled(dir: &Path, scrub: Scrub) -> (Spool, Canaries) {
        let settings = Settings { max_bytes: 1 << 20, min_free: 0, ..Settings::default() };
        let outside = Surroundings { scrub, ..Surroundings::default() };
        let spool = Spool::open_with(dir, settings, Box::new(Bare), outside).unwrap();
        let mut canaries = Canaries::default();
        let (aside, lingering) = (noise(2000, 5000), noise(1000, 900));
        canaries.add(&aside);
        canaries.add(&lingering);
        std::fs::write(dir.join("spool.damaged.db"), aside).unwrap();
        for n in 0..40 {
            let length = 900 + n * 613;
            let full = noise(n, length);
            canaries.add(&full);
            let full = [draft(Level::Full, full), draft(Level::Full, words(n, length * 2))];
            spool.append(full.to_vec(), Urgency::Now).await.unwrap();
            spool
                .append(vec![draft(Level::Basic, vec![b'.'; length])], Urgency::Now)
                .await
                .unwrap();
            let rows = spool.next(Want::all(1)).await.unwrap().unwrap().rows;
            note(&rows, &mut canaries);
            match n % 4 {
                0 => spool.uploaded(&[rows[0].id], 0).await.unwrap(),
                1 => spool.reject(rows[0].id, "no").await.unwrap(),
                2 => drop(spool.split(rows[0].id).await.unwrap()),
                _ => {}
            }
        }
        // Delivered last, so that nothing comes to stand where it stood.
        let rows = spool.next(Want::all(100_000)).await.unwrap().unwrap().rows;
        note(&rows, &mut canaries);
        let rows: Vec<RowId> = rows.iter().map(|row| row.id).collect();
        spool.uploaded(&rows, 0).await.unwrap();
        spool.append(vec![draft(Level::Full, lingering)], Urgency::Linger).await.unwrap();
        (spool, canaries)
    }

    /// What rows of level three are in the store, packed.
    fn note(rows: &[Row], canaries: &mut Canaries) {
        for row in rows.iter().filter(|row| row.level == Level::Full) {
            let Kept::Packed(packed) = row.kept() else { panic!("rows lie packed") };
            // The first bytes are the same for every row.
            canaries.add(packed.get(32..).unwrap_or_default());
        }
    }

    async fn left_after_lowering(scrub: Scrub) -> usize {
        let dir = tempfile::tempdir().unwrap();
        let (spool, canaries) = filled(dir.path(), scrub).await;
        assert!(canaries.count(dir.path()) > 1000);
        assert!(spool.lower_to(Level::Basic).await.unwrap() > 0);
        assert!(spool.ledger().pending > 0, "the lower level stays");
        assert!(spool.verify().await.unwrap().is_sound());
        let left = canaries.count(dir.path());
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
        let (spool, canaries) = filled(dir.path(), Scrub::ALL).await;
        spool.clear(DropReason::Deleted).await.unwrap();
        assert_eq!(canaries.count(dir.path()), 0);
        assert!(spool.verify().await.unwrap().is_sound());
        assert_eq!((spool.ledger().pending, spool.ledger().dead_letters), (0, 0));
    }
}
