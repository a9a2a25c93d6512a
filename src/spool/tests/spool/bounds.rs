//! Size, age, room on the file system, size of one record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use candor_model::{DropReason, Level};
use candor_spool::{Settings, Spool, Surroundings};

use crate::kit::{
    Plain, assert_sound, clock, draft, drain, noise, now, open_as, open_at, run, settings,
};

const CAP: u64 = 1 << 20;

fn small() -> Settings {
    Settings { max_bytes: CAP, ..settings() }
}

#[test]
fn at_the_cap_the_least_valuable_levels_oldest_go_first_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open_as(dir.path(), small());
        for level in [Level::Security, Level::Full, Level::Basic, Level::Full].repeat(12) {
            now(&spool, vec![draft(level, noise(7, 30_000))]).await;
            assert!(spool.ledger().bytes <= CAP, "{:?}", spool.ledger());
        }
        let ledger = assert_sound(&spool).await;
        let full = ledger.dropped.get(DropReason::SpoolFull);
        assert_eq!(full, ledger.dropped.total());
        assert!(full > 0);
        let kept: Vec<u64> = drain(&spool).await.into_iter().map(|frame| frame.0).collect();
        // Numbers 1, 5, 9 … are security, 3, 7 … basic, the even ones full.
        let valuable: Vec<u64> = (1..=48).filter(|n| n % 2 == 1).collect();
        assert!(valuable.iter().all(|n| kept.contains(n)));
        let mut rest: Vec<u64> = kept.iter().copied().filter(|n| n % 2 == 0).collect();
        rest.sort_unstable();
        let newest: Vec<u64> = (1..=24).map(|n| n * 2).filter(|n| *n > full * 2).collect();
        assert_eq!(rest, newest);
    });
}

#[test]
fn among_more_valuable_records_there_is_no_room_for_a_less_valuable_one() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open_as(dir.path(), small());
        for _ in 0..40 {
            now(&spool, vec![draft(Level::Security, noise(7, 30_000))]).await;
        }
        let security = spool.ledger();
        now(&spool, vec![draft(Level::Full, noise(7, 30_000))]).await;
        let ledger = assert_sound(&spool).await;
        assert_eq!(ledger.pending, security.pending);
        assert_eq!(ledger.generated_by_level[3], 1);
        assert_eq!(ledger.dropped.total(), security.dropped.total() + 1);
    });
}

#[test]
fn a_smaller_cap_evicts_at_the_next_commit_and_a_cap_that_fits_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open_as(dir.path(), Settings { max_bytes: 4 * CAP, ..settings() });
        for _ in 0..60 {
            now(&spool, vec![draft(Level::Full, noise(7, 30_000))]).await;
        }
        spool.close().await.unwrap();
        let spool = open_as(dir.path(), Settings { max_bytes: 3 * CAP, ..settings() });
        now(&spool, vec![draft(Level::Full, "x")]).await;
        assert_eq!(assert_sound(&spool).await.pending, 61);
        spool.configure(small()).await.unwrap();
        assert_eq!((spool.ledger().max_bytes, spool.ledger().pending), (CAP, 61));
        now(&spool, vec![draft(Level::Full, "y")]).await;
        let ledger = assert_sound(&spool).await;
        assert!(ledger.bytes <= CAP && ledger.pending > 20, "{ledger:?}");
        assert_eq!(drain(&spool).await.last().unwrap().1, b"y");
    });
}

#[test]
fn an_oversize_record_is_generated_and_dropped_and_its_neighbours_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let spool = open_as(dir.path(), settings());
        let large = vec![0; (1 << 20) + 1];
        let drafts = vec![
            draft(Level::Basic, "a"),
            draft(Level::Basic, large),
            draft(Level::Basic, vec![1; 1 << 20]),
            draft(Level::Basic, "b"),
        ];
        now(&spool, drafts).await;
        let ledger = assert_sound(&spool).await;
        assert_eq!(ledger.dropped.get(DropReason::Oversize), 1);
        let numbers: Vec<u64> = drain(&spool).await.into_iter().map(|frame| frame.0).collect();
        assert_eq!(numbers, [1, 3, 4]);
    });
}

#[test]
fn what_is_too_old_expires_by_time_passed_whatever_the_wall_clock_says() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let clock = clock();
        let day = Duration::from_hours(24);
        let spool = open_at(dir.path(), Settings { max_age: day * 30, ..settings() }, &clock);
        now(&spool, vec![draft(Level::Full, "old")]).await;
        clock.set_wall(std::time::SystemTime::UNIX_EPOCH + day * 90_000);
        now(&spool, vec![draft(Level::Full, "a century later")]).await;
        clock.set_wall(std::time::SystemTime::UNIX_EPOCH);
        clock.suspend(day * 29);
        now(&spool, vec![draft(Level::Full, "young")]).await;
        assert_eq!(assert_sound(&spool).await.pending, 3);
        clock.advance(day * 2);
        let kept = drain(&spool).await;
        assert_eq!(kept, [(3, b"young".to_vec())]);
        let ledger = assert_sound(&spool).await;
        assert_eq!(ledger.dropped.get(DropReason::Expired), 2);
    });
}

#[test]
fn the_oldest_waiting_record_is_dated_by_todays_wall_clock() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let clock = clock();
        let spool = open_at(dir.path(), settings(), &clock);
        now(&spool, vec![draft(Level::Full, "x")]).await;
        clock.advance(Duration::from_mins(5));
        now(&spool, vec![draft(Level::Full, "y")]).await;
        let oldest = spool.ledger().oldest.unwrap();
        let today = candor_platform::Clock::wall(&clock);
        assert_eq!(today.duration_since(oldest).unwrap(), Duration::from_mins(5));
    });
}

#[test]
fn while_the_file_system_is_nearly_full_the_store_does_not_grow_and_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let told = Arc::clone(&free);
        let mut outside = Surroundings::default();
        outside.free_bytes = Box::new(move |_| Some(told.load(Ordering::Relaxed)));
        let bounds = Settings { min_free: 1000, ..settings() };
        let spool = Spool::open_with(dir.path(), bounds, Box::new(Plain), outside).unwrap();
        for _ in 0..10 {
            now(&spool, vec![draft(Level::Full, noise(7, 30_000))]).await;
        }
        let before = spool.ledger();
        free.store(999, Ordering::Relaxed);
        for _ in 0..10 {
            now(&spool, vec![draft(Level::Basic, noise(7, 30_000))]).await;
        }
        let ledger = assert_sound(&spool).await;
        assert!(ledger.bytes <= before.bytes + 64 * 1024, "{ledger:?}");
        assert_eq!(ledger.dropped.get(DropReason::SpoolFull), ledger.dropped.total());
        assert!(ledger.dropped.total() >= 9);
        assert!(ledger.generated_by_level[1] == 10 && ledger.pending >= 9);
        free.store(u64::MAX, Ordering::Relaxed);
        for _ in 0..10 {
            now(&spool, vec![draft(Level::Full, noise(7, 30_000))]).await;
        }
        assert_eq!(spool.ledger().dropped, ledger.dropped);
    });
}
