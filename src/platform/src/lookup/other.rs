//! Name lookups where their limits are the system's; the other half of `lookup`.
//!
//! # Invariants
//! - Does nothing, and cannot fail.

pub(super) fn bound_name_lookups() {}
