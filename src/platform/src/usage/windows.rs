//! The cost of this process from the process status functions; the Windows half of `usage`.
//!
//! # Invariants
//! - Private resident memory and context switches are not told there, so they are absent.
//!
//! On failure: the fact is absent, processor time zero.
#![expect(unsafe_code, reason = "raw calls of the process status functions")]

use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessTimes};

use super::Usage;

pub(super) fn usage() -> Usage {
    Usage { rss_bytes: working_set(), rss_anon_bytes: None, cpu: cpu(), wakeups: None }
}

fn working_set() -> Option<u64> {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).ok()?;
    // SAFETY: the struct is ours and as long as we say; the handle is a constant.
    let done = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size) };
    (done != 0).then_some(counters.WorkingSetSize as u64)
}

fn cpu() -> Duration {
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: four structs of ours; the handle is a constant.
    let done = unsafe {
        GetProcessTimes(
            GetCurrentProcess(),
            &raw mut created,
            &raw mut ended,
            &raw mut kernel,
            &raw mut user,
        )
    };
    if done == 0 { Duration::ZERO } else { duration(kernel) + duration(user) }
}

/// A span in units of 100 ns.
fn duration(time: FILETIME) -> Duration {
    let units = (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime);
    Duration::from_nanos(units.saturating_mul(100))
}
