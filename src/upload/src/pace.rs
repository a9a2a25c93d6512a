//! Manners of a catch-up: how much of a minute may go into an old backlog. Pure; `drain` asks and
//! reports.
//!
//! A receiver that was away for an hour has a fleet's hour to take, and the hosts have other use for
//! their link. So at most half of the wall time of each minute is spent on requests while what waits
//! is older than one interval; the first request of a drain, which carries the newest, always goes.
//!
//! # Invariants
//! - What is not older than one interval is never slowed down, nor are security records, nor a flush.
//! - No rest is longer than a minute.

use std::time::Duration;

use tokio::time::Instant;

/// Shares are given out for so long.
const WINDOW: Duration = Duration::from_mins(1);
/// Of each window, the time that requests of a backlog may take.
const SHARE: Duration = Duration::from_secs(30);

/// What a backlog has taken of the present minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    began: Option<Instant>,
    spent: Duration,
}

impl Pace {
    /// Counts the time of a request.
    pub(crate) fn spend(&mut self, from: Instant, to: Instant) {
        if self.began.is_none_or(|began| from >= began + WINDOW) {
            *self = Self { began: Some(from), spent: Duration::ZERO };
        }
        self.spent += to.saturating_duration_since(from);
    }

    /// Until when to rest, if the share is spent.
    pub(crate) fn rest(&self, now: Instant) -> Option<Instant> {
        let end = self.began? + WINDOW;
        (self.spent >= SHARE && now < end).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_minute_is_spent_and_then_it_rests_until_the_minute_is_over() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::default();
        assert_eq!(pace.rest(start), None);
        for second in (0..28).step_by(2) {
            pace.spend(at(second), at(second + 2));
            assert_eq!(pace.rest(at(second + 2)), None, "{second}");
        }
        pace.spend(at(28), at(30));
        assert_eq!(pace.rest(at(30)), Some(at(60)));
        assert_eq!(pace.rest(at(60)), None);
        pace.spend(at(60), at(61));
        assert_eq!(pace.rest(at(61)), None);
    }

    #[test]
    fn a_request_that_lasts_longer_than_the_minute_takes_no_share_of_the_next() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let end = start + Duration::from_mins(2);
        pace.spend(start, end);
        assert_eq!(pace.rest(end), None);
    }
}
