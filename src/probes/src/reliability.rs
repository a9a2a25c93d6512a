//! How reliably the host runs, from the records that it keeps itself: level 2, when it changed and
//! once a day. Linux only.
//!
//! ```text
//! var/log/wtmp                              starts, and stops in order
//! proc/sys/kernel/hung_task_detect_count    tasks that hung, where the kernel counts them
//! var/log/apt/history.log                   updates that failed
//! var/lib/dpkg/status                       packages that are half installed
//! ```
//!
//! # Invariants
//! - Of these files only times, types and states are told: no user, no package.
//! - What no file tells is absent.
//!
//! Nothing here fails: a file that cannot be read or understood is one that tells nothing.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use candor_model::events::reliability::Summary;
use candor_model::{Level, Record};

use crate::probe::record;
use crate::starts::Starts;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// The most that is read of the end of a log.
const MAX_LOG_BYTES: u64 = 2 << 20;

/// The most that is read of the list of packages: some 10,000 packages have 10 MiB.
const MAX_LIST_BYTES: u64 = 32 << 20;

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct Reliability {
    /// The packages' states by the list's size and time, since the list is long.
    packages: Option<(Stamp, Option<u64>)>,
}

/// Size and time of a file.
type Stamp = (u64, Option<std::time::SystemTime>);

impl Reliability {
    fn broken_packages(&mut self, host: &Host) -> Option<u64> {
        let path = host.path("var/lib/dpkg/status");
        let metadata = path.metadata().ok()?;
        let stamp = (metadata.len(), metadata.modified().ok());
        match &self.packages {
            Some((known, count)) if *known == stamp => *count,
            _ => {
                let count = broken_packages(&path);
                self.packages = Some((stamp, count));
                count
            }
        }
    }
}

/// Packages whose state is neither installed nor removed; see dpkg(1).
fn broken_packages(path: &Path) -> Option<u64> {
    let list = BufReader::new(File::open(path).ok()?.take(MAX_LIST_BYTES));
    let mut broken = 0;
    for line in list.split(b'\n') {
        let line = line.ok()?;
        let Some(state) = line.strip_prefix(b"Status: ") else { continue };
        let state = state.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let is_broken = matches!(state, b"half-installed" | b"half-configured" | b"unpacked");
        broken += u64::from(is_broken);
    }
    Some(broken)
}

/// Stanzas of apt's log that end with an error.
fn failed_updates(host: &Host) -> Option<u64> {
    let text = host.tail(&host.path("var/log/apt/history.log"), MAX_LOG_BYTES, 1)?;
    let failed = text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"Error: "));
    u64::try_from(failed.count()).ok()
}

impl Probe for Reliability {
    fn name(&self) -> &'static str {
        "reliability"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let starts = Starts::read(host, now.wall).unwrap_or_default();
        let summary = Summary {
            observed: starts.observed_days,
            starts: starts.count,
            unclean_shutdowns: starts.unclean,
            days_since_unclean_shutdown: starts.days_since_unclean,
            start_duration: starts.duration,
            hung_tasks: host.number(&host.proc("sys/kernel/hung_task_detect_count")),
            failed_updates: failed_updates(host),
            broken_packages: self.broken_packages(host),
        };
        Ok(record(summary))
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use candor_model::Event;

    use super::*;
    use crate::samples::at;

    fn machine() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        for directory in ["proc/sys/kernel", "var/log/apt", "var/lib/dpkg"] {
            fs::create_dir_all(host.path(directory)).unwrap();
        }
        (root, host)
    }

    fn fields(probe: &mut Reliability, host: &Host) -> Vec<String> {
        let records = probe.report(host, at(0)).unwrap();
        let events = records.into_iter().filter_map(|record| match record {
            Record::Event(event) => Some(event),
            Record::Metric(_) | Record::Provided(_) => None,
        });
        let list = |event: Event| {
            event.fields().map(|(entry, value)| format!("{} {value:?}", entry.name)).collect()
        };
        events.map(list).next().unwrap_or_default()
    }

    #[test]
    fn files_tell_hung_tasks_failed_updates_and_half_installed_packages() {
        let (_root, host) = machine();
        fs::write(host.proc("sys/kernel/hung_task_detect_count"), "3\n").unwrap();
        let log = "\nStart-Date: 2026-11-01  10:00:00\nCommandline: apt upgrade\nEnd-Date: x\n\
            \nStart-Date: 2026-11-02  10:00:00\nUpgrade: a (1, 2)\n\
            Error: Sub-process /usr/bin/dpkg returned an error code (1)\nEnd-Date: x\n";
        fs::write(host.path("var/log/apt/history.log"), log).unwrap();
        let list = "Package: a\nStatus: install ok installed\n\nPackage: b\n\
            Status: install ok half-configured\n\nPackage: c\nStatus: deinstall ok config-files\n\
            Description: Status: install ok unpacked\n";
        fs::write(host.path("var/lib/dpkg/status"), list).unwrap();
        let mut probe = Reliability::default();
        let expected = ["hung_tasks Int(3)", "failed_updates Int(1)", "broken_packages Int(1)"];
        assert_eq!(fields(&mut probe, &host), expected);
        // The list is read again when it changed, and only then.
        fs::write(host.path("var/lib/dpkg/status"), "Status: install ok installed\n").unwrap();
        assert_eq!(fields(&mut probe, &host)[2], "broken_packages Int(0)");
    }

    #[test]
    fn a_host_that_keeps_no_records_says_nothing() {
        let (_root, host) = machine();
        assert_eq!(fields(&mut Reliability::default(), &host), Vec::<String>::new());
    }
}
