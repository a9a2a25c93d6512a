//! Every dropped number is in a range with its reason until the receiver was told of it.

use candor_model::{DropReason, Level};
use candor_spool::{Gap, Settings, Then, Want};

use crate::kit::{assert_sound, draft, drain, noise, now, open, open_as, run, settings, snapshot};

fn gap(first: u64, last: u64, reason: DropReason) -> Gap {
    Gap { first, last, count: last - first + 1, reason }
}

#[test]
fn what_is_dropped_is_named_by_number_and_reason_over_a_restart_until_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        for level in [Level::Basic, Level::Full, Level::Full, Level::Security] {
            now(&spool, vec![draft(level, "a"), draft(level, "b")]).await;
        }
        now(&spool, vec![draft(Level::Basic, vec![0; (1 << 20) + 1])]).await;
        spool.lower_to(Level::Enhanced).await.unwrap();
        let gaps = [gap(3, 6, DropReason::Withdrawn), gap(9, 9, DropReason::Oversize)];
        assert_eq!(spool.gaps().await.unwrap(), gaps);
        assert_eq!(spool.ledger().gaps, 2);
        spool.close().await.unwrap();
        let spool = open(dir.path());
        assert_eq!(spool.gaps().await.unwrap(), gaps);
        spool.append_then(Vec::new(), Then::GapsTold(gaps[..1].to_vec())).await.unwrap();
        let crashed = snapshot(dir.path());
        let spool = open(crashed.path());
        assert_eq!(spool.gaps().await.unwrap(), gaps[1..]);
        assert_sound(&spool).await;
    });
}

#[test]
fn what_a_partial_success_refused_is_among_the_numbers_of_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        for _ in 0..2 {
            now(&spool, vec![draft(Level::Basic, "a"), draft(Level::Basic, "b")]).await;
        }
        let parcel = spool.next(Want::all(1000)).await.unwrap().unwrap();
        let rows: Vec<_> = parcel.rows.iter().map(|row| row.id).collect();
        spool.uploaded(&rows, 3).await.unwrap();
        let some = Gap { first: 1, last: 4, count: 3, reason: DropReason::Rejected };
        assert_eq!(spool.gaps().await.unwrap(), [some]);
        assert_eq!(spool.ledger().uploaded, 1);
        assert_sound(&spool).await;
    });
}

#[test]
fn at_the_cap_the_ranges_are_exactly_what_was_evicted() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open_as(dir.path(), Settings { max_bytes: 1 << 20, ..settings() });
        for n in 0..200_u8 {
            let level = [Level::Full, Level::Basic][usize::from(n % 2)];
            now(&spool, vec![draft(level, noise(n, 9000))]).await;
        }
        let gone: Vec<u64> =
            spool.gaps().await.unwrap().iter().flat_map(|gap| gap.first..=gap.last).collect();
        let ledger = assert_sound(&spool).await;
        let mut all: Vec<u64> = drain(&spool).await.into_iter().map(|frame| frame.0).collect();
        assert_eq!(gone.len() as u64, ledger.dropped.get(DropReason::SpoolFull));
        assert!(gone.len() > 80, "{}", gone.len());
        all.extend(gone);
        all.sort_unstable();
        assert_eq!(all, (1..=200).collect::<Vec<_>>());
    });
}

#[test]
fn a_damaged_row_is_named_by_its_numbers() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        for n in 0..5_u8 {
            now(&spool, (0..3).map(|_| draft(Level::Basic, noise(n, 2000))).collect()).await;
        }
        spool.close().await.unwrap();
        let path = dir.path().join("spool.db");
        let mut bytes = std::fs::read(&path).unwrap();
        let place = bytes.windows(500).position(|run| run == &noise(3, 2000)[..500]).unwrap() + 250;
        bytes[place] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let spool = open(dir.path());
        assert_eq!(drain(&spool).await.len(), 12);
        let corrupt: u64 = spool.gaps().await.unwrap().iter().map(|gap| gap.count).sum();
        assert_eq!(corrupt, 3);
        let gaps = spool.gaps().await.unwrap();
        assert!(gaps.iter().all(|gap| gap.first <= 10 && gap.last >= 12), "{gaps:?}");
        assert_sound(&spool).await;
    });
}

#[test]
fn a_range_is_told_in_the_very_commit_of_the_record_that_tells_it() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Basic, vec![0; (1 << 20) + 1])]).await;
        let (gaps, fsyncs) = (spool.gaps().await.unwrap(), spool.ledger().fsyncs);
        let told = Then::GapsTold(gaps);
        // Above the ceiling nobody is told, so nothing is forgotten.
        spool.lower_to(Level::Basic).await.unwrap();
        let fsyncs = spool.ledger().fsyncs.max(fsyncs);
        spool.append_then(vec![draft(Level::Full, "gap")], told.clone()).await.unwrap();
        assert_eq!((spool.ledger().gaps, spool.ledger().pending), (1, 0));
        spool.append_then(vec![draft(Level::Basic, "gap")], told).await.unwrap();
        assert_eq!((spool.ledger().gaps, spool.ledger().pending), (0, 1));
        assert!(spool.ledger().fsyncs - fsyncs <= 2, "one commit, and perhaps a new log's header");
        let meta = Then::Meta { key: "told".into(), value: "7".into() };
        spool.append_then(vec![draft(Level::Basic, "change")], meta).await.unwrap();
        let crashed = snapshot(dir.path());
        let second = open(crashed.path());
        assert_eq!(second.meta("told").await.unwrap().as_deref(), Some("7"));
        assert_eq!((second.ledger().gaps, drain(&second).await.len()), (0, 2));
        assert_sound(&second).await;
    });
}
