//! The age clock: milliseconds that rows have waited, which no step of the wall clock can change.
//!
//! While the agent runs it follows the boot clock (suspend included); across a stop it goes on by
//! the difference of the wall clock, never backwards and never by more than half of
//! `spool.max_age` at once. So a host whose clock jumps by years keeps what waits, and a host that
//! was off for very long forgets at its second start instead of its first.
//!
//! # Invariants
//! - It never goes backwards: of two rows the one with the greater id has the same or a later `at`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the age clock stood, as the store keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The age clock, in milliseconds.
    pub(crate) at: u64,
    /// The wall clock at the same moment, in milliseconds since 1970.
    pub(crate) wall: u64,
}

/// The running age clock.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    base: u64,
    started: Duration,
}

impl Timeline {
    /// Goes on from where the last run stopped.
    pub(crate) fn resume(mark: Mark, wall: SystemTime, boot: Duration, max_age: Duration) -> Self {
        let away = unix_millis(wall).saturating_sub(mark.wall);
        let most = millis(max_age / 2);
        let away = if mark.wall == 0 { 0 } else { away.min(most) };
        Self { base: mark.at.saturating_add(away), started: boot }
    }

    /// The age clock when the boot clock shows `boot`.
    pub(crate) fn at(&self, boot: Duration) -> u64 {
        self.base.saturating_add(millis(boot.saturating_sub(self.started)))
    }

    /// Both clocks, to be stored.
    pub(crate) fn mark(&self, wall: SystemTime, boot: Duration) -> Mark {
        Mark { at: self.at(boot), wall: unix_millis(wall) }
    }
}

/// Milliseconds since 1970; zero before.
pub(crate) fn unix_millis(wall: SystemTime) -> u64 {
    millis(wall.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn wall(days: u32) -> SystemTime {
        UNIX_EPOCH + DAY * days
    }

    #[test]
    fn it_follows_the_boot_clock_whatever_the_wall_clock_does() {
        let line = Timeline::resume(Mark::default(), wall(20_000), DAY, DAY * 30);
        assert_eq!(line.at(DAY + Duration::from_secs(5)), 5_000);
        let mark = line.mark(wall(10), DAY + Duration::from_secs(5));
        assert_eq!(mark.at, 5_000);
    }

    #[test]
    fn a_stop_ages_what_waits_by_the_wall_clock_but_never_back_and_never_by_years() {
        let mark = Mark { at: 1_000, wall: unix_millis(wall(100)) };
        let at = |days| Timeline::resume(mark, wall(days), DAY, DAY * 30).at(DAY);
        assert_eq!(at(102), 1_000 + millis(DAY * 2));
        assert_eq!(at(0), 1_000);
        assert_eq!(at(9_000), 1_000 + millis(DAY * 15));
    }
}
