//! A store that an earlier agent left: its rows hold their frames as they are, and its version is 1.

use std::path::Path;

use candor_model::{DropReason, Kind, Level};
use candor_spool::{Framing as _, Kept, Offline, OfflineError, Want};
use rusqlite::Connection;

use crate::kit::{Plain, assert_sound, draft, drain, noise, now, open, run, settings};

/// The tables as version 1 made them.
const TABLES: &str = "
PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;
CREATE TABLE batch (
  id INTEGER PRIMARY KEY, level INTEGER NOT NULL, kind INTEGER NOT NULL, records INTEGER NOT NULL,
  at INTEGER NOT NULL, boot TEXT NOT NULL, sum INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX lane ON batch (level, id, records);
CREATE TABLE dead (
  id INTEGER PRIMARY KEY, level INTEGER NOT NULL, kind INTEGER NOT NULL, records INTEGER NOT NULL,
  at INTEGER NOT NULL, boot TEXT NOT NULL, sum INTEGER NOT NULL, answer TEXT NOT NULL,
  body BLOB NOT NULL) STRICT;
CREATE TABLE ledger (word TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id=1128353348; PRAGMA user_version=1;
INSERT INTO meta VALUES ('install_id', '00000000-0000-4000-8000-000000000001');
";

const ROWS: u8 = 8;
const RECORDS: u64 = ROWS as u64 * 3;

/// Three records; even rows hold words, odd ones bytes that do not pack.
fn bodies(row: u8) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|n| {
        let tag = row * 3 + n;
        if row.is_multiple_of(2) {
            format!("{tag} of a unit; ").repeat(60).into()
        } else {
            noise(tag, 900)
        }
    })
}

fn lay(dir: &Path) {
    let conn = Connection::open(dir.join("spool.db")).unwrap();
    conn.execute_batch(TABLES).unwrap();
    for row in 0..ROWS {
        let (id, level) = (i64::from(row) * 3 + 1, i64::from(row % 4));
        let mut body = Vec::new();
        for (n, record) in (0..).zip(bodies(row)) {
            Plain.seal(Kind::Log, &record, id.unsigned_abs() + n, &mut body);
        }
        let mut sum = 0;
        for number in [id, level, 0, 3, 1000] {
            sum = crc32c::crc32c_append(sum, &number.to_le_bytes());
        }
        sum = crc32c::crc32c_append(sum, b"boot-0");
        let sum = i64::from(crc32c::crc32c_append(sum, &body));
        let values = (id, level, 0, 3, 1000, "boot-0", sum, body);
        conn.execute("INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", values).unwrap();
    }
    let by_level = RECORDS / 4;
    let mut ledger = vec![("serial", 9), ("next_seq", RECORDS + 1), ("uploaded", 0)];
    ledger.extend(
        ["security", "basic", "enhanced", "full"]
            .map(|level| (format!("generated_{level}").leak() as &str, by_level)),
    );
    ledger.extend([("withheld", 0), ("refused", 0), ("damages", 0), ("age_millis", 1000)]);
    ledger.extend([("wall_millis", 0), ("last_upload_millis", 0)]);
    ledger.extend(DropReason::ALL.map(|reason| (reason.word(), 0)));
    let mut sum = 0;
    for (word, number) in &ledger {
        sum = crc32c::crc32c_append(sum, word.as_bytes());
        sum = crc32c::crc32c_append(sum, &number.to_le_bytes());
    }
    ledger.push(("sum", sum.into()));
    for (word, number) in ledger {
        let number = i64::try_from(number).unwrap();
        conn.execute("INSERT INTO ledger VALUES (?1, ?2)", (word, number)).unwrap();
    }
}

fn all() -> Vec<Vec<u8>> {
    (0..ROWS).flat_map(bodies).collect()
}

fn version(dir: &Path) -> i64 {
    let conn = Connection::open(dir.join("spool.db")).unwrap();
    conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn every_record_of_an_earlier_agents_store_is_delivered_and_new_ones_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path());
    run(async {
        let spool = open(dir.path());
        assert_eq!(spool.install_id(), "00000000-0000-4000-8000-000000000001");
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.pending, ledger.damages), (RECORDS, 0));
        now(&spool, vec![draft(Level::Full, "new")]).await;
        let parcel = spool.next(Want::all(1 << 20)).await.unwrap().unwrap();
        assert!(matches!(parcel.rows[0].kept(), Kept::Plain(_)));
        assert!(matches!(parcel.rows.last().unwrap().kept(), Kept::Packed(_)));
        let mut got = drain(&spool).await;
        got.sort_by_key(|(seq, _)| *seq);
        assert_eq!(got.pop(), Some((RECORDS + 1, b"new".to_vec())));
        let got: Vec<_> = got.into_iter().map(|(_, body)| body).collect();
        assert_eq!(got, all());
        assert_eq!(assert_sound(&spool).await.uploaded, RECORDS + 1);
        spool.close().await.unwrap();
    });
    assert_eq!(version(dir.path()), 2);
}

#[test]
fn an_earlier_row_is_split_refused_and_withdrawn_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path());
    run(async {
        let spool = open(dir.path());
        let row = spool.next(Want::all(1)).await.unwrap().unwrap().rows[0].id;
        assert!(spool.split(row).await.unwrap());
        assert_eq!(assert_sound(&spool).await.pending, RECORDS);
        spool.reject(row, "400 no").await.unwrap();
        let letter = spool.dead_letters().await.unwrap().remove(0);
        assert!(letter.bytes.ends_with(&bodies(0)[0]));
        assert_eq!(spool.replay(letter.seq).await.unwrap(), Some(RECORDS + 1));
        assert_eq!(spool.lower_to(Level::Security).await.unwrap(), RECORDS / 4 * 3);
        assert_eq!(drain(&spool).await.len() as u64, RECORDS / 4);
        assert_sound(&spool).await;
    });
}

#[test]
fn an_earlier_store_is_looked_at_without_a_change_and_saved_from_when_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path());
    let read = |dir: &Path| {
        let mut records = 0;
        let store = Offline::open(dir).unwrap();
        let left_out = store.rows(|_, row| -> Result<(), OfflineError> {
            records += u64::from(row.records);
            Ok(())
        });
        (records, left_out.unwrap())
    };
    assert_eq!(read(dir.path()), (RECORDS, 0));
    assert_eq!(version(dir.path()), 1);
    // The head of the schema is bent: SQLite refuses the file as a whole.
    let path = dir.path().join("spool.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..140].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    let repair = Offline::repair(dir.path(), settings()).unwrap();
    assert!(repair.audit.is_sound() && repair.audit.ledger.damages == 1, "{repair:?}");
    assert_eq!((repair.lost, repair.audit.ledger.pending), (0, RECORDS));
    assert_eq!((read(dir.path()), version(dir.path())), ((RECORDS, 0), 2));
}
