//! One test for each kind of damage: the spool starts by itself, delivers what is whole, never what
//! is not, and counts exactly what is gone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor_model::{DropReason, Level};
use candor_spool::{Ledger, Spool};

use crate::kit::{assert_sound, draft, drain, noise, now, open, run, snapshot};

const ROWS: u8 = 20;
const RECORDS: u64 = ROWS as u64 * 3;

/// A store with twenty rows of three records, one of them uploaded before: `next_seq` is 62.
fn filled() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let id = run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Basic, "uploaded")]).await;
        drain(&spool).await;
        for n in 0..ROWS {
            let level = Level::ALL[usize::from(n % 4)];
            now(&spool, (0..3).map(|_| draft(level, noise(n, 2000))).collect()).await;
        }
        let id = spool.install_id().to_owned();
        spool.close().await.unwrap();
        id
    });
    (dir, id)
}

fn store(dir: &Path) -> PathBuf {
    dir.join("spool.db")
}

fn mirror(dir: &Path) -> PathBuf {
    dir.join("counters.mirror")
}

/// Every delivered record is as it was written.
fn assert_whole(got: &[(u64, Vec<u8>)]) {
    for (seq, body) in got {
        let n = u8::try_from((seq - 2) / 3).unwrap();
        assert_eq!(body, &noise(n, 2000), "record {seq}");
    }
}

/// Opens, drains and accounts: delivered + corrupt is what waited; then it works on.
fn recover(dir: &Path) -> (Ledger, Vec<(u64, Vec<u8>)>) {
    run(async {
        let spool = open(dir);
        let got = drain(&spool).await;
        assert_whole(&got);
        let ledger = assert_sound(&spool).await;
        let corrupt = ledger.dropped.get(DropReason::Corrupt);
        assert_eq!(corrupt, ledger.dropped.total());
        assert_eq!(ledger.generated, 1 + RECORDS, "{ledger:?}");
        assert_eq!((got.len() as u64 + corrupt, ledger.pending), (RECORDS, 0), "{ledger:?}");
        works_on(&spool).await;
        spool.close().await.unwrap();
        (ledger, got)
    })
}

async fn works_on(spool: &Spool) {
    let next = spool.ledger().next_seq;
    now(spool, vec![draft(Level::Full, "after")]).await;
    assert_eq!(drain(spool).await, [(next, b"after".to_vec())]);
    assert_sound(spool).await;
}

#[test]
fn a_flipped_byte_in_a_row_costs_that_row() {
    let (dir, _) = filled();
    let mut bytes = fs::read(store(dir.path())).unwrap();
    let place = bytes.windows(500).position(|run| run == &noise(9, 2000)[..500]).unwrap() + 250;
    bytes[place] ^= 0x40;
    fs::write(store(dir.path()), bytes).unwrap();
    let (ledger, got) = recover(dir.path());
    assert_eq!(ledger.dropped.get(DropReason::Corrupt), 3);
    assert!(got.iter().all(|(_, body)| body[0] != 9));
}

#[test]
fn a_row_that_is_found_damaged_while_running_is_not_delivered() {
    let (dir, _) = filled();
    let conn = rusqlite::Connection::open(store(dir.path())).unwrap();
    conn.execute("UPDATE batch SET level = 3 WHERE id = 2", []).unwrap();
    drop(conn);
    let (ledger, got) = recover(dir.path());
    assert_eq!(ledger.dropped.get(DropReason::Corrupt), 3);
    assert!(got.iter().all(|(seq, _)| *seq > 4));
}

#[test]
fn a_truncated_store_gives_up_what_can_still_be_read() {
    let (dir, id) = filled();
    let bytes = fs::read(store(dir.path())).unwrap();
    fs::write(store(dir.path()), &bytes[..bytes.len() / 2]).unwrap();
    let (ledger, got) = recover(dir.path());
    assert_eq!(ledger.damages, 1);
    assert!(!got.is_empty(), "half of the file is there");
    assert!(dir.path().join("spool.damaged.db").exists());
    assert_eq!(open(dir.path()).install_id(), id);
}

#[test]
fn without_its_store_the_mirror_keeps_the_id_the_numbers_and_the_ledger() {
    let damages: [fn(&Path); 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, b"").unwrap(),
        |path| fs::write(path, vec![0xa5; 50_000]).unwrap(),
        |path| fs::write(path, b"SQLite format 3\0").unwrap(),
    ];
    for (n, damage) in damages.into_iter().enumerate() {
        let (dir, id) = filled();
        damage(&store(dir.path()));
        let (ledger, got) = recover(dir.path());
        assert!(got.is_empty());
        assert_eq!((ledger.uploaded, ledger.damages), (1, 1), "damage {n}");
        assert_eq!(ledger.dropped.get(DropReason::Corrupt), RECORDS);
        assert_eq!(open(dir.path()).install_id(), id);
    }
}

#[test]
fn a_store_of_another_version_is_set_aside_and_nothing_in_it_is_changed() {
    let (dir, id) = filled();
    let conn = rusqlite::Connection::open(store(dir.path())).unwrap();
    conn.execute_batch("PRAGMA user_version = 9; ALTER TABLE batch RENAME TO lot").unwrap();
    drop(conn);
    let (ledger, got) = recover(dir.path());
    assert!(got.is_empty());
    assert_eq!(ledger.damages, 1);
    assert_eq!(open(dir.path()).install_id(), id);
    let aside = rusqlite::Connection::open(dir.path().join("spool.damaged.db")).unwrap();
    let rows: u8 = aside.query_row("SELECT count(*) FROM lot", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, ROWS);
}

#[test]
fn a_damaged_or_absent_mirror_costs_nothing() {
    let damages: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, [0x5a; 3000]).unwrap(),
        |path| fs::write(path, b"").unwrap(),
    ];
    for damage in damages {
        let (dir, id) = filled();
        damage(&mirror(dir.path()));
        let (ledger, got) = recover(dir.path());
        assert_eq!((got.len() as u64, ledger.damages), (RECORDS, 0));
        assert_eq!(open(dir.path()).install_id(), id);
    }
}

#[test]
fn bent_counters_in_the_store_are_not_believed() {
    let (dir, _) = filled();
    let conn = rusqlite::Connection::open(store(dir.path())).unwrap();
    conn.execute("UPDATE ledger SET number = number + 1 WHERE word = 'uploaded'", []).unwrap();
    drop(conn);
    let (ledger, got) = recover(dir.path());
    assert_eq!((got.len() as u64, ledger.uploaded), (RECORDS, 1 + RECORDS));
}

#[test]
fn a_store_that_lost_both_counters_and_mirror_still_delivers_its_rows() {
    let (dir, id) = filled();
    let conn = rusqlite::Connection::open(store(dir.path())).unwrap();
    conn.execute("DELETE FROM ledger", []).unwrap();
    drop(conn);
    fs::remove_file(mirror(dir.path())).unwrap();
    run(async {
        let spool = open(dir.path());
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.next_seq, ledger.pending), (62, RECORDS));
        assert_eq!(ledger.dropped.get(DropReason::Corrupt), 1, "the fate of number 1 is unknown");
        assert_eq!(spool.install_id(), id);
        let got = drain(&spool).await;
        assert_whole(&got);
        assert_eq!(got.len() as u64, RECORDS);
    });
}

#[test]
fn commits_that_the_medium_lost_are_counted_and_their_numbers_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Basic, "a"), draft(Level::Basic, "b")]).await;
        let early = snapshot(dir.path());
        now(&spool, vec![draft(Level::Basic, "c")]).await;
        drain(&spool).await;
        now(&spool, vec![draft(Level::Full, "d")]).await;
        let late = snapshot(dir.path());
        // The log ends where it ended before; the mirror knows better.
        fs::copy(early.path().join("spool.db-wal"), late.path().join("spool.db-wal")).unwrap();
        let second = open(late.path());
        let ledger = assert_sound(&second).await;
        assert_eq!((ledger.next_seq, ledger.pending, ledger.damages), (5, 2, 1));
        assert_eq!(ledger.dropped.get(DropReason::Corrupt), 2);
        let got = drain(&second).await;
        assert_eq!(got, [(1, b"a".to_vec()), (2, b"b".to_vec())]);
        works_on(&second).await;
    });
}

#[test]
fn damage_that_appears_while_the_spool_is_open_is_repaired_without_a_restart() {
    let (dir, id) = filled();
    run(async {
        let spool = open(dir.path());
        let path = store(dir.path());
        let mut bytes = fs::read(&path).unwrap();
        for byte in &mut bytes[4096..] {
            *byte = 0xee;
        }
        fs::write(&path, bytes).unwrap();
        let got = drain(&spool).await;
        assert_whole(&got);
        let ledger = assert_sound(&spool).await;
        let corrupt = ledger.dropped.get(DropReason::Corrupt);
        assert_eq!((got.len() as u64 + corrupt, ledger.generated), (RECORDS, 1 + RECORDS));
        assert!(ledger.damages >= 1);
        works_on(&spool).await;
        assert_eq!(spool.install_id(), id);
    });
}

#[test]
fn a_recovery_that_was_cut_off_is_taken_up_again() {
    let (dir, _) = filled();
    // As a crash after the rename and in the middle of the new store leaves it.
    fs::rename(store(dir.path()), dir.path().join("spool.salvage.db")).unwrap();
    fs::write(store(dir.path()), b"half made").unwrap();
    let (ledger, got) = recover(dir.path());
    assert_eq!(got.len() as u64, RECORDS);
    assert_eq!(ledger.dropped.total(), 0);
}

/// Flips for each file: a few in an ordinary run, `CANDOR_SPOOL_FLIPS` for a long one.
fn flips(ordinary: usize) -> usize {
    std::env::var("CANDOR_SPOOL_FLIPS").map_or(ordinary, |n| n.parse().unwrap())
}

/// The `n`th of `all` flips of a file: spread over its whole length, each bit in turn.
fn bend(whole: &[u8], n: usize, all: usize) -> (usize, Vec<u8>) {
    let place = (n * whole.len() / all + n * 13 % 17) % whole.len();
    let mut bent = whole.to_vec();
    bent[place] ^= 1 << (n % 8);
    (place, bent)
}

#[test]
fn a_flip_of_any_byte_of_any_page_is_survived_and_accounted_for() {
    let (source, id) = filled();
    let mut outcomes: BTreeMap<u64, u32> = BTreeMap::new();
    for file in [store(source.path()), mirror(source.path())] {
        let whole = fs::read(&file).unwrap();
        let all = flips(100);
        for n in 0..all {
            let copy = snapshot(source.path());
            let (place, bent) = bend(&whole, n, all);
            fs::write(copy.path().join(file.file_name().unwrap()), bent).unwrap();
            let (ledger, _) = recover(copy.path());
            *outcomes.entry(ledger.dropped.total()).or_default() += 1;
            run(async { assert_eq!(open(copy.path()).install_id(), id, "flip at {place}") });
        }
    }
    // A flip costs the one row that it hits, or the few that the page of an index led to.
    assert!(outcomes.keys().any(|lost| *lost == 3), "{outcomes:?}");
    assert!(outcomes.keys().all(|lost| *lost <= 6), "{outcomes:?}");
}

#[test]
fn a_flip_in_the_log_of_a_crashed_agent_loses_what_follows_and_counts_it() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        for n in 0..10 {
            now(&spool, vec![draft(Level::Basic, noise(n, 2000))]).await;
        }
        let crashed = snapshot(dir.path());
        let whole = fs::read(crashed.path().join("spool.db-wal")).unwrap();
        let all = flips(60);
        for n in 0..all {
            let copy = snapshot(crashed.path());
            let (place, bent) = bend(&whole, n, all);
            fs::write(copy.path().join("spool.db-wal"), bent).unwrap();
            let second = open(copy.path());
            let ledger = assert_sound(&second).await;
            let got = drain(&second).await;
            let corrupt = ledger.dropped.get(DropReason::Corrupt);
            assert_eq!((ledger.generated, got.len() as u64 + corrupt), (10, 10), "at {place}");
            assert!(
                got.iter().all(|(seq, body)| *body == noise(u8::try_from(seq - 1).unwrap(), 2000))
            );
            works_on(&second).await;
        }
    });
}
