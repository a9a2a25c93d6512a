//! The day's bytes: what `max_bytes_per_day` allows from midnight to midnight UTC. Pure; `drain`
//! asks before each request and reports after it.
//!
//! # Invariants
//! - The first request of a day always goes, so that a limit smaller than one record does not
//!   become a hold for ever.
//! - A clock that steps to another day, either way, begins a new count.

use std::time::{Duration, SystemTime};

const DAY: u64 = 24 * 60 * 60;

/// Bytes that were sent on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Day {
    number: u64,
    spent: u64,
}

impl Day {
    /// Counts bytes that were sent.
    pub(crate) fn spend(&mut self, bytes: u64, wall: SystemTime) {
        *self = self.at(wall);
        self.spent = self.spent.saturating_add(bytes);
    }

    /// Whether a request of so many bytes may go; where not, how long until midnight UTC.
    pub(crate) fn admits(self, bytes: u64, limit: u64, wall: SystemTime) -> Result<(), Duration> {
        let day = self.at(wall);
        if day.spent == 0 || day.spent.saturating_add(bytes) <= limit {
            return Ok(());
        }
        Err(Duration::from_secs((day.number + 1) * DAY - seconds(wall)))
    }

    /// As the spool keeps it over a restart: the day's number since 1970, and the bytes.
    pub(crate) fn to_text(self) -> String {
        format!("{} {}", self.number, self.spent)
    }

    /// What [`to_text`](Self::to_text) wrote.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (number, spent) = text.split_once(' ')?;
        Some(Self { number: number.parse().ok()?, spent: spent.parse().ok()? })
    }

    fn at(self, wall: SystemTime) -> Self {
        let number = seconds(wall) / DAY;
        if number == self.number { self } else { Self { number, spent: 0 } }
    }
}

fn seconds(wall: SystemTime) -> u64 {
    wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u64, second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY + second)
    }

    #[test]
    fn the_limit_holds_until_midnight() {
        let mut day = Day::default();
        day.spend(90, at(20_000, 10));
        assert_eq!(day.admits(10, 100, at(20_000, 20)), Ok(()));
        assert_eq!(day.admits(11, 100, at(20_000, DAY - 1)), Err(Duration::from_secs(1)));
        assert_eq!(day.admits(11, 100, at(20_001, 0)), Ok(()));
    }

    #[test]
    fn the_first_request_of_a_day_always_goes() {
        let mut day = Day::default();
        assert_eq!(day.admits(500, 100, at(20_000, 0)), Ok(()));
        day.spend(500, at(20_000, 0));
        assert!(day.admits(1, 100, at(20_000, 1)).is_err());
    }

    #[test]
    fn a_day_reads_back_from_its_text() {
        let day = Day { number: 20_777, spent: 4096 };
        assert_eq!(Day::from_text(&day.to_text()), Some(day));
        for text in ["", "1", "1 x", "x 1", "-1 1"] {
            assert_eq!(Day::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_step_begins_a_new_count() {
        let mut day = Day::default();
        day.spend(100, at(20_000, 0));
        assert_eq!(day.admits(1, 100, at(10_000, 0)), Ok(()));
    }
}
