//! From numbers to metrics: the few lines that every level 2 probe needs to fill points.
//!
//! # Invariants
//! - A metric without points is no record.
//! - Of a window's start only sums and histograms of the window carry one. A cumulative
//!   up-down counter has none: what it counts began before the agent, at no known time.
//!
//! A number beyond `i64::MAX` has no place in OTLP and gives no point.

use candor_model::{Metric, MetricEntry, Number, Point, Record, UnixNanos, Value};

/// The records of one report.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    records: Vec<Record>,
}

impl Sheet {
    /// Adds a metric, unless it has no points.
    pub(crate) fn add(
        &mut self,
        entry: &'static MetricEntry,
        points: impl IntoIterator<Item = Option<Point>>,
    ) {
        let mut metric = Metric::new(entry);
        points.into_iter().flatten().for_each(|point| metric.push(point));
        if !metric.points().is_empty() {
            self.records.push(metric.into());
        }
    }

    /// All of them.
    pub(crate) fn into_records(self) -> Vec<Record> {
        self.records
    }
}

/// A whole number as a point's value.
pub(crate) fn whole(number: u64) -> Option<Number> {
    i64::try_from(number).ok().map(Number::Int)
}

/// A fraction of a whole; `None` where the whole is nothing.
pub(crate) fn share(part: u64, whole: u64) -> Option<Number> {
    ratio(part, whole).map(Number::Double)
}

/// `part / whole`; `None` where the whole is nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a fraction needs no 64 bits")]
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A last value.
pub(crate) fn last(
    attributes: Vec<Option<Value>>,
    time: UnixNanos,
    value: Option<Number>,
) -> Option<Point> {
    Some(Point { attributes, start: None, time, value: value? })
}

/// What happened from the first to the second time.
pub(crate) fn during(
    (start, time): (UnixNanos, UnixNanos),
    attributes: Vec<Option<Value>>,
    value: Option<Number>,
) -> Option<Point> {
    Some(Point { attributes, start: Some(start), time, value: value? })
}

/// A word of the catalog as an attribute.
#[expect(clippy::unnecessary_wraps, reason = "an attribute's slot may be empty")]
pub(crate) fn word(word: &'static str) -> Option<Value> {
    Some(Value::from(word))
}

/// A name as an attribute.
#[expect(clippy::unnecessary_wraps, reason = "an attribute's slot may be empty")]
pub(crate) fn text(text: &str) -> Option<Value> {
    Some(Value::from(text.to_owned()))
}
