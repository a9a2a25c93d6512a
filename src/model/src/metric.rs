//! Metrics: numbers over time, each by its catalog entry.

use crate::{Class, FieldEntry, Level, UnixNanos, Value};

/// The OpenTelemetry instrument; it decides how points travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Instrument {
    /// Monotonic; sent as delta sums.
    Counter,
    /// Goes up and down; sent as a cumulative, non-monotonic sum.
    UpDownCounter,
    /// Last value.
    Gauge,
    /// A distribution; sent as a delta exponential histogram.
    Histogram,
}

impl Instrument {
    /// The word of the semantic conventions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDownCounter => "updowncounter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric of the catalog.
#[derive(Debug, PartialEq)]
pub struct MetricEntry {
    /// The published name.
    pub name: &'static str,
    /// The lowest level at which it may exist.
    pub level: Level,
    /// The instrument.
    pub instrument: Instrument,
    /// UCUM unit.
    pub unit: &'static str,
    /// What kind of fact it is.
    pub class: Class,
    /// Why it is collected.
    pub purpose: &'static str,
    /// The published description.
    pub doc: &'static str,
    /// Its attributes.
    pub attributes: &'static [FieldEntry],
}

/// The value of a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// A distribution.
    Histogram(Box<ExponentialHistogram>),
}

/// A base-2 exponential histogram as OTLP defines it, positive values only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialHistogram {
    /// Number of values.
    pub count: u64,
    /// Sum of values.
    pub sum: f64,
    /// Resolution: base = 2^(2^-scale).
    pub scale: i32,
    /// Values that were zero.
    pub zero_count: u64,
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts of consecutive buckets.
    pub buckets: Vec<u64>,
}

/// One point of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// One slot for each attribute of the entry; `None` is absent.
    pub attributes: Vec<Option<Value>>,
    /// Start of the window that a sum or a histogram covers.
    pub start: Option<UnixNanos>,
    /// End of the window, or when a gauge was read.
    pub time: UnixNanos,
    /// The value.
    pub value: Number,
}

/// One metric with its points.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    entry: &'static MetricEntry,
    points: Vec<Point>,
}

impl Metric {
    /// A metric without points.
    #[must_use]
    pub const fn new(entry: &'static MetricEntry) -> Self {
        Self { entry, points: Vec::new() }
    }

    /// Adds a point. Its attributes stand in the order of the entry's; surplus ones are cut off,
    /// since what the catalog does not name cannot be said.
    pub fn push(&mut self, mut point: Point) {
        debug_assert_eq!(
            point.attributes.len(),
            self.entry.attributes.len(),
            "{}",
            self.entry.name
        );
        point.attributes.truncate(self.entry.attributes.len());
        self.points.push(point);
    }

    /// Its catalog entry.
    #[must_use]
    pub const fn entry(&self) -> &'static MetricEntry {
        self.entry
    }

    /// Its points.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// For the gate, which takes attributes away.
    pub fn points_mut(&mut self) -> &mut [Point] {
        &mut self.points
    }
}

/// Defines a metric: a `static` of [`MetricEntry`] with the doc comment as published description.
///
/// `"attribute": kind` may be followed by `, level = L` and `, class = C`, in that order.
#[macro_export]
macro_rules! metric {
    (
        $(#[doc = $doc:literal])+
        $vis:vis $NAME:ident = $name:literal, $level:ident, $instrument:ident, $unit:literal, $purpose:literal
        { $( $(#[doc = $adoc:literal])+ $key:literal : $kind:expr $(, level = $alevel:ident)? $(, class = $aclass:ident)? ; )* }
    ) => {
        $(#[doc = $doc])+
        $vis static $NAME: $crate::MetricEntry = $crate::MetricEntry {
            name: $name,
            level: $crate::Level::$level,
            instrument: $crate::Instrument::$instrument,
            unit: $unit,
            class: $crate::Class::Performance,
            purpose: $purpose,
            doc: concat!($($doc, "\n"),+),
            attributes: &[ $( $crate::FieldEntry {
                name: $key,
                level: $crate::metric_level!($level $(, $alevel)?),
                class: $crate::metric_class!($($aclass)?),
                unit: None,
                doc: concat!($($adoc, "\n"),+),
                kind: $kind,
            }, )* ],
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! metric_level {
    ($owner:ident) => {
        $crate::Level::$owner
    };
    ($owner:ident, $level:ident) => {
        $crate::Level::$level
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! metric_class {
    () => {
        $crate::Class::System
    };
    ($class:ident) => {
        $crate::Class::$class
    };
}
