//! The clocks of Windows: interrupt time with and without sleep, and the boot counter.
//!
//! # Invariants
//! - Both clocks tick with the system timer (up to 16 ms), which schedules need no finer.
//!
//! On failure: zero, or no id.
#![expect(unsafe_code, reason = "raw calls of the system's clocks and of the registry")]

use std::time::Duration;

use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, RRF_RT_REG_DWORD, RegGetValueW};
use windows_sys::Win32::System::WindowsProgramming::{
    QueryInterruptTime, QueryUnbiasedInterruptTime,
};
use windows_sys::w;

pub(super) fn boot() -> Duration {
    let mut time = 0;
    // SAFETY: writes one number of ours.
    unsafe { QueryInterruptTime(&raw mut time) };
    units(time)
}

pub(super) fn monotonic() -> Duration {
    let mut time = 0;
    // SAFETY: writes one number of ours.
    unsafe { QueryUnbiasedInterruptTime(&raw mut time) };
    units(time)
}

pub(super) fn boot_id() -> Option<String> {
    let mut count = 0_u32;
    let mut size = u32::try_from(size_of::<u32>()).ok()?;
    // SAFETY: both names end with a zero; the value goes into a number of ours of that size.
    let answer = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            w!(
                r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
            ),
            w!("BootId"),
            RRF_RT_REG_DWORD,
            std::ptr::null_mut(),
            (&raw mut count).cast(),
            &raw mut size,
        )
    };
    (answer == 0).then(|| count.to_string())
}

/// A span in units of 100 ns.
fn units(time: u64) -> Duration {
    Duration::from_nanos(time.saturating_mul(100))
}
