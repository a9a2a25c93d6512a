//! The four cumulative levels. A higher level says everything that a lower one says, and more.

use std::fmt;
use std::str::FromStr;

/// How much may be told. Ordered: `Security < Basic < Enhanced < Full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// 0: what keeps the host safe, and the agent's own settings.
    Security = 0,
    /// 1: what the host is, and how well the agent does.
    Basic = 1,
    /// 2: how the system is used and performs. The built-in default.
    Enhanced = 2,
    /// 3: what is needed to find and fix a problem.
    Full = 3,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Self; 4] = [Self::Security, Self::Basic, Self::Enhanced, Self::Full];

    /// What holds where no layer states a level.
    pub const DEFAULT: Self = Self::Enhanced;

    /// The number as in `AllowTelemetry`, 0 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The level of a number; `None` outside 0 to 3.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n).copied())
    }

    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Basic => "basic",
            Self::Enhanced => "enhanced",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number(), self.name())
    }
}

/// A word that names no level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLevel(pub String);

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no level: use 0-3, security, basic, enhanced or full", self.0)
    }
}

impl std::error::Error for UnknownLevel {}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| {
                text.eq_ignore_ascii_case(level.name()) || text == level.number().to_string()
            })
            .ok_or_else(|| UnknownLevel(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_reads_back_from_its_name_and_its_number() {
        for level in Level::ALL {
            assert_eq!(level.name().parse(), Ok(level));
            assert_eq!(level.number().to_string().parse(), Ok(level));
            assert_eq!(Level::from_number(i64::from(level.number())), Some(level));
        }
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for text in ["4", "-1", "", "01", " 1", "enhance", "3.0"] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
        assert_eq!(Level::from_number(4), None);
        assert_eq!(Level::from_number(-1), None);
    }
}
