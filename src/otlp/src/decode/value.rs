//! OTLP's values and attribute lists as the model's.
//!
//! # Invariants
//! - An empty value is absent: it is left out of attributes, maps and lists.
//! - Bytes, which the model does not have, become base64 text.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use candor_model::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};

/// The attributes that have a value.
pub(super) fn pairs(attributes: Vec<KeyValue>) -> Vec<(String, Value)> {
    attributes.into_iter().filter_map(|pair| Some((pair.key, value(pair.value?)?))).collect()
}

/// The model's value; recursion is bounded by the decoder's own limit.
pub(super) fn value(any: AnyValue) -> Option<Value> {
    Some(match any.value? {
        any_value::Value::StringValue(text) => Value::Text(Cow::Owned(text)),
        any_value::Value::BoolValue(truth) => Value::Bool(truth),
        any_value::Value::IntValue(number) => Value::Int(number),
        any_value::Value::DoubleValue(number) => Value::Double(number),
        any_value::Value::ArrayValue(list) => {
            Value::List(list.values.into_iter().filter_map(value).collect())
        }
        any_value::Value::KvlistValue(map) => Value::Map(
            pairs(map.values).into_iter().map(|(key, value)| (Cow::Owned(key), value)).collect(),
        ),
        any_value::Value::BytesValue(bytes) => Value::Text(Cow::Owned(STANDARD.encode(bytes))),
        any_value::Value::StringValueStrindex(_) => return None,
    })
}

/// Takes every attribute `key` out and gives the last one's value, as protobuf maps do.
pub(super) fn take(attributes: &mut Vec<(String, Value)>, key: &str) -> Option<Value> {
    let mut taken = attributes.extract_if(.., |(k, _)| k == key).map(|(_, value)| value);
    taken.by_ref().last()
}

/// As [`take`], for text.
pub(super) fn take_text(attributes: &mut Vec<(String, Value)>, key: &str) -> Option<String> {
    match take(attributes, key)? {
        Value::Text(text) => Some(text.into_owned()),
        _ => None,
    }
}

/// As [`take`], for a whole number.
pub(super) fn take_int(attributes: &mut Vec<(String, Value)>, key: &str) -> Option<i64> {
    match take(attributes, key)? {
        Value::Int(number) => Some(number),
        _ => None,
    }
}
