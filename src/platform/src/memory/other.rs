//! The allocator's settings where there are none; the other half of `memory`.
//!
//! # Invariants
//! - Does nothing, and cannot fail.

pub(super) fn tune_allocator() {}

pub(super) fn trim() {}
