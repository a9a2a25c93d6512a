//! Takes a host out of the store, and remembers what was taken out: a request that was on its way, or a
//! file that comes by hand later, does not bring it back.
//!
//! ```text
//! erased   host, first -> last     numbers that were deleted, by the hash of the host's install id
//! ```
//!
//! # Invariants
//! - What is deleted is overwritten where it stood, in table and indexes (`secure_delete`), and the
//!   write-ahead log is emptied; else the outcome says so.
//! - Of the host a hash remains, which nobody can turn back: its id is a random number of 122 bits.
//! - Records that the host makes later, under higher numbers, are stored as ever.
//!
//! On failure nothing is deleted, but for a log that somebody reads: then asking again empties it.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use sha2::{Digest as _, Sha256};

use super::schema;

/// Numbers from the first to the last, both included.
pub(crate) type Range = (i64, i64);

pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS erased (
    host BLOB NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (host, first)
) STRICT, WITHOUT ROWID;
";

/// What was taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Erased {
    /// Every number of the host that was ever deleted here.
    pub(crate) ranges: Vec<Range>,
    /// Records without a number that were deleted now.
    pub(crate) numberless: u64,
    /// Whether the log is empty as well.
    pub(crate) is_clean: bool,
}

/// Deletes everything of a host.
pub(crate) fn erase(db: &mut Connection, install_id: &str) -> rusqlite::Result<Erased> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut erased = Erased { ranges: ranges(&transaction, install_id)?, ..Erased::default() };
    let find = "SELECT id FROM hosts WHERE install_id = ?1";
    let host: Option<i64> =
        transaction.query_row(find, [install_id], |row| row.get(0)).optional()?;
    if let Some(host) = host {
        let seqs = "SELECT seq FROM records WHERE host = ?1 AND seq > 0 ORDER BY seq";
        let mut seqs = transaction.prepare(seqs)?;
        let seqs = seqs.query_map([host], |row| row.get(0))?;
        let seqs: rusqlite::Result<Vec<i64>> = seqs.collect();
        erased.ranges.extend(runs(seqs?));
        erased.ranges = joined(erased.ranges);
        let count = "SELECT count(*) FROM records WHERE host = ?1 AND coalesce(seq, 0) <= 0";
        let numberless: i64 = transaction.query_row(count, [host], |row| row.get(0))?;
        erased.numberless = u64::try_from(numberless).unwrap_or(0);
        transaction.execute("DELETE FROM records WHERE host = ?1", [host])?;
        transaction.execute("DELETE FROM repeats WHERE host = ?1", [host])?;
        transaction.execute("DELETE FROM hosts WHERE id = ?1", [host])?;
        remember(&transaction, install_id, &erased.ranges)?;
    }
    transaction.commit()?;
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    erased.is_clean = busy == 0;
    Ok(erased)
}

fn remember(db: &Connection, install_id: &str, ranges: &[Range]) -> rusqlite::Result<()> {
    let host = name(install_id);
    db.execute("DELETE FROM erased WHERE host = ?1", [host])?;
    let mut insert = db.prepare("INSERT INTO erased VALUES (?1, ?2, ?3)")?;
    ranges.iter().try_for_each(|(first, last)| insert.execute((host, first, last)).map(drop))
}

/// The numbers of a host that were deleted, in order; none in a store that never deleted.
pub(crate) fn ranges(db: &Connection, install_id: &str) -> rusqlite::Result<Vec<Range>> {
    if !schema::has(db, "erased")? {
        return Ok(Vec::new());
    }
    let find = "SELECT first, last FROM erased WHERE host = ?1 ORDER BY first";
    let mut find = db.prepare_cached(find)?;
    let found = find.query_map([name(install_id)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.collect()
}

/// What stands for a host that nothing is to be known of.
fn name(install_id: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"candor erased host");
    hash.update(install_id.as_bytes());
    hash.finalize().into()
}

/// Whether a number is among these.
pub(crate) fn holds(ranges: &[Range], seq: i64) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&seq))
}

/// Numbers as ranges.
pub(crate) fn runs(mut seqs: Vec<i64>) -> Vec<Range> {
    seqs.sort_unstable();
    joined(seqs.into_iter().map(|seq| (seq, seq)).collect())
}

/// Ranges in order, those that touch each other as one.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candor_model::Kind;

    use super::super::{Inserts, Reader, StoreError};
    use super::*;
    use crate::row::{HostFacts, Row};

    /// A metric with exemplars of the traces `one` and `two`.
    fn metric(host: &str, seq: i64) -> Row {
        Row {
            install_id: Some(host.to_owned()),
            boot_id: None,
            seq: Some(seq),
            uid: format!("u-{seq}"),
            level: None,
            kind: Kind::Metric,
            name: "m".to_owned(),
            time: 5,
            trace_id: None,
            exemplars: vec!["one".to_owned(), "two".to_owned()],
            json: "{}".to_owned(),
            host: Arc::new(HostFacts::default()),
        }
    }

    /// The hosts whose records a trace has.
    fn trace(path: &std::path::Path, id: &str) -> Vec<String> {
        let mut hosts = Vec::new();
        let reader = Reader::open(path).unwrap();
        let take = |record: &super::super::Stored<'_>| {
            hosts.push(record.install_id.unwrap_or_default().to_owned());
            Ok::<_, StoreError>(())
        };
        reader.trace(id, take).unwrap();
        hosts
    }

    #[test]
    fn the_traces_that_a_hosts_exemplars_name_go_with_it_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        let mut db = schema::open_to_write(&path, None).unwrap();
        for host in ["h1", "h2"] {
            Inserts::new(&db).unwrap().batch(&[metric(host, 1), metric(host, 2)]).unwrap();
        }
        assert_eq!(trace(&path, "one"), ["h1", "h1", "h2", "h2"]);
        assert_eq!(erase(&mut db, "h1").unwrap().ranges, [(1, 2)]);
        assert_eq!(trace(&path, "two"), ["h2", "h2"]);
        let left = "SELECT count(*) FROM exemplars";
        assert_eq!(db.query_row(left, [], |row| row.get::<_, i64>(0)).unwrap(), 4);
    }

    #[test]
    fn a_store_that_was_made_before_exemplars_is_read_and_takes_them_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        let db = schema::open_to_write(&path, None).unwrap();
        db.execute_batch(
            "DROP TRIGGER exemplars_go_with_their_record; DROP TABLE exemplars; DROP TABLE erased",
        )
        .unwrap();
        let span = Row { trace_id: Some("one".to_owned()), ..metric("old", 1) };
        let old = "INSERT INTO hosts VALUES (7, 'old', 1, 1, NULL, NULL);
            INSERT INTO records VALUES (9, 7, 'u-1', NULL, 1, NULL, 2, 's', 4, 1, 'one', '{}')";
        db.execute_batch(old).unwrap();
        drop(db);
        assert_eq!(trace(&path, "one"), ["old"]);
        let mut db = schema::open_to_write(&path, None).unwrap();
        Inserts::new(&db).unwrap().batch(&[span, metric("new", 1)]).unwrap();
        assert_eq!(trace(&path, "one"), ["old", "new"]);
        erase(&mut db, "new").unwrap();
        assert_eq!((trace(&path, "one").len(), trace(&path, "two").len()), (1, 0));
    }

    #[test]
    fn numbers_become_the_fewest_ranges() {
        assert_eq!(runs(vec![5, 1, 2, 3, 3, 9, 8]), [(1, 3), (5, 5), (8, 9)]);
        assert_eq!(joined(vec![(1, 4), (2, 3), (5, 6), (8, i64::MAX)]), [(1, 6), (8, i64::MAX)]);
        assert!(holds(&[(1, 3), (8, 9)], 8) && !holds(&[(1, 3), (8, 9)], 4));
    }
}
