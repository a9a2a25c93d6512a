//! Windows' times: units of 100 ns since 1601.
//!
//! # Invariants
//! - A time before 1970 or beyond what nanoseconds hold is absent.

use candor_model::UnixNanos;

/// From 1601 to 1970.
const EPOCH_DIFFERENCE: u64 = 116_444_736_000_000_000;

pub(super) fn unix(ticks: u64) -> Option<UnixNanos> {
    ticks.checked_sub(EPOCH_DIFFERENCE)?.checked_mul(100).map(UnixNanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_turned_and_what_does_not_fit_is_absent() {
        assert_eq!(unix(116_444_736_000_000_000), Some(UnixNanos(0)));
        assert_eq!(unix(133_438_189_000_000_000), Some(UnixNanos(1_699_345_300_000_000_000)));
        assert_eq!((unix(0), unix(u64::MAX)), (None, None));
    }
}
