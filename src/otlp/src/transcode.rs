//! OTLP in JSON to the same request in protobuf, so that everything behind it reads one encoding.
//!
//! What the JSON encoding of OTLP asks: field names in lowerCamelCase, ids in hexadecimal, bytes in
//! base64, enumerations as numbers, 64-bit numbers as texts or numbers, unknown fields ignored, null
//! as absent.
//!
//! # Invariants
//! - The text is read once from front to back; nothing is held of it but the protobuf made so far,
//!   which never exceeds the caller's limit.
//! - Recursion is bounded by the depth that the JSON reader allows (128).
//!
//! On failure: [`JsonError`] with line, column and what is wrong.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candor_model::Kind;
use serde_json::Deserializer;
use serde_json::de::SliceRead;

use crate::wire::{push_bytes, push_key};

mod message;

use message::{Field, Type};

// `serde` speaks through `serde_json`'s reader; its traits are all that is used of it.
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Why a text is no OTLP in JSON.
#[derive(Debug, thiserror::Error)]
#[error("the request is no OTLP in JSON")]
pub struct JsonError(#[source] serde_json::Error);

/// The protobuf bytes of an export request that is given in JSON, at most `limit` of them.
///
/// # Errors
/// When the text is no such request, or becomes too long.
pub fn from_json(kind: Kind, text: &[u8], limit: usize) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::new();
    let mut reader: Deserializer<SliceRead<'_>> = Deserializer::from_slice(text);
    let seed = Object { fields: message::request(kind), out: &mut out, limit };
    seed.deserialize(&mut reader).and_then(|()| reader.end()).map_err(JsonError)?;
    Ok(out)
}

/// Reads an object as a message.
struct Object<'a> {
    fields: &'static [Field],
    out: &'a mut Vec<u8>,
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(self.fields))? {
            match field {
                Some(field) => {
                    map.next_value_seed(Slot { field, out: self.out, limit: self.limit })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if self.out.len() > self.limit {
                return Err(A::Error::custom("the request is too large: send it in parts"));
            }
        }
        Ok(())
    }
}

/// Finds the field of a name; `None` for one that nobody knows.
struct Name(&'static [Field]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|field| field.name == name))
    }
}

/// Reads the value of a field, or each of its values, and writes it.
struct Slot<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slot<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.field.kind.words(), self.field.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        match self.field.kind {
            Type::Bool => self.varint(u64::from(truth)),
            _ => return Err(self.unexpected("a truth value")),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match self.field.kind {
            Type::Varint => self.varint(number),
            Type::Fixed64 => self.long(number),
            Type::Fixed32 if u32::try_from(number).is_ok() => self.short(number),
            Type::Sint32 | Type::Sfixed64 => match i64::try_from(number) {
                Ok(number) => return self.visit_i64(number),
                Err(_) => return Err(self.unexpected("a larger number")),
            },
            #[expect(clippy::cast_precision_loss, reason = "JSON has one kind of number")]
            Type::Double => self.long((number as f64).to_bits()),
            _ => return Err(self.unexpected("a number")),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        match self.field.kind {
            Type::Varint => self.varint(number.cast_unsigned()),
            Type::Sfixed64 => self.long(number.cast_unsigned()),
            Type::Sint32 if i32::try_from(number).is_ok() => {
                self.varint(((number << 1) ^ (number >> 63)).cast_unsigned() & u64::from(u32::MAX));
            }
            #[expect(clippy::cast_precision_loss, reason = "JSON has one kind of number")]
            Type::Double => self.long((number as f64).to_bits()),
            _ => return Err(self.unexpected("a negative or large number")),
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        match self.field.kind {
            Type::Double => self.long(number.to_bits()),
            _ => return Err(self.unexpected("a number with a fraction")),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Type::Text => push_bytes(self.field.number, text.as_bytes(), self.out),
            Type::Hex => match unhex(text) {
                Some(id) => push_bytes(self.field.number, &id, self.out),
                None => return Err(self.unexpected("a text that is no hexadecimal")),
            },
            Type::Base64 => match STANDARD.decode(text) {
                Ok(bytes) => push_bytes(self.field.number, &bytes, self.out),
                Err(_) => return Err(self.unexpected("a text that is no base64")),
            },
            Type::Double => match text.parse::<f64>() {
                Ok(number) => self.long(number.to_bits()),
                Err(_) => return Err(self.unexpected("a text that is no number")),
            },
            Type::Bool | Type::Message(_) => return Err(self.unexpected("a text")),
            _ => return self.number(text),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.field.is_list {
            return Err(self.unexpected("a list"));
        }
        while list
            .next_element_seed(Slot { field: self.field, out: self.out, limit: self.limit })?
            .is_some()
        {
            if self.out.len() > self.limit {
                return Err(A::Error::custom("the request is too large: send it in parts"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Type::Message(fields) = self.field.kind else {
            return Err(self.unexpected("an object"));
        };
        let mut inner = Vec::new();
        Object { fields, out: &mut inner, limit: self.limit }.visit_map(map)?;
        push_bytes(self.field.number, &inner, self.out);
        Ok(())
    }
}

impl Slot<'_> {
    /// A whole number that is written as a text.
    fn number<E: Error>(self, text: &str) -> Result<(), E> {
        if let Ok(number) = text.parse::<u64>() {
            self.visit_u64(number)
        } else if let Ok(number) = text.parse::<i64>() {
            self.visit_i64(number)
        } else {
            Err(self.unexpected("a text that is no number"))
        }
    }

    fn varint(self, number: u64) {
        push_key(self.field.number, 0, self.out);
        prost::encoding::encode_varint(number, self.out);
    }

    fn long(self, bits: u64) {
        push_key(self.field.number, 1, self.out);
        self.out.extend(bits.to_le_bytes());
    }

    /// The caller has seen that it fits.
    fn short(self, bits: u64) {
        push_key(self.field.number, 5, self.out);
        self.out.extend(&bits.to_le_bytes()[..4]);
    }

    fn unexpected<E: Error>(&self, found: &str) -> E {
        E::custom(format_args!(
            "{} must be {}, not {found}",
            self.field.name,
            self.field.kind.words()
        ))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
    use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::decode_request;

    const LIMIT: usize = 1 << 20;

    fn bytes(kind: Kind, text: &str) -> Vec<u8> {
        from_json(kind, text.as_bytes(), LIMIT).unwrap()
    }

    fn complaint(kind: Kind, text: &str) -> String {
        let error = from_json(kind, text.as_bytes(), LIMIT).unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    }

    #[test]
    fn logs_are_read_as_the_specification_writes_them() {
        let text = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":
            {"stringValue":"my.service"}}]},"scopeLogs":[{"scope":{"name":"my.library","version":"1.0.0",
            "attributes":[{"key":"my.scope.attribute","value":{"stringValue":"some scope attribute"}}]},
            "logRecords":[{"timeUnixNano":"1544712660300000000","observedTimeUnixNano":"1544712660300000000",
            "severityNumber":10,"severityText":"Information","traceId":"5B8EFFF798038103D269B633813FC60C",
            "spanId":"EEE19B7EC3C1B174","body":{"stringValue":"Example log record"},"attributes":[
            {"key":"string.attribute","value":{"stringValue":"some string"}},
            {"key":"boolean.attribute","value":{"boolValue":true}},
            {"key":"int.attribute","value":{"intValue":"10"}},
            {"key":"double.attribute","value":{"doubleValue":637.704}},
            {"key":"array.attribute","value":{"arrayValue":{"values":[{"stringValue":"many"}]}}},
            {"key":"map.attribute","value":{"kvlistValue":{"values":[{"key":"some.map.key",
            "value":{"stringValue":"some value"}}]}}}]}]}]}]}"#;
        let request = ExportLogsServiceRequest::decode(bytes(Kind::Log, text).as_slice()).unwrap();
        let scope = &request.resource_logs[0].scope_logs[0];
        let log = &scope.log_records[0];
        assert_eq!(scope.scope.as_ref().unwrap().name, "my.library");
        assert_eq!((log.time_unix_nano, log.severity_number), (1_544_712_660_300_000_000, 10));
        assert_eq!((log.trace_id[0], log.trace_id.len(), log.span_id[7]), (0x5b, 16, 0x74));
        let values: Vec<_> =
            log.attributes.iter().map(|pair| pair.value.clone().unwrap().value.unwrap()).collect();
        assert_eq!(values[1], any_value::Value::BoolValue(true));
        assert_eq!(values[2], any_value::Value::IntValue(10));
        assert_eq!(values[3], any_value::Value::DoubleValue(637.704));
        assert!(matches!(&values[4], any_value::Value::ArrayValue(list) if list.values.len() == 1));
        assert!(matches!(&values[5], any_value::Value::KvlistValue(map) if map.values.len() == 1));
    }

    #[test]
    fn spans_are_read_as_the_specification_writes_them() {
        let text = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
            "spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173","flags":256,"name":"I'm a server span",
            "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,"kind":2,
            "status":{"message":"no","code":2},"events":[{"timeUnixNano":"5","name":"one"}],
            "links":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174"}],
            "attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}]}]}]}]}"#;
        let request =
            ExportTraceServiceRequest::decode(bytes(Kind::Span, text).as_slice()).unwrap();
        let span = &request.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((span.name.as_str(), span.kind, span.flags), ("I'm a server span", 2, 256));
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 1_000_000_000);
        assert_eq!(
            (span.status.as_ref().unwrap().code, span.events.len(), span.links.len()),
            (2, 1, 1)
        );
    }

    #[test]
    fn metrics_are_read_as_the_specification_writes_them() {
        let text = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
            {"name":"my.counter","unit":"1","sum":{"aggregationTemporality":1,"isMonotonic":true,
             "dataPoints":[{"asDouble":5,"startTimeUnixNano":"1","timeUnixNano":"2","attributes":[]},{"asInt":"-7"},
             {"asDouble":"NaN"}]}},
            {"name":"my.histogram","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"2","sum":2,
             "bucketCounts":["1",1],"explicitBounds":[1],"min":0,"max":2}]}},
            {"name":"my.exponential","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":3,
             "scale":-1,"zeroCount":1,"positive":{"offset":-2,"bucketCounts":["0","2"]},"zeroThreshold":0.5}]}},
            {"name":"my.summary","summary":{"dataPoints":[{"count":"1","quantileValues":[{"quantile":0.5,"value":1}]}]}}
            ]}]}]}"#;
        let bytes = bytes(Kind::Metric, text);
        let request = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let data: Vec<_> = metrics.iter().map(|metric| metric.data.as_ref().unwrap()).collect();
        let Data::Sum(sum) = data[0] else { panic!("a sum") };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsDouble(5.0)));
        assert_eq!(sum.data_points[1].value, Some(number_data_point::Value::AsInt(-7)));
        assert!(
            matches!(sum.data_points[2].value, Some(number_data_point::Value::AsDouble(n)) if n.is_nan())
        );
        let Data::Histogram(histogram) = data[1] else { panic!("a histogram") };
        assert_eq!(histogram.data_points[0].bucket_counts, [1, 1]);
        assert_eq!(histogram.data_points[0].explicit_bounds, [1.0]);
        let Data::ExponentialHistogram(histogram) = data[2] else { panic!("exponential") };
        let point = &histogram.data_points[0];
        let positive = point.positive.as_ref().unwrap();
        assert_eq!((point.scale, positive.offset), (-1, -2));
        assert_eq!(positive.bucket_counts, [0, 2]);
        assert!(matches!(data[3], Data::Summary(summary) if summary.data_points[0].count == 1));
    }

    #[test]
    fn unknown_fields_and_null_are_ignored_wherever_they_stand() {
        let text = r#"{"later":{"deep":[1]},"resourceLogs":[{"resource":null,"scopeLogs":[{"logRecords":[
            {"body":{"laterValue":[1,{"a":2}],"bytesValue":"AQI="},"severityText":null}]}]}]}"#;
        let request = ExportLogsServiceRequest::decode(bytes(Kind::Log, text).as_slice()).unwrap();
        let log = &request.resource_logs[0].scope_logs[0].log_records[0];
        let bytes = AnyValue { value: Some(any_value::Value::BytesValue(vec![1, 2])) };
        assert_eq!((log.body.as_ref(), log.severity_text.as_str()), (Some(&bytes), ""));
        assert_eq!(from_json(Kind::Log, b"{}", LIMIT).unwrap(), [0; 0]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_name_and_its_place() {
        let log = |field: &str| {
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{field}}}]}}]}}]}}"#)
        };
        for (field, said) in [
            (r#""severityNumber":"SEVERITY_NUMBER_INFO""#, "severityNumber must be a whole number"),
            (r#""traceId":"xyz""#, "traceId must be an id in hexadecimal"),
            (r#""timeUnixNano":-1"#, "timeUnixNano must be a whole number"),
            (r#""timeUnixNano":1.5"#, "not a number with a fraction"),
            (r#""flags":4294967296"#, "flags must be a whole number"),
            (r#""severityText":5"#, "severityText must be a text"),
            (r#""attributes":5"#, "attributes must be an object"),
            (r#""body":"plain""#, "body must be an object"),
            (r#""eventName":["x"]"#, "not a list"),
        ] {
            let complaint = complaint(Kind::Log, &log(field));
            assert!(complaint.contains(said) && complaint.contains("column"), "{complaint}");
        }
        assert!(complaint(Kind::Log, "[]").contains("an object"));
        assert!(complaint(Kind::Log, "{} x").contains("trailing"));
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = r#"{"resourceLogs":"#.to_owned() + &"[".repeat(100_000);
        assert!(complaint(Kind::Log, &deep).contains("recursion limit"));
        let value = r#"{"arrayValue":{"values":["#.repeat(1_000);
        let deep = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{value}"#);
        assert!(complaint(Kind::Log, &deep).contains("recursion limit"));
        let many = format!(r#"{{"resourceLogs":[{}{{}}]}}"#, "{},".repeat(1_000));
        let error = from_json(Kind::Log, many.as_bytes(), 100).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("too large"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_trouble(text in any::<Vec<u8>>()) {
            for kind in Kind::ALL {
                let _ = from_json(kind, &text, LIMIT);
            }
        }

        #[test]
        fn changed_requests_are_refused_or_valid(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"resourceLogs\"", "\"scopeLogs\"", "\"logRecords\"",
                "\"body\"", "\"attributes\"", "\"key\"", "\"value\"", "\"stringValue\"", "\"intValue\"",
                "\"traceId\"", "\"00\"", "-1", "1e400", "null", "\"\\ud800\"", "true",
                "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{", "}]}]}]}",
            ]), 0..30)
        ) {
            if let Ok(bytes) = from_json(Kind::Log, pieces.concat().as_bytes(), LIMIT) {
                prop_assert!(decode_request(Kind::Log, &bytes).is_ok());
            }
        }
    }
}
