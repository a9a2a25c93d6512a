//! How long the system's resolver goes on asking: a name lookup that nobody waits for any more
//! cannot be called back, so it must end by itself. Called once by `main`, before the first thread.
//!
//! # Invariants
//! - One second and one attempt for each name server: with the one or two that are usual, the last
//!   query of a lookup leaves within the two seconds after which `disable` promises silence.
//! - What the environment says already (`RES_OPTIONS`) stands before ours and is not removed.
//! - Only resolvers that read `RES_OPTIONS` (glibc) know these limits; elsewhere nothing changes.
//!
//! On failure: none; a resolver that does not know an option ignores it.

#[cfg_attr(all(target_os = "linux", target_env = "gnu"), path = "lookup/glibc.rs")]
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), path = "lookup/other.rs")]
mod imp;

/// Bounds every name lookup of this process. Call it before threads start.
pub fn bound_name_lookups() {
    imp::bound_name_lookups();
}
