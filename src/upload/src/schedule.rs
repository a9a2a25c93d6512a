//! When ordinary records go, by what the host runs on and over which link they would go: every
//! interval on mains, every four hours on battery, not at all over a metered link. Pure; `uploader`
//! asks when an upload is due, and not before.
//!
//! # Invariants
//! - It decides only where the owner did not: with an interval of his own ([`Schedule::Fixed`]) every
//!   upload goes when it is due.
//! - Security records, and with them every change of level, wait for no schedule; nor does a flush.
//! - What nobody tells saves nothing: a host without a battery is on mains, a link that nobody calls
//!   metered is not.

use std::time::Duration;

/// Between two uploads of ordinary records on battery.
pub const ON_BATTERY: Duration = Duration::from_hours(4);

/// What the host runs on, and what its link costs, as far as somebody tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether it runs on battery.
    pub is_on_battery: Option<bool>,
    /// Whether the link is paid for by volume.
    pub is_metered: Option<bool>,
}

/// Which rule holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// The owner's own interval.
    #[default]
    Fixed,
    /// The ordinary interval.
    Mains,
    /// [`ON_BATTERY`].
    Battery,
    /// Only security records.
    Metered,
}

impl Schedule {
    /// The rule for these surroundings. A metered link counts before a battery: it saves more.
    #[must_use]
    pub const fn of(surroundings: Surroundings) -> Self {
        match surroundings {
            Surroundings { is_metered: Some(true), .. } => Self::Metered,
            Surroundings { is_on_battery: Some(true), .. } => Self::Battery,
            Surroundings { .. } => Self::Mains,
        }
    }

    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Mains => "mains",
            Self::Battery => "battery",
            Self::Metered => "metered",
        }
    }

    /// Why, and what follows.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Fixed => "upload.interval is set: every upload goes when it is due",
            Self::Mains => "the host is not known to run on battery or over a metered link",
            Self::Battery => {
                "the host runs on battery: ordinary records go every 4 h, security records at once"
            }
            Self::Metered => {
                "the link is metered: ordinary records wait for another one, security records go at once"
            }
        }
    }

    /// How long after the last upload of ordinary records the next one may go; `None` while this
    /// rule holds.
    #[must_use]
    pub fn spacing(self, interval: Duration) -> Option<Duration> {
        match self {
            Self::Fixed | Self::Mains => Some(interval),
            Self::Battery => Some(interval.max(ON_BATTERY)),
            Self::Metered => None,
        }
    }

    /// Whether ordinary records may go now, so long after they last went; `None`: they never did.
    #[must_use]
    pub fn lets_go(self, since: Option<Duration>) -> bool {
        match self {
            Self::Fixed | Self::Mains => true,
            Self::Battery => since.is_none_or(|since| since >= ON_BATTERY),
            Self::Metered => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const QUARTER: Duration = Duration::from_mins(15);

    fn schedule(is_on_battery: Option<bool>, is_metered: Option<bool>) -> Schedule {
        Schedule::of(Surroundings { is_on_battery, is_metered })
    }

    #[test]
    fn a_metered_link_counts_before_a_battery_and_the_unknown_saves_nothing() {
        for told in [None, Some(false)] {
            assert_eq!(schedule(told, told), Schedule::Mains);
            assert_eq!(schedule(Some(true), told), Schedule::Battery);
            assert_eq!(schedule(told, Some(true)), Schedule::Metered);
        }
        assert_eq!(schedule(Some(true), Some(true)), Schedule::Metered);
    }

    #[test]
    fn ordinary_records_go_when_due_on_mains_every_four_hours_on_battery_and_never_if_metered() {
        for since in [None, Some(Duration::ZERO), Some(HOUR * 3), Some(HOUR * 4), Some(HOUR * 99)] {
            assert!(Schedule::Mains.lets_go(since) && Schedule::Fixed.lets_go(since));
            let is_long = since.is_none_or(|since| since >= HOUR * 4);
            assert_eq!(Schedule::Battery.lets_go(since), is_long, "{since:?}");
            assert!(!Schedule::Metered.lets_go(since));
        }
        assert_eq!(Schedule::Mains.spacing(QUARTER), Some(QUARTER));
        assert_eq!(Schedule::Battery.spacing(QUARTER), Some(HOUR * 4));
        // A floor from afar that is longer holds on battery too.
        assert_eq!(Schedule::Battery.spacing(HOUR * 9), Some(HOUR * 9));
        assert_eq!(Schedule::Metered.spacing(QUARTER), None);
    }
}
