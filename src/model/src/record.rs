//! What flows through the rooms: one event, metric, or record of a local program, and how the ledger
//! counts it.

use crate::{Event, Level, Metric, Provided};

/// Nanoseconds since 1970-01-01T00:00:00Z, as OTLP has them. A label only: never a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub u64);

/// Which OTLP signal a record is. One record is what the ledger counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// One `LogRecord`; events are log records with an `event_name`.
    Log = 0,
    /// One `Metric` with its points.
    Metric = 1,
    /// One `Span`.
    Span = 2,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Log, Self::Metric, Self::Span];

    /// `log`, `metric` or `span`, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Metric => "metric",
            Self::Span => "span",
        }
    }

    /// The kind stored under a number; `None` when there is none.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n).copied())
    }
}

/// One event or metric, on its way from a probe or a local program to the gate.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Something that is or happened.
    Event(Event),
    /// Numbers over time.
    Metric(Metric),
    /// A local program's, as far as its manifest admitted it.
    Provided(Box<Provided>),
}

impl Record {
    /// The catalog name, or the one that a local program gave.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Event(event) => event.entry().name,
            Self::Metric(metric) => metric.entry().name,
            Self::Provided(provided) => &provided.name,
        }
    }

    /// The lowest level at which this record may exist.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Event(event) => event.entry().level,
            Self::Metric(metric) => metric.entry().level,
            Self::Provided(provided) => provided.level,
        }
    }

    /// The OTLP signal.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Event(_) => Kind::Log,
            Self::Metric(_) => Kind::Metric,
            Self::Provided(provided) => provided.kind,
        }
    }
}

impl From<Event> for Record {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

impl From<Metric> for Record {
    fn from(metric: Metric) -> Self {
        Self::Metric(metric)
    }
}
