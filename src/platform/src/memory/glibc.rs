//! The allocator's settings with glibc; the Linux half of `memory`.
//!
//! # Invariants
//! - Every threshold that glibc would move by itself is set, since setting one stops the moving.
//!
//! On failure: `mallopt` leaves the setting alone.
#![expect(unsafe_code, reason = "glibc's own functions have no safe form")]

use nix::libc;

const KIB: libc::c_int = 1024;

pub(super) fn tune_allocator() {
    let settings = [
        (libc::M_ARENA_MAX, 1),
        (libc::M_TRIM_THRESHOLD, 64 * KIB),
        (libc::M_MMAP_THRESHOLD, 64 * KIB),
        (libc::M_TOP_PAD, 16 * KIB),
    ];
    for (setting, value) in settings {
        // SAFETY: takes two numbers and its own lock; a value it does not like is refused.
        unsafe { libc::mallopt(setting, value) };
    }
}

pub(super) fn trim() {
    // SAFETY: takes one number and its own locks; blocks in use stay where they are.
    unsafe { libc::malloc_trim(0) };
}
