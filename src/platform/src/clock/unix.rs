//! The clocks of Linux: `CLOCK_BOOTTIME`, `CLOCK_MONOTONIC`, and the kernel's boot id.
//!
//! # Invariants
//! - Both clocks exist on every kernel that the agent runs on (2.6.39 and later).
//!
//! On failure: zero, or no id.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

pub(super) fn boot() -> Duration {
    read(ClockId::CLOCK_BOOTTIME)
}

pub(super) fn monotonic() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

pub(super) fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}
