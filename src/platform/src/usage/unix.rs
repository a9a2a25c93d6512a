//! The cost of this process from `getrusage` and `/proc/self/status`; the Linux half of `usage`.
//!
//! # Invariants
//! - `getrusage` sums over all threads, also those that ended, in one call; reading each
//!   `/proc/self/task/*/status` would forget them and cost more.
//!
//! On failure: the fact is absent, processor time zero.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::Usage;

pub(super) fn usage() -> Usage {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let spent = getrusage(UsageWho::RUSAGE_SELF).ok();
    let cpu = spent.map_or(Duration::ZERO, |spent| {
        duration(spent.user_time()) + duration(spent.system_time())
    });
    let wakeups = spent.and_then(|spent| {
        let switches =
            spent.voluntary_context_switches().checked_add(spent.involuntary_context_switches())?;
        u64::try_from(switches).ok()
    });
    Usage {
        rss_bytes: kib(&status, "VmRSS:"),
        rss_anon_bytes: kib(&status, "RssAnon:"),
        cpu,
        wakeups,
    }
}

/// A line of `/proc/PID/status` such as `VmRSS: 1234 kB`, in bytes.
fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_kib_reads_in_bytes() {
        let status = "VmHWM:\t  9 kB\nVmRSS:\t    1234 kB\nRssAnon:\t x kB\n";
        assert_eq!(kib(status, "VmRSS:"), Some(1234 * 1024));
        assert_eq!(kib(status, "RssAnon:"), None);
        assert_eq!(kib(status, "RssFile:"), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "usage/unix::kib",
            Says::Times(&[1024]),
            &["VmHWM:\t  9 kB\nVmRSS:\t    1234 kB\n"],
            |status| kib(status, "VmRSS:"),
        );
    }
}
