//! What holds on a healthy disk.

use std::time::Duration;

use candor_model::{Draft, DropReason, Kind, Level};
use candor_spool::{Settings, Spool, SpoolError, Urgency, Want};

use crate::kit::{
    Plain, assert_sound, clock, draft, drain, frames, noise, now, open, open_as, open_at, run,
    settings, snapshot,
};

#[test]
fn what_is_appended_now_survives_a_crash_and_what_lingers_is_in_the_loss_bound_only() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Basic, "kept")]).await;
        spool.append(vec![draft(Level::Basic, "lingers")], Urgency::Linger).await.unwrap();
        spool.meta("a barrier").await.unwrap();
        let ledger = spool.ledger();
        assert_eq!((ledger.generated, ledger.pending, ledger.lingering.events), (1, 1, 1));
        let crashed = snapshot(dir.path());
        let second = open(crashed.path());
        let ledger = assert_sound(&second).await;
        assert_eq!((ledger.generated, ledger.lingering.events), (1, 0));
        assert_eq!(drain(&second).await, [(1, b"kept".to_vec())]);
    });
}

#[test]
fn closing_and_dropping_the_last_handle_commit_what_lingers() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        spool.append(vec![draft(Level::Full, "one")], Urgency::Linger).await.unwrap();
        let other = spool.clone();
        spool.close().await.unwrap();
        let late = other.append(vec![draft(Level::Full, "late")], Urgency::Now).await;
        assert!(matches!(late, Err(SpoolError::Closed)));
        assert_eq!(other.ledger().pending, 1);
        let spool = open(dir.path());
        spool.append(vec![draft(Level::Full, "two")], Urgency::Linger).await.unwrap();
        let mut changes = spool.changes();
        drop(spool);
        while changes.changed().await.is_ok() {}
        let spool = open(dir.path());
        assert_eq!(drain(&spool).await.len(), 2);
        assert_sound(&spool).await;
    });
}

#[test]
fn security_goes_first_then_the_oldest_and_a_parcel_has_one_kind() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        let metric = Draft { kind: Kind::Metric, ..draft(Level::Basic, "metric") };
        now(&spool, vec![draft(Level::Full, "oldest")]).await;
        now(&spool, vec![metric]).await;
        now(&spool, vec![draft(Level::Basic, "younger")]).await;
        now(&spool, vec![draft(Level::Security, "alarm")]).await;
        let urgent = Want { up_to: Level::Security, ..Want::all(1000) };
        let parcel = spool.next(urgent).await.unwrap().unwrap();
        assert_eq!(frames(&parcel), [(4, b"alarm".to_vec())]);
        let parcel = spool.next(Want::all(1000)).await.unwrap().unwrap();
        let numbers: Vec<u64> = frames(&parcel).iter().map(|frame| frame.0).collect();
        assert_eq!((parcel.kind, numbers), (Kind::Log, vec![4, 1, 3]));
        spool.uploaded(&[parcel.rows[0].id], 0).await.unwrap();
        assert_eq!(spool.next(urgent).await.unwrap(), None);
    });
}

#[test]
fn a_parcel_is_bounded_but_for_one_row_that_is_larger_than_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        for _ in 0..3 {
            now(&spool, vec![draft(Level::Basic, vec![1; 1000])]).await;
        }
        let rows = async |max| spool.next(Want::all(max)).await.unwrap().unwrap().rows.len();
        assert_eq!((rows(10).await, rows(2100).await, rows(10_000).await), (1, 2, 3));
    });
}

#[test]
fn rows_merge_what_lingered_up_to_64_kib_and_keep_boots_apart() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        let mut drafts: Vec<_> = (0..100).map(|_| draft(Level::Basic, vec![1; 1000])).collect();
        drafts.push(Draft { boot: "boot-2".into(), ..draft(Level::Basic, "x") });
        for draft in drafts {
            spool.append(vec![draft], Urgency::Linger).await.unwrap();
        }
        spool.commit().await.unwrap();
        let parcel = spool.next(Want::all(1 << 20)).await.unwrap().unwrap();
        let sizes: Vec<_> = parcel.rows.iter().map(|r| (r.records, r.size())).collect();
        assert_eq!(sizes, [(64, 64 * 1012), (36, 36 * 1012), (1, 13)]);
        assert_eq!(&*parcel.rows[2].boot, "boot-2");
        let numbers: Vec<u64> = frames(&parcel).into_iter().map(|frame| frame.0).collect();
        assert_eq!(numbers, (1..=101).collect::<Vec<_>>());
    });
}

#[test]
fn a_security_draft_and_a_full_group_do_not_linger() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        spool.append(vec![draft(Level::Security, "now")], Urgency::Linger).await.unwrap();
        spool.meta("a barrier").await.unwrap();
        assert_eq!((spool.ledger().pending, spool.ledger().lingering.events), (1, 0));
        spool.append(vec![draft(Level::Full, vec![0; 300_000])], Urgency::Linger).await.unwrap();
        spool.meta("a barrier").await.unwrap();
        assert_eq!(spool.ledger().pending, 2);
    });
}

#[test]
fn what_lingers_is_committed_by_itself_when_its_time_has_come() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let linger = Duration::from_millis(20);
        let spool = open_as(dir.path(), Settings { linger, ..settings() });
        let mut changes = spool.changes();
        spool.append(vec![draft(Level::Full, "soon")], Urgency::Linger).await.unwrap();
        // Ends when the thread has committed, whenever that is.
        changes.wait_for(|ledger| ledger.pending == 1).await.unwrap();
    });
}

#[test]
fn a_partial_success_counts_its_rejects_and_an_answer_about_gone_rows_counts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let clock = clock();
        let spool = open_at(dir.path(), settings(), &clock);
        now(&spool, (0..5).map(|_| draft(Level::Full, "x")).collect()).await;
        now(&spool, (0..3).map(|_| draft(Level::Basic, "y")).collect()).await;
        let parcel = spool.next(Want::all(1000)).await.unwrap().unwrap();
        let rows: Vec<_> = parcel.rows.iter().map(|row| row.id).collect();
        assert_eq!(spool.lower_to(Level::Basic).await.unwrap(), 5);
        spool.uploaded(&rows, 2).await.unwrap();
        spool.uploaded(&rows, 2).await.unwrap();
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.uploaded, ledger.pending), (1, 0));
        assert_eq!(ledger.dropped.get(DropReason::Rejected), 2);
        assert_eq!(ledger.dropped.get(DropReason::Withdrawn), 5);
        assert!(ledger.last_upload.is_some());
    });
}

#[test]
fn splitting_ends_with_the_one_bad_record_alone_among_the_dead_letters() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        let bodies: Vec<Vec<u8>> = (0..7).map(|n| vec![n; 10]).collect();
        now(&spool, bodies.iter().map(|b| draft(Level::Basic, b.clone())).collect()).await;
        let mut sent = Vec::new();
        while let Some(parcel) = spool.next(Want::all(1)).await.unwrap() {
            let row = &parcel.rows[0];
            let bad = frames(&parcel).iter().any(|frame| frame.1 == bodies[4]);
            if !bad {
                sent.extend(frames(&parcel));
                spool.uploaded(&[row.id], 0).await.unwrap();
            } else if !spool.split(row.id).await.unwrap() {
                spool.reject(row.id, "400 no such field").await.unwrap();
            }
            assert_sound(&spool).await;
        }
        let numbers: Vec<u64> = sent.iter().map(|frame| frame.0).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 6, 7]);
        let letters = spool.dead_letters().await.unwrap();
        assert_eq!((letters.len(), letters[0].seq), (1, 5));
        assert_eq!(letters[0].answer, "400 no such field");
        assert!(letters[0].bytes.ends_with(&bodies[4]));
        assert_eq!(spool.ledger().dropped.get(DropReason::Rejected), 1);
        spool.clear(DropReason::Deleted).await.unwrap();
        assert_eq!(spool.dead_letters().await.unwrap(), []);
    });
}

#[test]
fn dead_letters_are_bounded_by_count_and_by_bytes_and_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        let bury = async |bytes: usize| {
            now(&spool, vec![draft(Level::Basic, vec![0; bytes])]).await;
            let parcel = spool.next(Want::all(1)).await.unwrap().unwrap();
            spool.reject(parcel.rows[0].id, &"é".repeat(600)).await.unwrap();
        };
        for _ in 0..66 {
            bury(10).await;
        }
        let letters = spool.dead_letters().await.unwrap();
        assert_eq!((letters.len(), letters[0].seq), (64, 3));
        assert_eq!(letters[0].answer.len(), 1024);
        bury(900_000).await;
        bury(900_000).await;
        let letters = spool.dead_letters().await.unwrap();
        assert_eq!((letters.len(), letters[0].seq), (1, 68));
        assert_eq!(spool.ledger().dead_letters, 1);
        assert_sound(&spool).await;
    });
}

#[test]
fn above_the_ceiling_nothing_gets_in_and_raising_lets_only_new_records_in() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        spool.append(vec![draft(Level::Full, "lingers")], Urgency::Linger).await.unwrap();
        now(&spool, vec![draft(Level::Security, "s")]).await;
        now(&spool, vec![draft(Level::Full, "waits")]).await;
        spool.append(vec![draft(Level::Full, "lingers")], Urgency::Linger).await.unwrap();
        assert_eq!(spool.lower_to(Level::Security).await.unwrap(), 2);
        now(&spool, vec![draft(Level::Basic, "refused"), draft(Level::Security, "t")]).await;
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.withheld, ledger.generated, ledger.pending), (2, 4, 2));
        spool.set_ceiling(Level::Basic).await.unwrap();
        now(&spool, vec![draft(Level::Basic, "new"), draft(Level::Full, "no")]).await;
        assert_eq!(spool.ledger().withheld, 3);
        let bodies: Vec<_> = drain(&spool).await.into_iter().map(|frame| frame.1).collect();
        assert_eq!(bodies, [b"s".to_vec(), b"t".to_vec(), b"new".to_vec()]);
        spool.close().await.unwrap();
        assert_eq!(open(dir.path()).ledger().withheld, 3);
    });
}

#[test]
fn lowering_takes_the_dead_letters_above_the_level_as_well_and_leaves_no_byte_of_them() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        for level in [Level::Basic, Level::Full] {
            now(&spool, vec![draft(level, noise(level.number(), 300))]).await;
        }
        while let Some(parcel) = spool.next(Want::all(1)).await.unwrap() {
            spool.reject(parcel.rows[0].id, "400 no").await.unwrap();
        }
        let levels = async || -> Vec<Level> {
            spool.dead_letters().await.unwrap().iter().map(|letter| letter.level).collect()
        };
        assert_eq!(levels().await, [Level::Basic, Level::Full]);
        spool.lower_to(Level::Basic).await.unwrap();
        assert_eq!(levels().await, [Level::Basic]);
        let gone = &noise(Level::Full.number(), 300)[100..200];
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(gone.len()).any(|run| run == gone));
        }
    });
}

#[test]
fn clearing_counts_the_owners_reason_and_what_lingered_was_never_generated() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Security, "a"), draft(Level::Full, "b")]).await;
        spool.append(vec![draft(Level::Full, "c")], Urgency::Linger).await.unwrap();
        assert_eq!(spool.clear(DropReason::Disabled).await.unwrap(), 2);
        let ledger = assert_sound(&spool).await;
        assert_eq!(ledger.dropped.get(DropReason::Disabled), 2);
        assert_eq!((ledger.generated, ledger.pending, ledger.withheld), (2, 0, 1));
        assert_eq!(ledger.lingering.events, 0);
        now(&spool, vec![draft(Level::Full, "d")]).await;
        assert_eq!(drain(&spool).await, [(3, b"d".to_vec())]);
    });
}

#[test]
fn the_install_id_the_numbers_and_the_keys_survive_restarts() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        let id = spool.install_id().to_owned();
        assert_eq!(id.len(), 36);
        spool.set_meta("etag", "abc").await.unwrap();
        now(&spool, vec![draft(Level::Full, "x")]).await;
        assert_eq!(drain(&spool).await.len(), 1);
        spool.close().await.unwrap();
        let spool = open(dir.path());
        assert_eq!(spool.install_id(), id);
        assert_eq!(spool.meta("etag").await.unwrap().as_deref(), Some("abc"));
        assert_eq!(spool.meta("none").await.unwrap(), None);
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.next_seq, ledger.uploaded, ledger.damages), (2, 1, 0));
        assert!(ledger.last_upload.is_some());
    });
}

#[test]
fn a_second_opener_is_refused_and_disturbs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        now(&spool, vec![draft(Level::Full, "x")]).await;
        let second = Spool::open(dir.path(), settings(), Box::new(Plain));
        assert!(matches!(second, Err(candor_spool::OpenError::InUse { .. })), "{second:?}");
        assert_eq!(drain(&spool).await.len(), 1);
        assert_sound(&spool).await;
    });
}

#[test]
fn concurrent_appends_are_answered_by_fewer_commits_than_there_are_appends() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open(dir.path());
        let before = spool.ledger().fsyncs;
        let appends = (0..32).map(|_| {
            let spool = spool.clone();
            async move { now(&spool, vec![draft(Level::Full, "x")]).await }
        });
        // One place to run: all are queued before the first answer is looked at.
        let mut all: Vec<_> = appends.map(Box::pin).collect();
        std::future::poll_fn(|context| {
            all.retain_mut(|append| append.as_mut().poll(context).is_pending());
            if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        assert!(spool.ledger().fsyncs - before < 32);
        assert_eq!(spool.ledger().pending, 32);
    });
}
