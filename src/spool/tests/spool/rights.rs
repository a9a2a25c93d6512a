//! The owner's rights: what is deleted is gone with its id, what is taken away by hand is settled by a
//! receipt and by nothing else.

use std::path::Path;

use candor_model::{DropReason, Level};
use candor_spool::{Offline, Settled, peek};

use crate::kit::{assert_sound, draft, drain, now, open, run, snapshot};

/// Whether the bytes stand in any file of a directory.
fn is_in(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn after_a_renewal_nothing_of_the_former_installation_is_left_and_the_ledger_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Basic, "first"); 3]).await;
        drain(&spool).await;
        now(&spool, vec![draft(Level::Basic, "canary-4711"); 5]).await;
        let (former, key) = (spool.install_id().to_owned(), spool.install_key().await.unwrap());
        assert_eq!(key.unwrap().id(), former);
        let lost = spool.next(candor_spool::Want::all(1)).await.unwrap().unwrap().rows[0].id;
        spool.drop_rows(&[lost], DropReason::Rejected).await.unwrap();
        now(&spool, vec![draft(Level::Basic, "canary-4711"); 5]).await;

        assert_eq!(spool.renew().await.unwrap(), 5);
        assert!(!is_in(dir.path(), b"canary-4711") && !is_in(dir.path(), former.as_bytes()));
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.generated, ledger.uploaded, ledger.pending), (13, 3, 0));
        assert_eq!(ledger.dropped.get(DropReason::Deleted), 5);
        assert_eq!((ledger.next_seq, ledger.gaps, ledger.last_upload), (1, 0, None));
        let told = ledger.since_renewal();
        assert_eq!((told.generated, told.uploaded, told.dropped.total()), (0, 0, 0));
        spool.close().await.unwrap();

        let spool = open(dir.path());
        assert_ne!(spool.install_id(), former);
        let key = spool.install_key().await.unwrap().unwrap();
        assert_eq!(key.id(), spool.install_id());
        now(&spool, vec![draft(Level::Basic, "new"); 2]).await;
        assert_eq!(drain(&spool).await.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2]);
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.generated, ledger.uploaded, ledger.next_seq), (15, 5, 3));
        assert_eq!(ledger.since_renewal().uploaded, 2);
        spool.close().await.unwrap();
        let peek = peek(dir.path()).unwrap();
        assert!(peek.ledger.balances());
        assert_eq!(peek.ledger.since_renewal().generated, 2);
        assert!(Offline::open(dir.path()).unwrap().verify().unwrap().is_sound());
    });
}

#[test]
fn a_store_whose_renewal_the_medium_lost_gives_up_what_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Basic, "canary-4711"); 5]).await;
        let former = spool.install_id().to_owned();
        let before = snapshot(dir.path());
        spool.renew().await.unwrap();
        spool.close().await.unwrap();
        for name in ["spool.db", "spool.db-wal"] {
            std::fs::copy(before.path().join(name), dir.path().join(name)).unwrap();
        }
        let spool = open(dir.path());
        assert_ne!(spool.install_id(), former);
        assert!(!is_in(dir.path(), b"canary-4711"));
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.generated, ledger.pending, ledger.next_seq), (5, 0, 1));
        assert_eq!(ledger.dropped.get(DropReason::Deleted), 5);
    });
}

#[test]
fn what_waits_is_read_page_by_page_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        for level in [Level::Security, Level::Basic, Level::Enhanced] {
            now(&spool, vec![draft(level, vec![b'x'; 100]); 4]).await;
        }
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let rows = spool.page(after, 1).await.unwrap();
            let Some((_, last)) = rows.last() else { break };
            assert_eq!(rows.len(), 1, "a small bound gives one row");
            after = last.id.first_seq();
            seen.push((last.level, last.first_seq, last.records));
        }
        let expected = [(Level::Security, 1, 4), (Level::Basic, 5, 4), (Level::Enhanced, 9, 4)];
        assert_eq!(seen, expected);
        assert_eq!(spool.page(0, usize::MAX).await.unwrap().len(), 3);
        assert_eq!(assert_sound(&spool).await.pending, 12);
    });
}

#[test]
fn a_receipt_settles_the_rows_that_it_knows_whole_and_once() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        for level in [Level::Basic, Level::Enhanced, Level::Full] {
            now(&spool, vec![draft(level, "x"); 4]).await;
        }
        let settled = spool.settle(&[(1, 5), (7, 8)], &[(6, 6)]).await.unwrap();
        assert_eq!(settled, Settled { uploaded: 7, rejected: 1 });
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.uploaded, ledger.pending), (7, 4));
        assert_eq!(ledger.dropped.get(DropReason::Rejected), 1);
        assert!(ledger.last_upload.is_some());
        assert_eq!(spool.settle(&[(1, 8)], &[]).await.unwrap(), Settled::default());
        let partly = spool.settle(&[(9, 11)], &[]).await.unwrap();
        assert_eq!(partly, Settled::default(), "one record of the row is not named");
        assert_eq!(assert_sound(&spool).await.pending, 4);
    });
}
