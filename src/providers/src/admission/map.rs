//! Maps, whose keys the program chose: bounded, and with keys that are names.
//!
//! # Invariants
//! - A map is no deeper and no larger than its bounds; what is beyond is gone.
//! - A key that is no plain name is gone with its value: a key can be an address too.

use std::borrow::Cow;

use candor_model::Value;
use candor_privacy::{HIDDEN, is_sensitive, scrub_map};

use crate::Format;

/// Deepest map.
const MAX_DEPTH: usize = 8;
/// Most values in a map with all that is inside it.
const MAX_VALUES: usize = 512;

type Pairs = Vec<(Cow<'static, str>, Value)>;

/// Cleans a map by its keys; `more` are words of the manifest that make a key sensitive too.
pub(super) fn clean(pairs: &mut Pairs, more: &[String]) {
    bound(pairs, MAX_DEPTH, &mut MAX_VALUES.clone());
    scrub_map(pairs);
    hide(pairs, more);
}

/// Whether a key says that its value is a secret.
pub(super) fn is_secret(key: &str, more: &[String]) -> bool {
    let has = |word: &String| key.to_lowercase().contains(&word.to_lowercase());
    is_sensitive(key) || more.iter().any(has)
}

fn bound(pairs: &mut Pairs, depth: usize, left: &mut usize) {
    pairs.retain_mut(|(key, value)| Format::Name.fits(key) && bound_value(value, depth, left));
}

fn bound_value(value: &mut Value, depth: usize, left: &mut usize) -> bool {
    if depth == 0 || *left == 0 {
        return false;
    }
    *left -= 1;
    match value {
        Value::Map(pairs) => bound(pairs, depth - 1, left),
        Value::List(items) => items.retain_mut(|item| bound_value(item, depth - 1, left)),
        _ => {}
    }
    true
}

fn hide(pairs: &mut Pairs, more: &[String]) {
    if more.is_empty() {
        return;
    }
    for (key, value) in pairs {
        if is_secret(key, more) {
            *value = Value::from(HIDDEN);
        } else {
            hide_inside(value, more);
        }
    }
}

fn hide_inside(value: &mut Value, more: &[String]) {
    match value {
        Value::Map(pairs) => hide(pairs, more),
        Value::List(items) => items.iter_mut().for_each(|item| hide_inside(item, more)),
        _ => {}
    }
}

/// A map of what stands in JSON, where that is an object.
pub(super) fn from_json(text: &str) -> Option<Pairs> {
    match serde_json::from_str(text).ok()? {
        serde_json::Value::Object(object) => Some(of_object(object)),
        _ => None,
    }
}

fn of_object(object: serde_json::Map<String, serde_json::Value>) -> Pairs {
    let pairs = object.into_iter();
    pairs.filter_map(|(key, value)| Some((Cow::Owned(key), of_json(value)?))).collect()
}

/// A null is absent.
fn of_json(value: serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(switch) => Value::Bool(switch),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Double(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => {
            Value::List(items.into_iter().filter_map(of_json).collect())
        }
        serde_json::Value::Object(object) => Value::Map(of_object(object)),
    })
}
