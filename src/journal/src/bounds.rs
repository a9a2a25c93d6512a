//! How much is kept, and for how long; pure.
//!
//! # Invariants
//! - A segment is small beside the whole, in bytes and in time, so that letting the oldest one go leaves
//!   most of what may be kept.

use std::time::Duration;

/// A segment is this part of the whole, in bytes and in time.
const PARTS: u32 = 8;
/// The largest segment: one is held in memory while it is read.
const LARGEST: u64 = 1 << 20;

/// What the journal may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes on the disk; 0 keeps nothing.
    pub max_bytes: u64,
    /// What is older goes.
    pub max_age: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_age: Duration::from_hours(7 * 24) }
    }
}

impl Bounds {
    /// When a segment is full, in bytes.
    pub(crate) fn segment_bytes(self) -> u64 {
        (self.max_bytes / u64::from(PARTS)).min(LARGEST)
    }

    /// When a segment is full, in milliseconds since its first entry.
    pub(crate) fn segment_millis(self) -> u64 {
        self.age_millis() / u64::from(PARTS)
    }

    /// How old an entry may become, in milliseconds.
    pub(crate) fn age_millis(self) -> u64 {
        u64::try_from(self.max_age.as_millis()).unwrap_or(u64::MAX)
    }
}
