//! Each write and each sync fails once, for a while, or for good; each read brings a flipped bit.

use candor_model::{DropReason, Level};
use candor_spool::Spool;

use crate::script::{Holding, SCRIPT, Step, copy, drain, held, open, run, step};
use crate::vfs::{Fault, Kind, Watch};
use crate::{choice, temp};

/// Does a step until it works; a fault that lasts is taken away after some tries.
async fn insist(spool: &Spool, watch: &Watch, number: usize, doing: Step) {
    for tries in 0..6 {
        if tries == 5 {
            watch.fail(None);
        }
        if step(spool, number, doing).await.is_ok() {
            return;
        }
    }
    unreachable!("step {number} fails on a healthy disk");
}

/// Runs the script with a fault. What the store held at the end, and whether the fault came about.
fn script_with(fault: Option<Fault>) -> (Holding, bool) {
    let dir = temp();
    let watch = Watch::over(dir.path());
    run(async {
        watch.fail(fault);
        // It need not open on such a disk, but it opens on a healthy one.
        let spool = open(dir.path()).unwrap_or_else(|_| {
            watch.fail(None);
            open(dir.path()).unwrap()
        });
        for (number, doing) in SCRIPT.iter().enumerate() {
            insist(&spool, &watch, number, *doing).await;
        }
        let came = watch.has_failed();
        watch.fail(None);
        let mut found = held(&spool).await;
        spool.close().await.unwrap();
        let spool = open(dir.path()).unwrap();
        assert!(held(&spool).await.waiting.is_empty(), "{fault:?}");
        assert_eq!(spool.ledger().generated, found.generated, "{fault:?}");
        found.install_id.clear();
        (found, came)
    })
}

/// Some faults of a kind, `most` of two thousand, as far as the run goes.
fn each(kind: Kind, times: usize, most: usize, check: impl Fn(Fault, Holding)) {
    for after in choice(2000, most) {
        let fault = Fault { after, times, kind };
        let (found, came) = script_with(Some(fault));
        if !came {
            return;
        }
        check(fault, found);
    }
}

#[test]
fn a_write_or_a_sync_that_the_disk_refuses_is_as_if_it_had_not_been_asked() {
    let (expected, _) = script_with(None);
    for times in [1, 3, usize::MAX] {
        each(Kind::Broken, times, 24, |fault, found| assert_eq!(found, expected, "{fault:?}"));
    }
    // A commit whose sync fails may be on the disk all the same: each of them.
    each(Kind::Unsynced, 1, 2000, |fault, found| assert_eq!(found, expected, "{fault:?}"));
}

/// A commit at whose sync the disk is gone for so many calls; whether it came to that.
fn commit_on_a_disk_that_is_gone(fault: Fault) -> bool {
    let dir = temp();
    let watch = Watch::over(dir.path());
    run(async {
        let spool = open(dir.path()).unwrap();
        step(&spool, 0, Step::Append(Level::Basic, 2, 300)).await.unwrap();
        step(&spool, 1, Step::Linger(Level::Full, 3, 9_000)).await.unwrap();
        watch.fail(Some(fault));
        let first = spool.commit().await;
        let is_counted = spool.ledger().generated == 5;
        assert!(first.is_err() || is_counted, "{fault:?}: what was answered is there");
        step(&spool, 2, Step::Linger(Level::Full, 1, 100)).await.unwrap();
        let came = watch.has_failed();
        watch.fail(None);
        spool.commit().await.unwrap();
        let found = held(&spool).await;
        assert_eq!((found.waiting.len(), found.damages), (6, 0), "{fault:?}");
        spool.close().await.unwrap();
        came
    })
}

#[test]
fn a_commit_on_a_disk_that_is_gone_happened_once_or_not_at_all_and_the_ledger_knows() {
    for times in 1..=60 {
        let came = commit_on_a_disk_that_is_gone(Fault { after: 0, times, kind: Kind::Gone });
        assert!(came, "a commit is synced");
    }
}

/// How many drafts were refused of those that found no room while a commit was in doubt, and whether it happened.
fn refused_while_in_doubt(is_new_log: bool) -> (u64, bool) {
    let dir = temp();
    let watch = Watch::over(dir.path());
    run(async {
        let spool = open(dir.path()).unwrap();
        let before = u64::from(!is_new_log);
        if !is_new_log {
            step(&spool, 0, Step::Append(Level::Basic, 1, 300)).await.unwrap();
        }
        step(&spool, 1, Step::Linger(Level::Full, 3, 9_000)).await.unwrap();
        watch.fail(Some(Fault { after: 0, times: usize::MAX, kind: Kind::Gone }));
        spool.commit().await.unwrap_err();
        // More than the memory holds, and the three are the least valuable of it.
        for number in 2..32 {
            step(&spool, number, Step::Linger(Level::Basic, 1, 60_000)).await.unwrap();
        }
        watch.fail(None);
        spool.commit().await.unwrap();
        let ledger = spool.ledger();
        assert_eq!(ledger.lingering.events, 0, "{ledger:?}");
        assert_eq!(ledger.generated + ledger.refused, before + 33, "{ledger:?}");
        spool.close().await.unwrap();
        (ledger.refused, ledger.generated_by_level[3] == 3)
    })
}

#[test]
fn what_finds_no_room_while_a_commit_is_in_doubt_is_counted_once_whether_it_happened_or_not() {
    // The first sync of a new log comes before the rows are written, that of another after.
    let (with_the_three, happened) = refused_while_in_doubt(true);
    assert!(with_the_three > 3 && !happened);
    assert_eq!(refused_while_in_doubt(false), (with_the_three - 3, true));
}

#[test]
fn a_disk_that_is_gone_in_the_middle_of_anything_leaves_a_ledger_that_agrees_with_the_rows() {
    for times in [1, 2, 3, 5, 8, 13, 21, 34] {
        // What was refused is done again, and where it had happened, both are there.
        each(Kind::Gone, times, 60, |fault, found| {
            let last = SCRIPT.len() - 1;
            let got = found.waiting.values().filter(|body| usize::from(body[0]) == last);
            assert!(got.count() >= 5 && found.damages == 0, "{fault:?}");
        });
    }
}

#[test]
fn on_a_full_disk_everything_is_answered_and_every_loss_is_counted() {
    let (expected, _) = script_with(None);
    for times in [1, 3, usize::MAX] {
        each(Kind::Full, times, 24, |fault, found| {
            // What found no room was generated and dropped; what was answered last is there.
            assert_eq!((found.generated, found.damages), (expected.generated, 0), "{fault:?}");
            let last = SCRIPT.len() - 1;
            let got = found.waiting.values().filter(|body| usize::from(body[0]) == last);
            let full = found.dropped[0] - expected.dropped[0];
            assert!(got.count() as u64 + full >= 5, "{fault:?}");
        });
    }
}

/// A closed store in which `count` records wait.
fn waiting(count: &mut u64) -> tempfile::TempDir {
    let dir = temp();
    run(async {
        let spool = open(dir.path()).unwrap();
        for (number, (level, length)) in
            [(Level::Basic, 300), (Level::Full, 40_000), (Level::Security, 9_000)]
                .iter()
                .enumerate()
        {
            step(&spool, number, Step::Append(*level, 4, *length)).await.unwrap();
        }
        *count = spool.ledger().pending;
        spool.close().await.unwrap();
    });
    dir
}

#[test]
fn a_bit_that_is_flipped_on_the_way_in_is_never_delivered() {
    let mut count = 0;
    let source = waiting(&mut count);
    let mut bitten = 0;
    for after in choice(400, 400) {
        let dir = copy(source.path());
        let watch = Watch::over(dir.path());
        watch.fail(Some(Fault { after, times: 1, kind: Kind::Flip }));
        let spool = run(async {
            // Where the flip hits the opening itself, the store may be refused once.
            open(dir.path()).unwrap_or_else(|_| open(dir.path()).unwrap())
        });
        // Each body is checked as it is read.
        let got = run(drain(&spool)).len() as u64;
        let came = watch.has_failed();
        watch.fail(None);
        let ledger = spool.ledger();
        let corrupt = ledger.dropped.get(DropReason::Corrupt);
        bitten += u32::from(corrupt > 0);
        assert_eq!((got + corrupt, ledger.generated), (count, count), "after {after}");
        assert!(run(spool.verify()).unwrap().is_sound(), "after {after}");
        run(spool.close()).unwrap();
        if !came {
            break;
        }
    }
    assert!(bitten > 3, "{bitten}");
}
