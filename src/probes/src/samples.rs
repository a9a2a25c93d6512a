//! For the tests of this crate's metric probes: moments, and the numbers of a report by name.
//!
//! # Invariants
//! - All clocks of [`at`] go together: no gap lies between two of its moments.
//!
//! A metric that is not there has no values.

use std::time::Duration;

use candor_model::{Metric, Number, Record, UnixNanos, Value};

use crate::Moment;

/// The moment `second` seconds into a test.
pub(crate) fn at(second: u64) -> Moment {
    Moment {
        wall: UnixNanos((1_800_000_000 + second) * 1_000_000_000),
        boot: Duration::from_secs(5_000 + second),
        monotonic: Duration::from_secs(4_000 + second),
    }
}

/// The metric of a name.
pub(crate) fn metric<'a>(records: &'a [Record], name: &str) -> &'a Metric {
    find(records, name).unwrap_or_else(|| panic!("no {name}"))
}

/// Each point's present attributes, joined by a space, and its number; of a histogram, its count.
#[expect(clippy::cast_precision_loss, reason = "small numbers in tests")]
pub(crate) fn values(records: &[Record], name: &str) -> Vec<(String, f64)> {
    let points = find(records, name).map(Metric::points).unwrap_or_default();
    let attributes = |value: &Option<Value>| match value {
        Some(Value::Text(text)) => Some(text.to_string()),
        _ => None,
    };
    points
        .iter()
        .map(|point| {
            let words: Vec<_> = point.attributes.iter().filter_map(attributes).collect();
            let number = match &point.value {
                Number::Int(number) => *number as f64,
                Number::Double(number) => *number,
                Number::Histogram(histogram) => histogram.count as f64,
            };
            (words.join(" "), number)
        })
        .collect()
}

fn find<'a>(records: &'a [Record], name: &str) -> Option<&'a Metric> {
    records.iter().find_map(|record| match record {
        Record::Metric(metric) if metric.entry().name == name => Some(metric),
        _ => None,
    })
}
