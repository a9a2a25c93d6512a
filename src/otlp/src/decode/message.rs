//! `LogRecord`, `Metric` and `Span` messages as [`DecodedRecord`]s.
//!
//! # Invariants
//! - Zero times, empty texts and empty ids, protobuf's way of saying nothing, become `None`.

use candor_model::{ExponentialHistogram, Instrument, Kind, Level, UnixNanos, Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    SummaryDataPoint, exemplar, exponential_histogram_data_point, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::value::{pairs, take_int, take_text, value};
use crate::decoded::{LogFacts, SpanEvent, SpanLink};
use crate::{Buckets, DecodedExemplar, DecodedPoint, DecodedRecord, PointValue, SpanFacts, keys};

pub(super) fn log(log: LogRecord) -> DecodedRecord {
    let time =
        if log.time_unix_nano == 0 { log.observed_time_unix_nano } else { log.time_unix_nano };
    let mut record = base(Kind::Log, log.event_name, pairs(log.attributes));
    record.time = UnixNanos(time);
    record.trace_id = hex(&log.trace_id);
    record.span_id = hex(&log.span_id);
    record.log = Some(LogFacts {
        severity: log.severity_number,
        severity_text: said(log.severity_text),
        body: log.body.and_then(value),
    });
    record
}

pub(super) fn metric(metric: Metric) -> DecodedRecord {
    let mut record = base(Kind::Metric, metric.name, pairs(metric.metadata));
    record.unit = said(metric.unit);
    if let Some(data) = metric.data {
        (record.instrument, record.points) = points(data);
    }
    record.time = record.points.iter().map(|point| point.time).max().unwrap_or_default();
    record
}

pub(super) fn span(span: Span) -> DecodedRecord {
    let mut record = base(Kind::Span, span.name, pairs(span.attributes));
    let status = span.status.unwrap_or_default();
    record.time = UnixNanos(span.start_time_unix_nano);
    record.trace_id = hex(&span.trace_id);
    record.span_id = hex(&span.span_id);
    record.span = Some(SpanFacts {
        parent_span_id: hex(&span.parent_span_id),
        end: UnixNanos(span.end_time_unix_nano),
        span_kind: span.kind,
        status: status.code,
        status_message: said(status.message),
        events: span
            .events
            .into_iter()
            .map(|event| SpanEvent {
                name: event.name,
                time: UnixNanos(event.time_unix_nano),
                attributes: pairs(event.attributes),
            })
            .collect(),
        links: span
            .links
            .into_iter()
            .map(|link| SpanLink {
                trace_id: hex(&link.trace_id),
                span_id: hex(&link.span_id),
                attributes: pairs(link.attributes),
            })
            .collect(),
    });
    record
}

/// A record with its own attributes lifted out of the others.
fn base(kind: Kind, name: String, mut attributes: Vec<(String, Value)>) -> DecodedRecord {
    let uid = take_text(&mut attributes, keys::UID);
    let level = take_int(&mut attributes, keys::LEVEL).and_then(Level::from_number);
    let seq = take_int(&mut attributes, keys::SEQ).and_then(|seq| u64::try_from(seq).ok());
    DecodedRecord {
        kind,
        name,
        time: UnixNanos::default(),
        install_id: None,
        boot_id: None,
        seq,
        uid,
        level,
        attributes,
        unit: None,
        instrument: None,
        points: Vec::new(),
        trace_id: None,
        span_id: None,
        log: None,
        span: None,
        resource: [].into(),
    }
}

fn points(data: Data) -> (Option<Instrument>, Vec<DecodedPoint>) {
    match data {
        Data::Gauge(gauge) => (Some(Instrument::Gauge), all(gauge.data_points, number)),
        Data::Sum(sum) if sum.is_monotonic => {
            (Some(Instrument::Counter), all(sum.data_points, number))
        }
        Data::Sum(sum) => (Some(Instrument::UpDownCounter), all(sum.data_points, number)),
        Data::ExponentialHistogram(histogram) => {
            (Some(Instrument::Histogram), all(histogram.data_points, exponential))
        }
        Data::Histogram(histogram) => {
            (Some(Instrument::Histogram), all(histogram.data_points, explicit))
        }
        Data::Summary(data) => (None, all(data.data_points, summary)),
    }
}

fn all<M, D>(messages: Vec<M>, read: fn(M) -> D) -> Vec<D> {
    messages.into_iter().map(read).collect()
}

fn number(point: NumberDataPoint) -> DecodedPoint {
    DecodedPoint {
        attributes: pairs(point.attributes),
        start: known(point.start_time_unix_nano),
        time: UnixNanos(point.time_unix_nano),
        value: point.value.map(|value| match value {
            number_data_point::Value::AsInt(number) => PointValue::Int(number),
            number_data_point::Value::AsDouble(number) => PointValue::Double(number),
        }),
        exemplars: all(point.exemplars, exemplar),
    }
}

fn exemplar(exemplar: Exemplar) -> DecodedExemplar {
    DecodedExemplar {
        time: UnixNanos(exemplar.time_unix_nano),
        value: exemplar.value.map(|value| match value {
            exemplar::Value::AsInt(number) => PointValue::Int(number),
            exemplar::Value::AsDouble(number) => PointValue::Double(number),
        }),
        trace_id: hex(&exemplar.trace_id),
        span_id: hex(&exemplar.span_id),
        attributes: pairs(exemplar.filtered_attributes),
    }
}

fn exponential(point: ExponentialHistogramDataPoint) -> DecodedPoint {
    let positive = buckets(point.positive).unwrap_or_default();
    let histogram = ExponentialHistogram {
        count: point.count,
        sum: point.sum.unwrap_or_default(),
        scale: point.scale,
        zero_count: point.zero_count,
        offset: positive.offset,
        buckets: positive.counts,
    };
    DecodedPoint {
        attributes: pairs(point.attributes),
        start: known(point.start_time_unix_nano),
        time: UnixNanos(point.time_unix_nano),
        value: Some(PointValue::Exponential(Box::new(histogram), buckets(point.negative))),
        exemplars: all(point.exemplars, exemplar),
    }
}

fn buckets(buckets: Option<exponential_histogram_data_point::Buckets>) -> Option<Buckets> {
    buckets.map(|buckets| Buckets { offset: buckets.offset, counts: buckets.bucket_counts })
}

fn explicit(point: HistogramDataPoint) -> DecodedPoint {
    DecodedPoint {
        attributes: pairs(point.attributes),
        start: known(point.start_time_unix_nano),
        time: UnixNanos(point.time_unix_nano),
        value: Some(PointValue::Explicit {
            count: point.count,
            sum: point.sum,
            bounds: point.explicit_bounds,
            counts: point.bucket_counts,
        }),
        exemplars: all(point.exemplars, exemplar),
    }
}

fn summary(point: SummaryDataPoint) -> DecodedPoint {
    DecodedPoint {
        attributes: pairs(point.attributes),
        start: known(point.start_time_unix_nano),
        time: UnixNanos(point.time_unix_nano),
        value: Some(PointValue::Summary {
            count: point.count,
            sum: point.sum,
            quantiles: point.quantile_values.iter().map(|q| (q.quantile, q.value)).collect(),
        }),
        exemplars: Vec::new(),
    }
}

fn known(nanos: u64) -> Option<UnixNanos> {
    (nanos != 0).then_some(UnixNanos(nanos))
}

fn said(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// An id as lower-case hexadecimal digits; an empty one is none.
fn hex(id: &[u8]) -> Option<String> {
    use std::fmt::Write;

    (!id.is_empty()).then(|| {
        id.iter().fold(String::with_capacity(2 * id.len()), |mut text, byte| {
            // Writing to a `String` does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}
