//! The store of an agent that does not run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candor_model::{DropReason, Level};
use candor_spool::{Offline, OfflineError, Want};

use crate::kit::{draft, now, open, run, settings, snapshot};

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let read = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

/// As a crash leaves it: rows in the store and in the log, a dead letter, a gap.
fn crashed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Basic, "refused")]).await;
        let row = spool.next(Want::all(1)).await.unwrap().unwrap().rows[0].id;
        spool.reject(row, "400 no").await.unwrap();
        for n in 0..6_u8 {
            now(&spool, vec![draft(Level::Full, vec![n; 2000]), draft(Level::Full, "x")]).await;
        }
        snapshot(dir.path())
    })
}

#[test]
fn looking_at_a_store_finds_what_it_holds_and_changes_no_byte() {
    let dir = crashed();
    let before = files(dir.path());
    let store = Offline::open(dir.path()).unwrap();
    let audit = store.verify().unwrap();
    assert!(audit.is_sound() && audit.mirror_agrees == Some(true), "{audit:?}");
    assert_eq!((audit.ledger.generated, audit.ledger.pending), (13, 12));
    let mut numbers = Vec::new();
    let left_out = store.rows(|_, row| -> Result<(), OfflineError> {
        numbers.push((row.first_seq, row.records));
        Ok(())
    });
    assert_eq!((left_out.unwrap(), numbers[0], numbers.len()), (0, (2, 2), 6));
    assert_eq!(store.dead_letters().unwrap()[0].answer, "400 no");
    assert_eq!(store.gaps()[0].reason, DropReason::Rejected);
    drop(store);
    assert_eq!(files(dir.path()), before);
}

#[test]
fn a_kill_between_the_commit_and_the_mirrors_word_of_it_is_no_disagreement() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        let mirror = |dir: &Path| fs::read(dir.join("counters.mirror")).unwrap();
        now(&spool, vec![draft(Level::Basic, "a")]).await;
        let earlier = mirror(dir.path());
        now(&spool, vec![draft(Level::Basic, "b")]).await;
        let (killed, later) = (snapshot(dir.path()), mirror(dir.path()));
        let agrees = |bytes: &[u8]| {
            fs::write(killed.path().join("counters.mirror"), bytes).unwrap();
            Offline::open(killed.path()).unwrap().verify().unwrap().mirror_agrees
        };
        // The intent is of the last commit, what is done of the one before.
        assert_eq!(agrees(&[&later[..1024], &earlier[1024..]].concat()), Some(true));
        assert_eq!(agrees(&[&earlier[..1024], &later[1024..]].concat()), Some(true));
        assert_eq!(agrees(&earlier), Some(false), "it knows nothing of the last commit");
    });
}

#[test]
fn a_store_that_is_open_or_absent_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Offline::open(dir.path()), Err(OfflineError::Absent { .. })));
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Basic, "a")]).await;
        assert!(matches!(Offline::open(dir.path()), Err(OfflineError::InUse { .. })));
        let repair = Offline::repair(dir.path(), settings());
        assert!(matches!(repair, Err(OfflineError::InUse { .. })));
        spool.close().await.unwrap();
    });
    // Closed in order, it has no log, and looking leaves none.
    let before = files(dir.path());
    assert!(Offline::open(dir.path()).unwrap().verify().unwrap().is_sound());
    assert_eq!(files(dir.path()), before);
}

#[test]
fn a_bent_counter_or_row_fails_the_audit_and_a_repair_counts_it() {
    let whole = crashed();
    let bent = |sql: &str| {
        let dir = snapshot(whole.path());
        let conn = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
        conn.execute(sql, []).unwrap();
        drop(conn);
        dir
    };
    let dir = bent("UPDATE batch SET level = 1 WHERE id = 4");
    let audit = Offline::open(dir.path()).unwrap().verify().unwrap();
    assert_eq!((audit.verdict.damaged_rows, audit.is_sound()), (1, false));
    let repair = Offline::repair(dir.path(), settings()).unwrap();
    assert_eq!((repair.pending_before, repair.lost, repair.was_rebuilt), (Some(12), 2, false));
    assert!(repair.audit.is_sound());

    let dir = bent("UPDATE ledger SET number = number + 1 WHERE word = 'uploaded'");
    assert!(matches!(Offline::open(dir.path()), Err(OfflineError::Damaged { .. })));
    let repair = Offline::repair(dir.path(), settings()).unwrap();
    assert_eq!((repair.lost, repair.audit.ledger.pending), (0, 12));
    assert!(repair.audit.is_sound());

    let dir = snapshot(whole.path());
    fs::write(dir.path().join("counters.mirror"), b"gone").unwrap();
    assert_eq!(Offline::open(dir.path()).unwrap().verify().unwrap().mirror_agrees, None);
}
