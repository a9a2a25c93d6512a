//! A raise for a time: what `set-level --for` writes beside the level, and what is left of it when
//! its time is over.
//!
//! The operator's setting is settled by [`settle`] each time it is read, so that an ended raise
//! looks to the resolution like a setting without it.
//!
//! # Invariants
//! - It ends at the earlier of the wall clock and the boot clock: setting the clock back does not
//!   prolong it, and neither does a suspended or restarted machine.
//! - An ended raise can only lower: its own level stays as a ceiling.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use candor_model::Level;

use crate::keys::Words;

/// The clocks by which a raise is judged, taken at the same moment.
#[derive(Clone, Debug)]
pub struct Now {
    /// Wall clock.
    pub wall: SystemTime,
    /// Time since the host booted, suspension included.
    pub boot: Duration,
    /// Which boot that is; `None` where the host does not tell.
    pub boot_id: Option<String>,
}

/// When a raise ends, on the wall clock. Whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallDeadline(SystemTime);

impl WallDeadline {
    /// The deadline at a time, rounded down to the second.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()))
    }

    /// The moment.
    #[must_use]
    pub const fn time(self) -> SystemTime {
        self.0
    }
}

/// A text that is no time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time: write RFC 3339, such as 2026-11-20T08:00:00Z")]
pub struct BadTime(String);

impl FromStr for WallDeadline {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| BadTime(text.to_owned()))?;
        Ok(Self::at(SystemTime::from(stamp)))
    }
}

impl fmt::Display for WallDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::try_from(self.0) {
            Ok(stamp) => write!(f, "{stamp}"),
            Err(_) => f.write_str("a time out of range"),
        }
    }
}

/// When a raise ends, on the boot clock of one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootDeadline {
    /// The boot in which the raise was made.
    pub boot_id: String,
    /// On that boot's clock.
    pub at: Duration,
}

/// A text that is no point on a boot clock.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no point on a boot clock: write \"BOOT-ID SECONDS\"")]
pub struct BadBootDeadline(String);

impl FromStr for BootDeadline {
    type Err = BadBootDeadline;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(' ').filter(|(boot_id, _)| !boot_id.is_empty());
        let parsed = parts.and_then(|(boot_id, seconds)| {
            let at = Duration::from_secs(seconds.parse().ok()?);
            Some(Self { boot_id: boot_id.to_owned(), at })
        });
        parsed.ok_or_else(|| BadBootDeadline(text.to_owned()))
    }
}

impl fmt::Display for BootDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.boot_id, self.at.as_secs())
    }
}

/// When a raise ends, on both clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Until {
    /// On the wall clock.
    pub wall: WallDeadline,
    /// On the boot clock; `None` where the host does not tell its boot id.
    pub boot: Option<BootDeadline>,
}

impl Until {
    /// The end of a raise that begins now and lasts so long.
    #[must_use]
    pub fn after(now: &Now, lasts: Duration) -> Self {
        let wall = now.wall.checked_add(lasts).unwrap_or(now.wall);
        let at = now.boot.saturating_add(lasts);
        let boot = now.boot_id.clone().map(|boot_id| BootDeadline { boot_id, at });
        Self { wall: WallDeadline::at(wall), boot }
    }

    /// What is left of it, zero when it is over. In another boot only the wall clock can tell.
    #[must_use]
    pub fn left(&self, now: &Now) -> Duration {
        let wall = self.wall.time().duration_since(now.wall).unwrap_or_default();
        match &self.boot {
            Some(deadline) if Some(&deadline.boot_id) == now.boot_id.as_ref() => {
                wall.min(deadline.at.saturating_sub(now.boot))
            }
            _ => wall,
        }
    }
}

/// The raise that words state, if they state one.
#[must_use]
pub fn raise_of(words: &Words) -> Option<Until> {
    let wall = words.allow_telemetry_until?;
    Some(Until { wall, boot: words.allow_telemetry_until_boot.clone() })
}

/// The operator's words as they count now, and what to say about a raise that has ended.
#[must_use]
pub fn settle(mut words: Words, now: &Now) -> (Words, Option<String>) {
    let (Some(until), Some(raised)) = (raise_of(&words), words.allow_telemetry) else {
        return (words, None);
    };
    if !until.left(now).is_zero() {
        return (words, None);
    }
    words.allow_telemetry = words.allow_telemetry_before;
    words.max_telemetry_allowed = Some(lower(words.max_telemetry_allowed, raised));
    (words, Some(format!("the raise to {raised} ended at {}", until.wall)))
}

fn lower(ceiling: Option<Level>, level: Level) -> Level {
    ceiling.map_or(level, |ceiling| ceiling.min(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(wall: u64, boot: u64, boot_id: &str) -> Now {
        Now {
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(wall),
            boot: Duration::from_secs(boot),
            boot_id: Some(boot_id.to_owned()),
        }
    }

    fn raised() -> Words {
        let until = Until::after(&now(1000, 50, "a"), Duration::from_secs(100));
        Words {
            allow_telemetry: Some(Level::Full),
            allow_telemetry_before: Some(Level::Basic),
            allow_telemetry_until: Some(until.wall),
            allow_telemetry_until_boot: until.boot,
            ..Words::default()
        }
    }

    #[test]
    fn a_raise_ends_at_the_earlier_of_wall_clock_and_boot_clock() {
        let until = raise_of(&raised()).unwrap();
        assert_eq!(until.left(&now(1040, 90, "a")), Duration::from_mins(1));
        assert_eq!(until.left(&now(1000, 140, "a")), Duration::from_secs(10));
        assert_eq!(until.left(&now(1095, 60, "a")), Duration::from_secs(5));
        assert_eq!(until.left(&now(900, 150, "a")), Duration::ZERO);
        assert_eq!(until.left(&now(1100, 60, "a")), Duration::ZERO);
    }

    #[test]
    fn in_another_boot_the_wall_clock_decides() {
        let until = raise_of(&raised()).unwrap();
        assert_eq!(until.left(&now(1040, 400, "b")), Duration::from_mins(1));
        assert_eq!(until.left(&now(1100, 1, "b")), Duration::ZERO);
    }

    #[test]
    fn an_ended_raise_falls_back_and_stays_a_ceiling() {
        let (words, said) = settle(raised(), &now(1099, 149, "a"));
        assert_eq!((words.allow_telemetry, said), (Some(Level::Full), None));
        let (words, said) = settle(raised(), &now(1100, 150, "a"));
        assert_eq!(words.allow_telemetry, Some(Level::Basic));
        assert_eq!(words.max_telemetry_allowed, Some(Level::Full));
        assert_eq!(said.unwrap(), "the raise to 3 (full) ended at 1970-01-01T00:18:20Z");
    }

    #[test]
    fn deadlines_read_back_from_their_text() {
        let until = raise_of(&raised()).unwrap();
        assert_eq!(until.wall.to_string().parse(), Ok(until.wall));
        let boot = until.boot.unwrap();
        assert_eq!(boot.to_string().parse(), Ok(boot));
        assert!("tomorrow".parse::<WallDeadline>().is_err());
        for text in ["", "a", " 5", "a -5", "a 5s"] {
            assert!(text.parse::<BootDeadline>().is_err(), "{text}");
        }
    }
}
