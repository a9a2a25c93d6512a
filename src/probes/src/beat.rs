//! Once a minute of the samples that come every few seconds: for counters that need no finer look,
//! so that they cost a round in six.
//!
//! # Invariants
//! - By the boot clock; the first look is at once.
//!
//! Nothing here fails.

use std::time::Duration;

use crate::Moment;

/// Between two looks.
const MINUTE: Duration = Duration::from_mins(1);

/// When the last look was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beat {
    last: Option<Duration>,
}

impl Beat {
    /// Whether it is time to look; if so, it counts as done.
    pub(crate) fn is_due(&mut self, now: Moment) -> bool {
        let is_due = self.last.is_none_or(|last| now.boot.abs_diff(last) >= MINUTE);
        if is_due {
            self.last = Some(now.boot);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn one_sample_of_six_is_due() {
        let mut beat = Beat::default();
        let due: Vec<_> = (0..=12).filter(|n| beat.is_due(at(n * 10))).collect();
        assert_eq!(due, [0, 6, 12]);
    }
}
