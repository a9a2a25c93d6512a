//! One reading of all clocks, and how a time is written.
//!
//! # Invariants
//! - A time before 1970 or beyond what OTLP can say is held at that end: it is a label only.

use std::time::{SystemTime, UNIX_EPOCH};

use candor_model::UnixNanos;
use candor_platform::Clock;
use candor_probes::Moment;
use jiff::Timestamp;

/// What all clocks say now.
pub fn moment(clock: &(impl Clock + ?Sized)) -> Moment {
    Moment { wall: nanos(clock.wall()), boot: clock.boot(), monotonic: clock.monotonic() }
}

/// A time as RFC 3339 in UTC, to the millisecond.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let millis = nanos(time).0 / 1_000_000;
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX).to_string()
}

fn nanos(time: SystemTime) -> UnixNanos {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_written_in_utc_and_held_at_the_ends() {
        let time = UNIX_EPOCH + Duration::from_nanos(1_795_161_600_123_456_789);
        assert_eq!(rfc3339(time), "2026-11-20T08:00:00.123Z");
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
        assert_eq!(nanos(UNIX_EPOCH + Duration::from_secs(20_000_000_000)), UnixNanos(u64::MAX));
    }
}
