//! Windows: `GetSystemTimes`. The crate `sysinfo` would tell a percentage only, and load the
//! performance counters' library for it; it tells the number of cores here.
//!
//! # Invariants
//! - Windows tells apart user, kernel and idle time, and has the idle time within the kernel's; the
//!   other modes are absent.
//!
//! Where the system does not tell its times the round fails. On a machine of more than 64 logical
//! CPUs older Windows counts those of one processor group only.

use std::io;
use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Threading::{
    ALL_PROCESSOR_GROUPS, GetActiveProcessorCount, GetSystemTimes,
};

use super::{MODES, Reading};
use crate::{Host, Moment, ProbeError};

/// Units of a `FILETIME`, 100 ns, in a tick of 10 ms.
const UNITS_PER_TICK: u64 = 100_000;

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {}

impl Reader {
    /// Which modes Windows tells: user, system and idle.
    pub(super) const TELLS: [bool; MODES] = [true, false, true, true, false, false, false];

    /// The counters now.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn read(&mut self, _host: &Host) -> Result<Reading, ProbeError> {
        let failed = |source| ProbeError::System { what: "the processors' times", source };
        let [idle, kernel, user] = times().map_err(failed)?;
        let system =
            kernel.checked_sub(idle).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
        let ticks = [user, 0, system, idle, 0, 0, 0].map(|units| units / UNITS_PER_TICK);
        Ok(Reading { ticks: Some(ticks), logical: logical(), created: None })
    }

    /// Number of cores.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn physical(&self, _host: &Host) -> Option<u64> {
        sysinfo::System::physical_core_count().ok().and_then(|cores| u64::try_from(cores).ok())
    }

    /// Time since boot, by the clock that counts suspended time.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "one signature with Linux")]
    pub(super) fn uptime(&self, _host: &Host, now: Moment) -> Option<Duration> {
        Some(now.boot)
    }
}

/// Idle, kernel and user time of all CPUs since boot.
#[expect(unsafe_code, reason = "no kept crate tells the times")]
fn times() -> io::Result<[u64; 3]> {
    let mut times = [FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 }; 3];
    let [idle, kernel, user] = &mut times;
    // SAFETY: the three structures outlive the call, which writes to nothing else.
    if unsafe { GetSystemTimes(idle, kernel, user) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(times.map(|time| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)))
}

/// Logical CPUs that are active, in all processor groups.
#[expect(unsafe_code, reason = "the standard library tells those that this process may use")]
fn logical() -> Option<u64> {
    // SAFETY: the call takes a number and gives a number.
    let count = unsafe { GetActiveProcessorCount(ALL_PROCESSOR_GROUPS) };
    Some(u64::from(count)).filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_hosts_times_go_on_and_only_told_modes_have_any() {
        let first = Reader::default().read(&Host::live()).unwrap();
        let second = Reader::default().read(&Host::live()).unwrap();
        let (first, second) = (first.ticks.unwrap(), second.ticks.unwrap());
        assert!(first.iter().sum::<u64>() > 0);
        for (at, is_told) in Reader::TELLS.into_iter().enumerate() {
            assert!(second[at] >= first[at]);
            assert!(is_told || second[at] == 0);
        }
        assert!(logical().unwrap() > 0);
    }
}
