//! How a manifest spells levels, kinds and classes, and what holds where it says nothing.

use candor_model::{Class, Kind, Level};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A record of the largest size that a program should send.
pub(super) const fn max_bytes() -> usize {
    64 << 10
}

pub(super) const fn all() -> f64 {
    1.0
}

pub(super) const fn log() -> Kind {
    Kind::Log
}

/// The words of [`Kind`].
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum KindWord {
    Log,
    Metric,
    Span,
}

pub(super) fn kind<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
    Ok(match KindWord::deserialize(from)? {
        KindWord::Log => Kind::Log,
        KindWord::Metric => Kind::Metric,
        KindWord::Span => Kind::Span,
    })
}

/// The words of [`Class`].
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) enum ClassWord {
    #[serde(rename = "system")]
    System,
    #[serde(rename = "software")]
    Software,
    #[serde(rename = "performance")]
    Performance,
    #[serde(rename = "pseudonym")]
    Pseudonym,
    #[serde(rename = "diagnostic text")]
    DiagnosticText,
}

pub(super) fn class<'de, D: Deserializer<'de>>(from: D) -> Result<Class, D::Error> {
    Ok(match ClassWord::deserialize(from)? {
        ClassWord::System => Class::System,
        ClassWord::Software => Class::Software,
        ClassWord::Performance => Class::Performance,
        ClassWord::Pseudonym => Class::Pseudonym,
        ClassWord::DiagnosticText => Class::DiagnosticText,
    })
}

pub(super) fn level<'de, D: Deserializer<'de>>(from: D) -> Result<Level, D::Error> {
    let number = i64::deserialize(from)?;
    Level::from_number(number).filter(|level| *level > Level::Security).ok_or_else(|| {
        D::Error::custom(format!("{number} is no level of a provider: write 1, 2 or 3"))
    })
}

pub(super) fn some_level<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Level>, D::Error> {
    level(from).map(Some)
}
