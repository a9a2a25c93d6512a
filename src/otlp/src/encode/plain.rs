//! A plain log record as the bytes of its OTLP message.
//!
//! # Invariants
//! - The bytes are those that [`encode`](super::encode) makes of the same record.

use candor_model::{Plain, Scalar};

use super::Stamp;
use super::provided::{OBSERVED, push_stamp, push_text};
use crate::wire::{push_plain_pair, push_scalar};

/// The bytes of the `LogRecord` message: all but `candor.seq`.
#[must_use]
pub fn encode_plain(record: &Plain<'_>, stamp: &Stamp<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(size(record));
    out.push(OBSERVED);
    out.extend(stamp.observed.0.to_le_bytes());
    out.extend_from_slice(&record.facts);
    push_text(3, record.severity, &mut out);
    if let Some(body) = record.body {
        push_scalar(5, body, &mut out);
    }
    for field in &record.fields {
        push_plain_pair(6, field.key, field.value, &mut out);
    }
    push_text(12, record.name, &mut out);
    push_stamp(6, stamp, &mut out);
    out
}

/// About how many bytes it takes: never fewer, of the texts that occur.
fn size(record: &Plain<'_>) -> usize {
    let value = |value: Scalar<'_>| if let Scalar::Text(text) = value { text.len() } else { 10 };
    let fields = record.fields.iter().map(|field| field.key.len() + value(field.value) + 12);
    let own = record.facts.len() + record.name.len() + record.severity.len();
    own + record.body.map_or(0, |body| value(body) + 12) + fields.sum::<usize>() + 128
}
