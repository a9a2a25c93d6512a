//! Requests, frames and bodies back to records: for the collector, the preview and the tests.
//!
//! The enclosing messages are walked by hand and each record is decoded alone, so that a small
//! hostile body cannot unfold into a large request in memory.
//!
//! # Invariants
//! - No input panics; nesting is bounded by prost (100 messages deep), so recursion here is too.
//! - At most [`MAX_RECORDS`] records of at most [`MAX_RECORD_BYTES`] each are taken in.
//! - One malformed record fails the whole request: the sender splits it until that one is alone.

use std::sync::Arc;

use candor_model::{Kind, Value};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::frame::split_frame;
use crate::{DecodedRecord, ResourceAttributes, keys};

mod message;
mod place;
mod value;
mod walk;

pub use place::{Place, decode_at, name_of, places};
use value::{pairs, take_text};
use walk::fields;

/// Most records that one request may hold.
pub const MAX_RECORDS: usize = 65_536;
/// Most bytes that one record, resource or scope may have.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Why bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Bytes that are not the message they should be.
    #[error("the {part} is no valid OTLP protobuf")]
    Malformed {
        /// Which part of the request.
        part: &'static str,
        /// What is wrong with the bytes.
        #[source]
        source: prost::DecodeError,
    },
    /// Lengths or field keys that do not fit the bytes.
    #[error("the {part} is cut off or has an impossible field; send whole OTLP protobuf messages")]
    Truncated {
        /// Which part of the request.
        part: &'static str,
    },
    /// A text that is none.
    #[error("the {part} is no UTF-8; OTLP's texts are")]
    NotUtf8 {
        /// Which part of the request.
        part: &'static str,
    },
    /// More than a receiver wants to hold at once.
    #[error("the request holds more than {MAX_RECORDS} records; send it in parts")]
    TooManyRecords,
    /// A part that is too large.
    #[error("the {part} has {bytes} bytes; at most {MAX_RECORD_BYTES} are taken")]
    TooLarge {
        /// Which part of the request.
        part: &'static str,
        /// Its size.
        bytes: usize,
    },
}

/// What a record inherits from the messages around it.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    resource: ResourceAttributes,
    install_id: Option<String>,
    boot_id: Option<String>,
}

/// Every record of an export request, in order.
///
/// # Errors
/// When the bytes are no such request, or hold more than this reader takes in.
pub fn decode_request(kind: Kind, bytes: &[u8]) -> Result<Vec<DecodedRecord>, DecodeError> {
    let mut records = Vec::new();
    decode_each(kind, bytes, |record| {
        records.push(record);
        Ok::<_, DecodeError>(())
    })?;
    Ok(records)
}

/// Gives each record of an export request to `visit`, in order, so that only one is in memory.
///
/// # Errors
/// As [`decode_request`], after the records before the fault were visited; or what `visit` says.
pub fn decode_each<E, V>(kind: Kind, bytes: &[u8], mut visit: V) -> Result<(), E>
where
    E: From<DecodeError>,
    V: FnMut(DecodedRecord) -> Result<(), E>,
{
    let mut count = 0;
    for group in fields(bytes, 1, "request") {
        let group = group?;
        let resource = resource(group)?;
        for scope in fields(group, 2, "resource") {
            let scope = scope?;
            let surroundings = Surroundings { boot_id: boot_id(scope)?, ..resource.clone() };
            for body in fields(scope, 2, "scope") {
                count += 1;
                if count > MAX_RECORDS {
                    return Err(DecodeError::TooManyRecords.into());
                }
                visit(record(kind, body?, &surroundings)?)?;
            }
        }
    }
    Ok(())
}

/// The record of one frame, as it stands in a stored row.
///
/// # Errors
/// When the bytes are not exactly one frame.
pub fn decode_frame(kind: Kind, frame: &[u8]) -> Result<DecodedRecord, DecodeError> {
    match split_frame(frame) {
        Some((body, [])) => decode_body(kind, body),
        _ => Err(DecodeError::Truncated { part: "frame" }),
    }
}

/// The record of one message: a draft's body, or what a frame holds.
///
/// # Errors
/// When the bytes are no such message.
pub fn decode_body(kind: Kind, body: &[u8]) -> Result<DecodedRecord, DecodeError> {
    record(kind, body, &Surroundings::default())
}

fn record(
    kind: Kind,
    body: &[u8],
    surroundings: &Surroundings,
) -> Result<DecodedRecord, DecodeError> {
    let mut record = match kind {
        Kind::Log => message::log(parse(body, "log record")?),
        Kind::Metric => message::metric(parse(body, "metric")?),
        Kind::Span => message::span(parse(body, "span")?),
    };
    record.resource = Arc::clone(&surroundings.resource);
    record.install_id.clone_from(&surroundings.install_id);
    record.boot_id.clone_from(&surroundings.boot_id);
    Ok(record)
}

fn resource(group: &[u8]) -> Result<Surroundings, DecodeError> {
    let Some(bytes) = fields(group, 1, "resource").last().transpose()? else {
        return Ok(Surroundings::default());
    };
    let resource = decode_resource(bytes)?;
    let find = |wanted: &str| {
        resource.iter().rev().find_map(|(key, value)| match value {
            Value::Text(id) if key == wanted => Some(id.clone().into_owned()),
            _ => None,
        })
    };
    // A program's resource has an instance id of its own; the host that it ran on stands beside it.
    let install_id = find(keys::AGENT_ID).or_else(|| find(keys::INSTALL_ID));
    Ok(Surroundings { resource, install_id, boot_id: None })
}

/// The attributes of a `Resource` message.
pub(crate) fn decode_resource(bytes: &[u8]) -> Result<ResourceAttributes, DecodeError> {
    Ok(pairs(parse::<Resource>(bytes, "resource")?.attributes).into())
}

fn boot_id(scope: &[u8]) -> Result<Option<String>, DecodeError> {
    let Some(bytes) = fields(scope, 1, "scope").last().transpose()? else {
        return Ok(None);
    };
    let mut attributes = pairs(parse::<InstrumentationScope>(bytes, "scope")?.attributes);
    Ok(take_text(&mut attributes, keys::BOOT_ID))
}

fn parse<M: Message + Default>(bytes: &[u8], part: &'static str) -> Result<M, DecodeError> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(DecodeError::TooLarge { part, bytes: bytes.len() });
    }
    M::decode(bytes).map_err(|source| DecodeError::Malformed { part, source })
}

#[cfg(test)]
mod tests {
    use candor_model::{Level, UnixNanos};
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::{
        Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
        HistogramDataPoint, Metric, NumberDataPoint, exemplar, metric::Data,
    };
    use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};
    use proptest::prelude::*;

    use super::*;
    use crate::encode::{int, text};
    use crate::{DecodedExemplar, Part, PointValue, Resource as Sender, request_body, seal};

    fn log() -> LogRecord {
        LogRecord {
            observed_time_unix_nano: 77,
            event_name: "candor.test.event".to_owned(),
            attributes: vec![int("n", 3), text(keys::UID, "u-1"), int(keys::LEVEL, 1)],
            ..LogRecord::default()
        }
    }

    fn row(seqs: &[u64]) -> Vec<u8> {
        let mut row = Vec::new();
        for seq in seqs {
            seal(Kind::Log, &log().encode_to_vec(), *seq, &mut row);
        }
        row
    }

    #[test]
    fn what_was_sent_is_read_with_install_boot_and_sequence() {
        let sender = Sender::here(Some("i-1".to_owned()), "0.1.0").encode();
        let (one, two) = (row(&[1, 2]), row(&[3]));
        let parts = [Part { boot: "b1", rows: &[&one] }, Part { boot: "b2", rows: &[&two] }];
        let records = decode_request(Kind::Log, &request_body(Kind::Log, &sender, &parts)).unwrap();
        let ids: Vec<_> = records
            .iter()
            .map(|r| (r.install_id.as_deref(), r.boot_id.as_deref(), r.seq))
            .collect();
        let install = Some("i-1");
        assert_eq!(
            ids,
            [
                (install, Some("b1"), Some(1)),
                (install, Some("b1"), Some(2)),
                (install, Some("b2"), Some(3)),
            ]
        );
        let record = &records[0];
        assert_eq!((record.uid.as_deref(), record.level), (Some("u-1"), Some(Level::Basic)));
        assert_eq!((record.name.as_str(), record.time), ("candor.test.event", UnixNanos(77)));
        assert_eq!(record.attributes, [("n".to_owned(), Value::Int(3))]);
        assert!(record.resource.contains(&("service.name".to_owned(), "candor".into())));
    }

    #[test]
    fn a_frame_reads_as_its_body_does_but_for_the_number() {
        let body = decode_body(Kind::Log, &log().encode_to_vec()).unwrap();
        let frame = decode_frame(Kind::Log, &row(&[9])).unwrap();
        assert_eq!((body.seq, frame.seq), (None, Some(9)));
        assert_eq!(DecodedRecord { seq: None, ..frame }, body);
        let two = row(&[1, 2]);
        assert!(matches!(decode_frame(Kind::Log, &two), Err(DecodeError::Truncated { .. })));
    }

    #[test]
    fn a_foreign_log_without_our_ids_is_read_as_it_is() {
        let foreign = LogRecord {
            time_unix_nano: 5,
            observed_time_unix_nano: 6,
            severity_number: 17,
            severity_text: "ERR".to_owned(),
            body: Some(AnyValue { value: Some(any_value::Value::BytesValue(vec![0xff])) }),
            attributes: vec![
                KeyValue { key: "empty".to_owned(), ..KeyValue::default() },
                text(keys::SEQ, "no number"),
            ],
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            ..LogRecord::default()
        };
        let scope = ScopeLogs { log_records: vec![foreign], ..ScopeLogs::default() };
        let logs = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
        let request = ExportLogsServiceRequest { resource_logs: vec![logs] };
        let records = decode_request(Kind::Log, &request.encode_to_vec()).unwrap();
        let [record] = records.as_slice() else { panic!("one record") };
        assert_eq!(record.time, UnixNanos(5));
        assert_eq!((record.seq, record.uid.as_ref(), record.level), (None, None, None));
        assert_eq!((record.install_id.as_ref(), record.boot_id.as_ref()), (None, None));
        assert_eq!(record.attributes, []);
        assert_eq!(record.trace_id.as_deref(), Some("abababababababababababababababab"));
        assert_eq!(record.span_id.as_deref(), Some("0101010101010101"));
        let facts = record.log.as_ref().unwrap();
        assert_eq!((facts.severity, facts.severity_text.as_deref()), (17, Some("ERR")));
        assert_eq!(facts.body, Some(Value::Text("/w==".into())));
    }

    #[test]
    fn of_two_sequence_numbers_the_appended_one_counts_and_none_stays_behind() {
        let forged = LogRecord { attributes: vec![int(keys::SEQ, 99)], ..LogRecord::default() };
        let mut frame = Vec::new();
        seal(Kind::Log, &forged.encode_to_vec(), 7, &mut frame);
        let record = decode_frame(Kind::Log, &frame).unwrap();
        assert_eq!((record.seq, record.attributes), (Some(7), vec![]));
    }

    #[test]
    fn a_point_without_a_start_has_none() {
        let point = |start_time_unix_nano| NumberDataPoint {
            start_time_unix_nano,
            time_unix_nano: 9,
            ..NumberDataPoint::default()
        };
        let gauge = Gauge { data_points: vec![point(0), point(5)] };
        let metric = Metric { data: Some(Data::Gauge(gauge)), ..Metric::default() };
        let record = decode_body(Kind::Metric, &metric.encode_to_vec()).unwrap();
        let starts: Vec<_> = record.points.iter().map(|point| point.start).collect();
        assert_eq!(starts, [None, Some(UnixNanos(5))]);
        assert_eq!((record.time, record.points[0].value.as_ref()), (UnixNanos(9), None));
    }

    #[test]
    fn the_points_of_every_kind_are_read_with_their_exemplars() {
        let traced = Exemplar {
            time_unix_nano: 4,
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            filtered_attributes: vec![int("n", 3)],
            value: Some(exemplar::Value::AsDouble(0.5)),
        };
        let exemplars = vec![traced, Exemplar::default()];
        let number = NumberDataPoint { exemplars: exemplars.clone(), ..NumberDataPoint::default() };
        let explicit =
            HistogramDataPoint { exemplars: exemplars.clone(), ..HistogramDataPoint::default() };
        let exponential =
            ExponentialHistogramDataPoint { exemplars, ..ExponentialHistogramDataPoint::default() };
        let expected = [
            DecodedExemplar {
                time: UnixNanos(4),
                value: Some(PointValue::Double(0.5)),
                trace_id: Some("ab".repeat(16)),
                span_id: Some("01".repeat(8)),
                attributes: vec![("n".to_owned(), Value::Int(3))],
            },
            DecodedExemplar {
                time: UnixNanos(0),
                value: None,
                trace_id: None,
                span_id: None,
                attributes: vec![],
            },
        ];
        let histogram = Histogram { data_points: vec![explicit], ..Histogram::default() };
        let exponential = ExponentialHistogram {
            data_points: vec![exponential],
            ..ExponentialHistogram::default()
        };
        for data in [
            Data::Gauge(Gauge { data_points: vec![number] }),
            Data::Histogram(histogram),
            Data::ExponentialHistogram(exponential),
        ] {
            let metric = Metric { data: Some(data), ..Metric::default() };
            let record = decode_body(Kind::Metric, &metric.encode_to_vec()).unwrap();
            assert_eq!(record.points[0].exemplars, expected);
        }
    }

    #[test]
    fn a_span_is_read_with_its_ids_times_and_events() {
        let event =
            span::Event { time_unix_nano: 6, name: "e".to_owned(), ..span::Event::default() };
        let span = Span {
            trace_id: vec![2; 16],
            span_id: vec![3; 8],
            name: "deploy".to_owned(),
            kind: 3,
            start_time_unix_nano: 5,
            end_time_unix_nano: 8,
            attributes: vec![text(keys::UID, "u-2")],
            events: vec![event],
            links: vec![span::Link {
                trace_id: vec![4; 16],
                attributes: vec![text("a", "b")],
                ..span::Link::default()
            }],
            status: Some(Status { message: "bad".to_owned(), code: 2 }),
            ..Span::default()
        };
        let record = decode_body(Kind::Span, &span.encode_to_vec()).unwrap();
        let links = &crate::json::to_json(&record)["links"];
        let expected =
            serde_json::json!([{ "trace_id": "04".repeat(16), "attributes": { "a": "b" } }]);
        assert_eq!(links, &expected);
        assert_eq!((record.name.as_str(), record.time), ("deploy", UnixNanos(5)));
        assert_eq!(record.uid.as_deref(), Some("u-2"));
        let facts = record.span.unwrap();
        assert_eq!((facts.end, facts.span_kind, facts.status), (UnixNanos(8), 3, 2));
        assert_eq!((facts.parent_span_id, facts.events[0].name.as_str()), (None, "e"));
    }

    #[test]
    fn nesting_without_bound_is_refused() {
        let mut value = AnyValue::default();
        for _ in 0..60 {
            value = AnyValue {
                value: Some(any_value::Value::ArrayValue(ArrayValue { values: vec![value] })),
            };
        }
        let attribute = KeyValue { key: "k".to_owned(), value: Some(value), key_strindex: 0 };
        let deep = LogRecord { attributes: vec![attribute], ..LogRecord::default() };
        let refused = decode_body(Kind::Log, &deep.encode_to_vec());
        assert!(matches!(refused, Err(DecodeError::Malformed { part: "log record", .. })));
    }

    #[test]
    fn a_small_body_cannot_unfold_into_a_large_request() {
        let scope =
            |rows: Vec<u8>| request_body(Kind::Log, &[], &[Part { boot: "b", rows: &[&rows] }]);
        let many = decode_request(Kind::Log, &scope([0x12, 0].repeat(MAX_RECORDS + 1)));
        assert!(matches!(many, Err(DecodeError::TooManyRecords)));
        let all = decode_request(Kind::Log, &scope([0x12, 0].repeat(MAX_RECORDS)));
        assert_eq!(all.unwrap().len(), MAX_RECORDS);
        let mut large = Vec::new();
        seal(Kind::Log, &[0x32, 0].repeat(MAX_RECORD_BYTES / 2), 1, &mut large);
        let large = decode_request(Kind::Log, &scope(large));
        assert!(matches!(large, Err(DecodeError::TooLarge { part: "log record", .. })));
    }

    #[test]
    fn a_visitor_can_stop_the_reading() {
        #[derive(Debug)]
        enum Stop {
            Wanted,
            Decode(#[expect(dead_code, reason = "printed when the test fails")] DecodeError),
        }
        impl From<DecodeError> for Stop {
            fn from(error: DecodeError) -> Self {
                Self::Decode(error)
            }
        }
        let row = row(&[1, 2, 3]);
        let body = request_body(Kind::Log, &[], &[Part { boot: "b", rows: &[&row] }]);
        let mut seen = Vec::new();
        let stopped = decode_each(Kind::Log, &body, |record| {
            seen.push(record.seq);
            if seen.len() == 2 { Err(Stop::Wanted) } else { Ok(()) }
        });
        assert!(matches!(stopped, Err(Stop::Wanted)));
        assert_eq!(seen, [Some(1), Some(2)]);
    }

    #[test]
    fn a_resource_may_stand_after_what_belongs_to_it() {
        let sender = Sender::here(Some("i-1".to_owned()), "0.1.0").encode();
        let scope = [&[0x0a, 0][..], &row(&[1])].concat();
        let mut group = Vec::new();
        for (key, bytes) in [(0x12, &scope), (0x0a, &sender)] {
            group.push(key);
            crate::frame::push_length(bytes.len(), &mut group);
            group.extend_from_slice(bytes);
        }
        let mut request = vec![0x0a];
        crate::frame::push_length(group.len(), &mut request);
        request.extend(group);
        let records = decode_request(Kind::Log, &request).unwrap();
        assert_eq!(records[0].install_id.as_deref(), Some("i-1"));
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop::sample::select(Kind::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            kind in any_kind(),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = decode_request(kind, &bytes);
            let _ = decode_body(kind, &bytes);
            let _ = crate::frame_len(kind, &bytes);
            let _ = crate::decode_response(kind, &bytes);
            if let Ok(record) = decode_frame(kind, &bytes) {
                let _ = crate::json::to_json(&record);
            }
        }

        #[test]
        fn a_damaged_request_never_panics(
            kind in any_kind(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let sender = Sender::here(Some("i-1".to_owned()), "0.1.0").encode();
            let row = row(&[1, 2, u64::MAX]);
            let mut body = request_body(kind, &sender, &[Part { boot: "b", rows: &[&row] }]);
            for (at, byte) in flips {
                let at = at.index(body.len());
                body[at] = byte;
            }
            for record in decode_request(kind, &body).unwrap_or_default() {
                let _ = crate::json::to_json(&record);
            }
        }
    }
}
