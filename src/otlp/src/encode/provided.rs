//! A local program's record as the bytes of its OTLP message: what the manifest and the gate left of
//! it, and our stamp.
//!
//! # Invariants
//! - Numbers, times and ids stand as the program sent them; everything else is written anew from
//!   what passed.
//! - Encoding cannot fail, and is done in one pass into one buffer but for the points' bytes.

use candor_model::{Given, Kind, Part, Provided, Value};

use super::Stamp;
use crate::incoming::point_attributes;
use crate::keys;
use crate::wire::{field_len, open, push_bytes, push_pair, push_value};

/// `LogRecord.observed_time_unix_nano`, 64 bits.
pub(super) const OBSERVED: u8 = 11 << 3 | 1;

/// The bytes of the `LogRecord`, `Metric` or `Span` message: all but `candor.seq`.
pub(super) fn encode(record: &Provided, stamp: &Stamp<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(size(record));
    match record.kind {
        Kind::Log => log(record, stamp, &mut out),
        Kind::Metric => metric(record, stamp, &mut out),
        Kind::Span => span(record, stamp, &mut out),
    }
    out
}

/// About how many bytes it takes.
fn size(record: &Provided) -> usize {
    let text = |value: &Value| if let Value::Text(text) = value { text.len() } else { 9 };
    let set =
        |set: &Vec<Given>| set.iter().map(|g| g.key.len() + text(&g.value) + 8).sum::<usize>();
    let body = record.body.as_ref().map_or(0, |body| text(&body.value) + 8);
    let parts: usize = record.parts.iter().map(|part| part.facts.len() + part.name.len() + 8).sum();
    let own = record.facts.len() + record.name.len() + body + parts;
    own + record.sets.iter().map(set).sum::<usize>() + 128
}

fn log(record: &Provided, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    // Before the program's own, which counts if it is there: of two the last does.
    out.push(OBSERVED);
    out.extend(stamp.observed.0.to_le_bytes());
    out.extend_from_slice(&record.facts);
    push_text(3, &record.severity, out);
    if let Some(body) = &record.body {
        push_value(5, &body.value, out);
    }
    push_set(6, record.sets.first(), out);
    push_text(12, &record.name, out);
    push_stamp(6, stamp, out);
}

fn span(record: &Provided, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&record.facts);
    push_text(5, &record.name, out);
    push_set(9, record.sets.first(), out);
    let mut bytes = Vec::new();
    for (part, set) in record.parts.iter().zip(record.sets.iter().skip(1)) {
        let (number, attributes) = if part.is_link { (13, 4) } else { (11, 3) };
        write_part(part, attributes, set, &mut bytes);
        push_bytes(number, &bytes, out);
        bytes.clear();
    }
    push_stamp(9, stamp, out);
}

fn metric(record: &Provided, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    push_text(1, &record.name, out);
    push_text(3, &record.unit, out);
    push_stamp(12, stamp, out);
    if record.data == 0 {
        return;
    }
    let attributes = point_attributes(record.data);
    let (mut points, mut point) = (Vec::new(), Vec::new());
    for (part, set) in record.parts.iter().zip(&record.sets) {
        write_part(part, attributes, set, &mut point);
        push_bytes(1, &point, &mut points);
        point.clear();
    }
    // The codec's number of the data is at most 11.
    let data = u8::try_from(record.data).unwrap_or_default();
    open(data, points.len() + record.facts.len(), out);
    out.extend_from_slice(&points);
    out.extend_from_slice(&record.facts);
}

fn write_part(part: &Part, attributes: u8, set: &[Given], out: &mut Vec<u8>) {
    out.extend_from_slice(&part.facts);
    push_text(2, &part.name, out);
    for given in set {
        push_pair(attributes, &given.key, &given.value, out);
    }
}

fn push_set(number: u8, set: Option<&Vec<Given>>, out: &mut Vec<u8>) {
    for given in set.into_iter().flatten() {
        push_pair(number, &given.key, &given.value, out);
    }
}

/// A text, unless it is empty.
pub(super) fn push_text(number: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        push_bytes(number, text.as_bytes(), out);
    }
}

pub(super) fn push_stamp(number: u8, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    // As `push_pair`, without making a value of the id.
    let value = field_len(stamp.uid.len());
    open(number, field_len(keys::UID.len()) + field_len(value), out);
    push_bytes(1, keys::UID.as_bytes(), out);
    open(2, value, out);
    push_bytes(1, stamp.uid.as_bytes(), out);
    push_pair(number, keys::LEVEL, &Value::Int(i64::from(stamp.level.number())), out);
}
