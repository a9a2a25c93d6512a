//! Sampling: which part of an event's records passes.
//!
//! # Invariants
//! - Records of one trace share its fate, on every host and with every program that samples by the
//!   randomness of a trace id as OpenTelemetry defines it (its last 7 bytes).
//! - Without a trace it is the record's content that decides, so that a record sent again meets the
//!   same fate.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Incoming;

/// The random part of a trace id: its lowest 56 bits.
const RANDOM: u64 = (1 << 56) - 1;
/// 2^56: how many values the random part of a trace id has.
const RANGE: f64 = 72_057_594_037_927_936.0;

/// Whether a record passes where this part of all does.
pub(super) fn passes(part: f64, incoming: &Incoming<'_>) -> bool {
    if part >= 1.0 {
        return true;
    }
    let random = match incoming.trace_id {
        Some(id) => u64::try_from(u128::from_be_bytes(id) & u128::from(RANDOM)).unwrap_or(RANDOM),
        None => of_content(incoming) >> 8,
    };
    #[expect(clippy::cast_precision_loss, reason = "56 bits to 53: the threshold is no finer")]
    let is_below = (random as f64) < part * RANGE;
    is_below
}

/// A hash of what the record says. That of `DefaultHasher::new` has fixed keys.
fn of_content(incoming: &Incoming<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    incoming.name.hash(&mut hasher);
    for given in incoming.sets.iter().flatten() {
        given.key.hash(&mut hasher);
        format!("{:?}", given.value).hash(&mut hasher);
    }
    format!("{:?}", incoming.body).hash(&mut hasher);
    hasher.finish()
}
