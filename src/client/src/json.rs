//! Events as an OTLP export request in JSON.
//!
//! # Invariants
//! - What is written is JSON whatever the texts are; a number that JSON cannot say is the name of its
//!   type, and 64-bit numbers are texts, as OTLP has them.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use crate::{Event, Value};

/// What is sent of an event: with the id by which it arrives once.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) event: Event,
    pub(crate) uid: String,
}

/// The request of a batch.
pub(crate) fn request(service: &str, batch: &[Queued]) -> String {
    let mut text = String::from(r#"{"resourceLogs":[{"resource":{"attributes":["#);
    attribute("service.name", &Value::from(service), &mut text);
    text.push_str(r#"]},"scopeLogs":[{"scope":{"name":"candor-client"},"logRecords":["#);
    separated(batch, &mut text, record);
    text.push_str("]}]}]}");
    text
}

fn record(queued: &Queued, text: &mut String) {
    let event = &queued.event;
    let since = event.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Writing to a `String` does not fail.
    let _ = write!(text, r#"{{"timeUnixNano":"{}","eventName":"#, since.as_nanos());
    quote(&event.name, text);
    if let Some((trace, span)) = &event.trace {
        let _ = write!(text, r#","traceId":"{}","spanId":"{}""#, hex(trace), hex(span));
    }
    text.push_str(r#","attributes":["#);
    attribute("log.record.uid", &Value::from(queued.uid.as_str()), text);
    for (key, value) in &event.fields {
        text.push(',');
        attribute(key, value, text);
    }
    text.push_str("]}");
}

fn attribute(key: &str, value: &Value, text: &mut String) {
    text.push_str(r#"{"key":"#);
    quote(key, text);
    text.push_str(r#","value":"#);
    any(value, text);
    text.push('}');
}

fn any(value: &Value, text: &mut String) {
    match value {
        Value::Bool(switch) => {
            let _ = write!(text, r#"{{"boolValue":{switch}}}"#);
        }
        Value::Int(number) => {
            let _ = write!(text, r#"{{"intValue":"{number}"}}"#);
        }
        Value::Double(number) if number.is_finite() => {
            let _ = write!(text, r#"{{"doubleValue":{number:?}}}"#);
        }
        Value::Double(_) => any(&Value::from("double"), text),
        Value::Text(words) => {
            text.push_str(r#"{"stringValue":"#);
            quote(words, text);
            text.push('}');
        }
        Value::List(items) => {
            text.push_str(r#"{"arrayValue":{"values":["#);
            separated(items, text, any);
            text.push_str("]}}");
        }
        Value::Map(pairs) => {
            text.push_str(r#"{"kvlistValue":{"values":["#);
            separated(pairs, text, |(key, value), text| attribute(key, value, text));
            text.push_str("]}}");
        }
    }
}

fn separated<T>(items: &[T], text: &mut String, write: impl Fn(&T, &mut String)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        write(item, text);
    }
}

fn quote(words: &str, text: &mut String) {
    text.push('"');
    for letter in words.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            control if (control as u32) < 0x20 => {
                let _ = write!(text, "\\u{:04x}", control as u32);
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_batch_is_an_export_request() {
        let event = Event::new("shop.order")
            .with("a\"b", "x\ny\\")
            .with("n", i64::MAX)
            .with("f", 1.0)
            .with("nan", f64::NAN)
            .with("m", Value::Map(vec![("l".into(), Value::List(vec![true.into(), 1.into()]))]))
            .in_trace([1; 16], [2; 8])
            .at(UNIX_EPOCH + Duration::from_nanos(700));
        let text = request("shop", &[Queued { event, uid: "u".into() }]);
        let expected = concat!(
            r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"#,
            r#""scopeLogs":[{"scope":{"name":"candor-client"},"logRecords":[{"timeUnixNano":"700","#,
            r#""eventName":"shop.order","traceId":"01010101010101010101010101010101","#,
            r#""spanId":"0202020202020202","attributes":["#,
            r#"{"key":"log.record.uid","value":{"stringValue":"u"}},"#,
            r#"{"key":"a\"b","value":{"stringValue":"x\u000ay\\"}},"#,
            r#"{"key":"n","value":{"intValue":"9223372036854775807"}},"#,
            r#"{"key":"f","value":{"doubleValue":1.0}},"#,
            r#"{"key":"nan","value":{"stringValue":"double"}},"#,
            r#"{"key":"m","value":{"kvlistValue":{"values":[{"key":"l","value":{"arrayValue":{"values":["#,
            r#"{"boolValue":true},{"intValue":"1"}]}}}]}}}]}]}]}]}"#,
        );
        assert_eq!(text, expected);
    }
}
