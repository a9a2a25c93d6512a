//! A decoded record as JSON: the one form in which `agentctl preview`, `agentctl events` and
//! `candor-collector query` print records, one object a line.
//!
//! ```text
//! every record   name, level, kind, time (RFC 3339), attributes
//! a metric       unit, points: [{attributes, start, time, value, exemplars}]
//! an exemplar    time, value; where known trace_id, span_id, attributes
//! where known    trace_id, span_id; body, severity (plain logs); parent_span_id, end, … (spans)
//! a link         where known trace_id, span_id, attributes
//! ```
//!
//! # Invariants
//! - `level` and `time` are null when the sender did not say them; other unknown keys are absent.
//! - Numbers that JSON does not have (NaN, infinities) become the words that protobuf's JSON uses.

use candor_model::{Kind, UnixNanos, Value};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use crate::{Buckets, DecodedExemplar, DecodedPoint, DecodedRecord, PointValue, SpanLink};

/// The record's object. The caller may add what it knows beside it.
#[must_use]
pub fn to_json(record: &DecodedRecord) -> Map<String, Json> {
    let mut object = Map::new();
    let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
    put("name", record.name.as_str().into());
    put("level", record.level.map_or(Json::Null, |level| level.number().into()));
    put("kind", record.kind.name().into());
    put("time", time(record.time));
    put("attributes", attributes(&record.attributes));
    if record.kind == Kind::Metric {
        put("unit", record.unit.as_deref().into());
        put("points", record.points.iter().map(point).collect());
    }
    ids(record.trace_id.as_deref(), record.span_id.as_deref(), &mut object);
    log_facts(record, &mut object);
    span_facts(record, &mut object);
    object
}

/// The same, with the number and the id that a sealed record has; null where it has none.
#[must_use]
pub fn to_json_with_ids(record: &DecodedRecord) -> Map<String, Json> {
    let mut object = to_json(record);
    object.insert("seq".to_owned(), record.seq.into());
    object.insert("uid".to_owned(), record.uid.as_deref().into());
    object
}

/// Attributes as an object; of two with one key the later counts.
#[must_use]
pub fn attributes(pairs: &[(String, Value)]) -> Json {
    pairs.iter().map(|(key, value)| (key.clone(), self::value(value))).collect()
}

/// A value as JSON.
#[must_use]
pub fn value(value: &Value) -> Json {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => double(*number),
        Value::Text(text) => text.as_ref().into(),
        Value::List(items) => items.iter().map(self::value).collect(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| (key.clone().into_owned(), self::value(value)))
            .collect(),
    }
}

/// A time as RFC 3339 in UTC; null when it is zero, OTLP's word for unknown.
#[must_use]
pub fn time(nanos: UnixNanos) -> Json {
    match Timestamp::from_nanosecond(i128::from(nanos.0)) {
        Ok(time) if nanos.0 != 0 => time.to_string().into(),
        _ => Json::Null,
    }
}

fn point(point: &DecodedPoint) -> Json {
    let mut object = Map::new();
    object.insert("attributes".to_owned(), attributes(&point.attributes));
    if let Some(start) = point.start {
        object.insert("start".to_owned(), time(start));
    }
    object.insert("time".to_owned(), time(point.time));
    object.insert("value".to_owned(), point.value.as_ref().map_or(Json::Null, point_value));
    if !point.exemplars.is_empty() {
        object.insert("exemplars".to_owned(), point.exemplars.iter().map(exemplar).collect());
    }
    object.into()
}

fn exemplar(exemplar: &DecodedExemplar) -> Json {
    let mut object = Map::new();
    object.insert("time".to_owned(), time(exemplar.time));
    object.insert("value".to_owned(), exemplar.value.as_ref().map_or(Json::Null, point_value));
    ids(exemplar.trace_id.as_deref(), exemplar.span_id.as_deref(), &mut object);
    if !exemplar.attributes.is_empty() {
        object.insert("attributes".to_owned(), attributes(&exemplar.attributes));
    }
    object.into()
}

fn ids(trace: Option<&str>, span: Option<&str>, object: &mut Map<String, Json>) {
    for (key, id) in [("trace_id", trace), ("span_id", span)] {
        if let Some(id) = id {
            object.insert(key.to_owned(), id.into());
        }
    }
}

fn point_value(value: &PointValue) -> Json {
    match value {
        PointValue::Int(number) => (*number).into(),
        PointValue::Double(number) => double(*number),
        PointValue::Exponential(histogram, negative) => {
            let mut object = json!({
                "count": histogram.count,
                "sum": double(histogram.sum),
                "scale": histogram.scale,
                "zero_count": histogram.zero_count,
                "offset": histogram.offset,
                "buckets": histogram.buckets,
            });
            if let Some(Buckets { offset, counts }) = negative {
                object["negative"] = json!({ "offset": offset, "buckets": counts });
            }
            object
        }
        PointValue::Explicit { count, sum, bounds, counts } => json!({
            "count": count,
            "sum": sum.map(double),
            "bounds": bounds.iter().copied().map(double).collect::<Json>(),
            "buckets": counts,
        }),
        PointValue::Summary { count, sum, quantiles } => json!({
            "count": count,
            "sum": double(*sum),
            "quantiles": quantiles
                .iter()
                .map(|(quantile, value)| json!([double(*quantile), double(*value)]))
                .collect::<Json>(),
        }),
    }
}

fn log_facts(record: &DecodedRecord, object: &mut Map<String, Json>) {
    let Some(log) = &record.log else { return };
    if let Some(body) = &log.body {
        object.insert("body".to_owned(), value(body));
        object.insert("severity".to_owned(), log.severity.into());
    }
    if let Some(text) = &log.severity_text {
        object.insert("severity_text".to_owned(), text.as_str().into());
    }
}

fn span_facts(record: &DecodedRecord, object: &mut Map<String, Json>) {
    let Some(span) = &record.span else { return };
    if let Some(parent) = &span.parent_span_id {
        object.insert("parent_span_id".to_owned(), parent.as_str().into());
    }
    object.insert("end".to_owned(), time(span.end));
    object.insert("span_kind".to_owned(), span.span_kind.into());
    object.insert("status".to_owned(), span.status.into());
    if let Some(message) = &span.status_message {
        object.insert("status_message".to_owned(), message.as_str().into());
    }
    if !span.events.is_empty() {
        let events = span.events.iter().map(|event| {
            json!({
                "name": event.name,
                "time": time(event.time),
                "attributes": attributes(&event.attributes),
            })
        });
        object.insert("events".to_owned(), events.collect());
    }
    if !span.links.is_empty() {
        object.insert("links".to_owned(), span.links.iter().map(link).collect());
    }
}

fn link(link: &SpanLink) -> Json {
    let mut object = Map::new();
    ids(link.trace_id.as_deref(), link.span_id.as_deref(), &mut object);
    if !link.attributes.is_empty() {
        object.insert("attributes".to_owned(), attributes(&link.attributes));
    }
    object.into()
}

fn double(number: f64) -> Json {
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        number.into()
    }
}

#[cfg(test)]
mod tests {
    use candor_model::{ExponentialHistogram, Level};

    use super::*;
    use crate::decode_body;

    fn record(kind: Kind) -> DecodedRecord {
        decode_body(kind, &[]).unwrap()
    }

    #[test]
    fn an_event_prints_with_the_keys_of_the_contract_and_nothing_else() {
        let attributes = vec![
            ("n".to_owned(), Value::Int(3)),
            ("nan".to_owned(), Value::Double(f64::NAN)),
            (
                "list".to_owned(),
                Value::List(vec![Value::Map(vec![("k".into(), Value::Bool(true))])]),
            ),
        ];
        let event = DecodedRecord {
            name: "candor.test".to_owned(),
            level: Some(Level::Basic),
            time: UnixNanos(1_795_161_600_000_000_001),
            attributes,
            ..record(Kind::Log)
        };
        assert_eq!(
            Json::from(to_json(&event)),
            json!({
                "name": "candor.test",
                "level": 1,
                "kind": "log",
                "time": "2026-11-20T08:00:00.000000001Z",
                "attributes": { "n": 3, "nan": "NaN", "list": [{ "k": true }] },
            })
        );
    }

    #[test]
    fn a_time_that_nobody_said_is_null() {
        assert_eq!(to_json(&record(Kind::Log))["time"], Json::Null);
    }

    #[test]
    fn a_metric_prints_its_unit_and_points() {
        let point = |value| DecodedPoint {
            attributes: vec![("state".to_owned(), "used".into())],
            start: Some(UnixNanos(1_000_000_000)),
            time: UnixNanos(2_000_000_000),
            value,
            exemplars: Vec::new(),
        };
        let histogram = ExponentialHistogram {
            count: 2,
            sum: 0.5,
            scale: 1,
            zero_count: 0,
            offset: -1,
            buckets: vec![2],
        };
        let exemplar = DecodedExemplar {
            time: UnixNanos(3_000_000_000),
            value: Some(PointValue::Int(1)),
            trace_id: Some("t".to_owned()),
            span_id: None,
            attributes: vec![],
        };
        let metric = DecodedRecord {
            name: "system.test".to_owned(),
            unit: Some("By".to_owned()),
            points: vec![
                point(Some(PointValue::Int(4))),
                point(Some(PointValue::Exponential(Box::new(histogram), None))),
                DecodedPoint { start: None, exemplars: vec![exemplar], ..point(None) },
            ],
            ..record(Kind::Metric)
        };
        let object = Json::from(to_json(&metric));
        assert_eq!((&object["unit"], &object["level"]), (&json!("By"), &Json::Null));
        assert_eq!(
            object["points"][0],
            json!({
                "attributes": { "state": "used" },
                "start": "1970-01-01T00:00:01Z",
                "time": "1970-01-01T00:00:02Z",
                "value": 4,
            })
        );
        assert_eq!(
            object["points"][1]["value"],
            json!({
                "count": 2, "sum": 0.5, "scale": 1, "zero_count": 0, "offset": -1, "buckets": [2],
            })
        );
        assert_eq!(object["points"][2]["value"], Json::Null);
        assert_eq!(object["points"][2].get("start"), None);
        assert_eq!(
            object["points"][2]["exemplars"],
            json!([{ "time": "1970-01-01T00:00:03Z", "value": 1, "trace_id": "t" }])
        );
    }
}
