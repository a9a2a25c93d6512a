//! CPU time of the calling thread, so that each probe's cost can be told apart.
//!
//! # Invariants
//! - `None` where the system does not tell; never an estimate.

use std::time::Duration;

/// CPU time that this thread has used.
#[cfg(unix)]
pub(super) fn thread_cpu() -> Option<Duration> {
    use nix::time::{ClockId, clock_gettime};

    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}

/// Windows has no call for it that is safe; the cost of the whole agent is told instead.
#[cfg(not(unix))]
pub(super) fn thread_cpu() -> Option<Duration> {
    None
}
