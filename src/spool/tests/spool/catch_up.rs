//! After an outage: the newest report first, once, and then the backlog from its oldest on.

use std::time::Duration;

use candor_model::{Draft, Kind, Level};
use candor_spool::{Spool, Want};

use crate::kit::{assert_sound, clock, draft, frames, now, open_at, run, settings};

/// A report: a metric and an event of each of two lanes, in one commit.
async fn report(spool: &Spool) {
    let metric = Draft { kind: Kind::Metric, ..draft(Level::Full, "metric") };
    now(spool, vec![draft(Level::Basic, "event"), draft(Level::Full, "event"), metric]).await;
}

/// The numbers of the next parcel, which is then acknowledged.
async fn take(spool: &Spool) -> Vec<u64> {
    let parcel = spool.next(Want::all(100_000)).await.unwrap().unwrap();
    let rows: Vec<_> = parcel.rows.iter().map(|row| row.id).collect();
    spool.uploaded(&rows, 0).await.unwrap();
    frames(&parcel).into_iter().map(|frame| frame.0).collect()
}

#[test]
fn the_newest_report_goes_ahead_of_the_backlog_once_and_security_ahead_of_both() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let clock = clock();
        let spool = open_at(dir.path(), settings(), &clock);
        for _ in 0..3 {
            report(&spool).await;
            clock.advance(Duration::from_mins(15));
        }
        report(&spool).await;
        // Numbers 1-3, 4-6, 7-9, 10-12; the metric is the last of each.
        let first = spool.next(Want::all(100_000)).await.unwrap().unwrap();
        assert_eq!(frames(&first).iter().map(|frame| frame.0).collect::<Vec<_>>(), [10, 11]);
        // Nothing was settled, so a still newer report is the newest.
        clock.advance(Duration::from_mins(15));
        report(&spool).await;
        now(&spool, vec![draft(Level::Security, "alarm")]).await;
        assert_eq!(take(&spool).await, [16, 13, 14]);
        clock.advance(Duration::from_mins(15));
        report(&spool).await;
        assert_eq!(take(&spool).await, [15], "the rest of the report that goes ahead");
        assert_eq!(take(&spool).await, [1, 2, 4, 5, 7, 8, 10, 11, 17, 18]);
        assert_eq!(take(&spool).await, [3, 6, 9, 12, 19]);
        assert_sound(&spool).await;
        // The next outage is another catch-up.
        report(&spool).await;
        clock.advance(Duration::from_mins(40));
        report(&spool).await;
        assert_eq!(take(&spool).await, [23, 24]);
    });
}

#[test]
fn a_row_of_the_report_that_is_split_stays_ahead() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let clock = clock();
        let spool = open_at(dir.path(), settings(), &clock);
        now(&spool, vec![draft(Level::Basic, "old")]).await;
        clock.advance(Duration::from_mins(31));
        now(&spool, (0..4).map(|_| draft(Level::Basic, "new")).collect()).await;
        let row = spool.next(Want::all(1)).await.unwrap().unwrap().rows[0].id;
        assert!(spool.split(row).await.unwrap());
        let first = spool.next(Want::all(1)).await.unwrap().unwrap();
        assert_eq!(first.rows[0].first_seq, 2);
        spool.uploaded(&[first.rows[0].id], 0).await.unwrap();
        assert_eq!(take(&spool).await, [4, 5]);
        assert_eq!(take(&spool).await, [1]);
    });
}

#[test]
fn a_dead_letter_is_replayed_as_a_new_record_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let clock = clock();
        let spool = open_at(dir.path(), settings(), &clock);
        now(&spool, vec![draft(Level::Basic, "refused"), draft(Level::Basic, "good")]).await;
        let row = spool.next(Want::all(1)).await.unwrap().unwrap().rows[0].id;
        assert!(spool.split(row).await.unwrap());
        spool.reject(row, "400 bad").await.unwrap();
        clock.advance(Duration::from_mins(5));
        let letter = spool.dead_letters().await.unwrap().remove(0);
        let today = candor_platform::Clock::wall(&clock);
        assert_eq!(today.duration_since(letter.time).unwrap(), Duration::from_mins(5));
        assert_eq!((letter.seq, letter.kind, &*letter.boot), (1, Kind::Log, "boot-1"));
        assert_eq!(spool.replay(7).await.unwrap(), None);
        assert_eq!(spool.replay(1).await.unwrap(), Some(3));
        assert_eq!(spool.replay(1).await.unwrap(), None);
        let ledger = assert_sound(&spool).await;
        assert_eq!((ledger.generated, ledger.pending, ledger.dead_letters), (3, 2, 0));
        let parcel = spool.next(Want::all(1000)).await.unwrap().unwrap();
        assert_eq!(frames(&parcel), [(2, b"good".to_vec()), (3, b"refused".to_vec())]);
    });
}
