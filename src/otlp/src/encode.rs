//! One event or metric as the bytes of its OTLP message, without a sequence number.
//!
//! Called by the pipeline once for each record that the privacy door admitted; the result is what
//! the spool seals and keeps.
//!
//! # Invariants
//! - Counters travel as delta monotonic sums, up-down counters as cumulative non-monotonic sums,
//!   gauges as last values, distributions as delta exponential histograms.
//! - A point whose value does not fit its metric's instrument is not sent: it cannot be said.
//! - Encoding cannot fail: everything that a [`Record`] can hold has a place in OTLP.
//! - A local program's record keeps its own points as they are (`encode/provided.rs`).

use candor_model::{
    Event, ExponentialHistogram, FieldEntry, Instrument, Level, Metric, Number, Point, Record,
    UnixNanos, Value,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::{
    self as wire, AggregationTemporality, ExponentialHistogramDataPoint, NumberDataPoint,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
};
use prost::Message;

use crate::keys;

mod plain;
mod provided;

pub use plain::encode_plain;

/// What is said of a record beside its own content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The record's stable id, a UUID v7 as text.
    pub uid: &'a str,
    /// When it was observed, by the wall clock.
    pub observed: UnixNanos,
    /// The highest level of anything that it holds, its own included.
    pub level: Level,
}

/// The bytes of the `LogRecord`, `Metric` or `Span` message: all but `candor.seq`.
#[must_use]
pub fn encode(record: &Record, stamp: &Stamp<'_>) -> Vec<u8> {
    match record {
        Record::Event(event) => log_record(event, stamp).encode_to_vec(),
        Record::Metric(metric) => metric_message(metric, stamp).encode_to_vec(),
        Record::Provided(record) => provided::encode(record, stamp),
    }
}

fn log_record(event: &Event, stamp: &Stamp<'_>) -> LogRecord {
    let mut attributes: Vec<_> =
        event.fields().map(|(entry, value)| key_value(entry.name, value)).collect();
    attributes.extend(stamp_attributes(stamp));
    LogRecord {
        time_unix_nano: event.time().map_or(0, |time| time.0),
        observed_time_unix_nano: stamp.observed.0,
        severity_number: SeverityNumber::Info.into(),
        attributes,
        event_name: event.entry().name.to_owned(),
        ..LogRecord::default()
    }
}

fn metric_message(metric: &Metric, stamp: &Stamp<'_>) -> wire::Metric {
    let entry = metric.entry();
    wire::Metric {
        name: entry.name.to_owned(),
        description: String::new(),
        unit: entry.unit.to_owned(),
        metadata: stamp_attributes(stamp).into(),
        data: Some(data(entry.instrument, entry.attributes, metric.points())),
    }
}

fn data(instrument: Instrument, entries: &[FieldEntry], points: &[Point]) -> Data {
    let numbers = || points.iter().filter_map(|point| number_point(entries, point)).collect();
    match instrument {
        Instrument::Counter => Data::Sum(wire::Sum {
            data_points: numbers(),
            aggregation_temporality: AggregationTemporality::Delta.into(),
            is_monotonic: true,
        }),
        Instrument::UpDownCounter => Data::Sum(wire::Sum {
            data_points: numbers(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: false,
        }),
        Instrument::Gauge => Data::Gauge(wire::Gauge { data_points: numbers() }),
        Instrument::Histogram => Data::ExponentialHistogram(wire::ExponentialHistogram {
            data_points: points
                .iter()
                .filter_map(|point| histogram_point(entries, point))
                .collect(),
            aggregation_temporality: AggregationTemporality::Delta.into(),
        }),
    }
}

fn number_point(entries: &[FieldEntry], point: &Point) -> Option<NumberDataPoint> {
    let value = match point.value {
        Number::Int(number) => number_data_point::Value::AsInt(number),
        Number::Double(number) => number_data_point::Value::AsDouble(number),
        Number::Histogram(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: point_attributes(entries, point),
        start_time_unix_nano: point.start.map_or(0, |start| start.0),
        time_unix_nano: point.time.0,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn histogram_point(entries: &[FieldEntry], point: &Point) -> Option<ExponentialHistogramDataPoint> {
    let Number::Histogram(histogram) = &point.value else { return None };
    let ExponentialHistogram { count, sum, scale, zero_count, offset, buckets } = &**histogram;
    Some(ExponentialHistogramDataPoint {
        attributes: point_attributes(entries, point),
        start_time_unix_nano: point.start.map_or(0, |start| start.0),
        time_unix_nano: point.time.0,
        count: *count,
        sum: Some(*sum),
        scale: *scale,
        zero_count: *zero_count,
        positive: Some(Buckets { offset: *offset, bucket_counts: buckets.clone() }),
        ..ExponentialHistogramDataPoint::default()
    })
}

fn point_attributes(entries: &[FieldEntry], point: &Point) -> Vec<KeyValue> {
    entries
        .iter()
        .zip(&point.attributes)
        .filter_map(|(entry, slot)| Some(key_value(entry.name, slot.as_ref()?)))
        .collect()
}

fn stamp_attributes(stamp: &Stamp<'_>) -> [KeyValue; 2] {
    [text(keys::UID, stamp.uid), int(keys::LEVEL, i64::from(stamp.level.number()))]
}

/// A text attribute.
pub(crate) fn text(key: &str, text: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(text.to_owned()))
}

/// A whole number as an attribute.
pub(crate) fn int(key: &str, number: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(number))
}

pub(crate) fn key_value(key: &str, value: &Value) -> KeyValue {
    attribute(key, any(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn any(value: &Value) -> any_value::Value {
    match value {
        Value::Bool(truth) => any_value::Value::BoolValue(*truth),
        Value::Int(number) => any_value::Value::IntValue(*number),
        Value::Double(number) => any_value::Value::DoubleValue(*number),
        Value::Text(text) => any_value::Value::StringValue(text.clone().into_owned()),
        Value::List(items) => any_value::Value::ArrayValue(ArrayValue {
            values: items.iter().map(|item| AnyValue { value: Some(any(item)) }).collect(),
        }),
        Value::Map(pairs) => any_value::Value::KvlistValue(KeyValueList {
            values: pairs.iter().map(|(key, value)| key_value(key, value)).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use candor_model::{Class, EventEntry, FieldType, MetricEntry};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;

    use super::*;

    static EVENT: EventEntry = EventEntry {
        name: "candor.test.event",
        level: Level::Basic,
        purpose: "to test",
        doc: "A test.",
        fields: &[field("told", FieldType::Int), field("absent", FieldType::Text)],
    };

    static ATTRIBUTES: &[FieldEntry] =
        &[field("state", FieldType::Text), field("absent", FieldType::Text)];

    const fn field(name: &'static str, kind: FieldType) -> FieldEntry {
        FieldEntry { name, level: Level::Basic, class: Class::System, unit: None, doc: "d", kind }
    }

    fn entry(instrument: Instrument) -> &'static MetricEntry {
        Box::leak(Box::new(MetricEntry {
            name: "system.test",
            level: Level::Enhanced,
            instrument,
            unit: "By",
            class: Class::Performance,
            purpose: "to test",
            doc: "A test.",
            attributes: ATTRIBUTES,
        }))
    }

    fn point(value: Number) -> Point {
        Point {
            attributes: vec![Some("used".into()), None],
            start: Some(UnixNanos(5)),
            time: UnixNanos(9),
            value,
        }
    }

    const STAMP: Stamp<'_> = Stamp { uid: "u-1", observed: UnixNanos(77), level: Level::Enhanced };

    fn metric(instrument: Instrument, values: Vec<Number>) -> wire::Metric {
        let mut metric = Metric::new(entry(instrument));
        for value in values {
            metric.push(point(value));
        }
        wire::Metric::decode(encode(&metric.into(), &STAMP).as_slice()).unwrap()
    }

    #[test]
    fn an_event_is_a_log_record_with_a_name_a_severity_and_its_stamp() {
        let event = Event::from_slots(&EVENT, vec![Some(Value::Int(3)), None]);
        let bytes = encode(&event.clone().into(), &STAMP);
        let log = LogRecord::decode(bytes.as_slice()).unwrap();
        assert_eq!(log.event_name, "candor.test.event");
        assert_eq!((log.severity_number, log.severity_text.as_str()), (9, ""));
        assert_eq!((log.time_unix_nano, log.observed_time_unix_nano), (0, 77));
        assert_eq!(log.body, None);
        let stamp = [text("log.record.uid", "u-1"), int("candor.level", 2)];
        assert_eq!(log.attributes, [&[int("told", 3)][..], &stamp].concat());

        let later = encode(&event.at(UnixNanos(70)).into(), &STAMP);
        assert_eq!(LogRecord::decode(later.as_slice()).unwrap().time_unix_nano, 70);
    }

    #[test]
    fn a_counter_is_a_delta_sum_and_an_up_down_counter_a_cumulative_one() {
        let Some(Data::Sum(sum)) = metric(Instrument::Counter, vec![Number::Int(4)]).data else {
            panic!("a sum")
        };
        assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (1, true));
        let number = &sum.data_points[0];
        assert_eq!((number.start_time_unix_nano, number.time_unix_nano), (5, 9));
        assert_eq!(number.value, Some(number_data_point::Value::AsInt(4)));
        assert_eq!(number.attributes, [text("state", "used")]);

        let up_down = metric(Instrument::UpDownCounter, vec![Number::Double(0.5)]);
        let Some(Data::Sum(sum)) = up_down.data else { panic!("a sum") };
        assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, false));
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsDouble(0.5)));
    }

    #[test]
    fn a_metric_has_its_unit_and_its_stamp_in_the_metadata() {
        let gauge = metric(Instrument::Gauge, vec![Number::Int(4)]);
        assert_eq!((gauge.name.as_str(), gauge.unit.as_str()), ("system.test", "By"));
        assert_eq!(gauge.metadata, [text("log.record.uid", "u-1"), int("candor.level", 2)]);
        assert!(matches!(gauge.data, Some(Data::Gauge(gauge)) if gauge.data_points.len() == 1));
    }

    #[test]
    fn a_distribution_is_a_delta_exponential_histogram() {
        let histogram = ExponentialHistogram {
            count: 3,
            sum: 1.5,
            scale: 4,
            zero_count: 1,
            offset: -2,
            buckets: vec![1, 0, 1],
        };
        let histogram = Number::Histogram(Box::new(histogram));
        let data = metric(Instrument::Histogram, vec![histogram.clone(), Number::Int(1)]).data;
        let Some(Data::ExponentialHistogram(wire)) = data else { panic!("a histogram") };
        assert_eq!(wire.aggregation_temporality, 1);
        let [point] = wire.data_points.as_slice() else { panic!("a number is no distribution") };
        assert_eq!((point.count, point.sum, point.scale), (3, Some(1.5), 4));
        assert_eq!((point.zero_count, point.negative.as_ref()), (1, None));
        let positive = Some(Buckets { offset: -2, bucket_counts: vec![1, 0, 1] });
        assert_eq!(point.positive, positive);
        let Some(Data::Gauge(gauge)) = metric(Instrument::Gauge, vec![histogram]).data else {
            panic!("a gauge")
        };
        assert_eq!(gauge.data_points, [], "a distribution is no last value");
    }
}
