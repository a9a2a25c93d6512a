//! What this process costs: memory, processor time and wakeups, for `status` and the budget.
//!
//! # Invariants
//! - Counts the whole process, threads that ended included.
//! - What the system does not tell is `None`.
//!
//! On failure: the fact is absent; nothing here returns an error.

use std::time::Duration;

#[cfg_attr(unix, path = "usage/unix.rs")]
#[cfg_attr(windows, path = "usage/windows.rs")]
mod imp;

/// The cost of this process since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory: `VmRSS`; the working set on Windows.
    pub rss_bytes: Option<u64>,
    /// Resident memory that no file backs: `RssAnon`. Windows has no such number.
    pub rss_anon_bytes: Option<u64>,
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Context switches, voluntary and not, of all threads. Windows has no such number.
    pub wakeups: Option<u64>,
}

/// What this process costs now.
#[must_use]
pub fn usage() -> Usage {
    imp::usage()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_its_processor_time() {
        let before = usage();
        assert!(before.rss_bytes.is_some_and(|bytes| bytes > 100_000), "{before:?}");
        let mut sum = 0_u64;
        while usage().cpu < before.cpu + Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn anonymous_memory_is_a_part_of_the_resident_memory() {
        let now = usage();
        assert!(now.rss_anon_bytes <= now.rss_bytes && now.rss_anon_bytes.is_some(), "{now:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn wakeups_of_a_thread_that_ended_still_count() {
        let before = usage().wakeups.unwrap();
        std::thread::spawn(|| {
            for _ in 0..50 {
                std::thread::sleep(Duration::from_micros(50));
            }
        })
        .join()
        .unwrap();
        assert!(usage().wakeups.unwrap() >= before + 50);
    }
}
