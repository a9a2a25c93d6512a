//! `candor.quality.alerts`: how often the host met critical trouble, from the counts that the kernel,
//! the file systems and the system's own record of starts keep.
//!
//! # Invariants
//! - No drive is woken: see [`smart`](super::smart); its answer is kept for [`SMART_EVERY`].
//! - XFS keeps no count of its errors, so it adds nothing.
//! - 0 is said only where somebody counts.
//!
//! Nothing here fails: what is not counted is absent.

use std::path::Path;
use std::time::Duration;

use candor_model::events::quality;
use candor_model::{Level, Record};

use super::smart;
use crate::probe::record;
use crate::starts;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// How often drives are asked: their verdict changes slowly, and asking costs a process for each.
const SMART_EVERY: Duration = Duration::from_hours(6);

/// Bits of `proc/sys/kernel/tainted`, `Documentation/admin-guide/tainted-kernels.rst`.
const DIED: u64 = 1 << 7;
const WARNED: u64 = 1 << 9;

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    drives: Option<(Duration, Option<(u32, u32)>)>,
}

impl Probe for Alerts {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let drives = self.drives(host, now);
        let (corrected, uncorrected) = memory(host);
        let (pcie_corrected, pcie_uncorrected) = pcie(host);
        Ok(record(quality::Alerts {
            machine_checks: machine_checks(host),
            memory_errors_corrected: corrected,
            memory_errors_uncorrected: uncorrected,
            pcie_errors_corrected: pcie_corrected,
            pcie_errors_uncorrected: pcie_uncorrected,
            drives_asked: drives.map(|(asked, _)| asked),
            drives_failing: drives.map(|(_, failing)| failing),
            filesystem_errors: filesystems(host),
            arrays_degraded: arrays(host),
            thermal_throttles: throttles(host),
            oom_kills: oom_kills(host),
            kernel_oopses: counted_or_flagged(host, "oops_count", DIED),
            kernel_warnings: counted_or_flagged(host, "warn_count", WARNED),
            kernel_crash_records: crash_records(host),
            unclean_shutdowns: starts::unclean(host),
        }))
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Alerts {
    fn drives(&mut self, host: &Host, now: Moment) -> Option<(u32, u32)> {
        if let Some((asked, answer)) = self.drives
            && now.boot.saturating_sub(asked) < SMART_EVERY
        {
            return answer;
        }
        let answer = smart::failing(host).filter(|(asked, _)| *asked > 0);
        self.drives = Some((now.boot, answer));
        answer
    }
}

/// The sum of what is told; absent when nobody tells.
fn sum(counts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    counts.flatten().fold(None, |sum, count| Some(sum.unwrap_or(0_u64).saturating_add(count)))
}

/// One file below each entry of a directory.
fn each(host: &Host, directory: &Path, file: &str) -> Vec<Option<u64>> {
    let names = host.names(directory);
    names.iter().map(|name| host.number(&directory.join(name).join(file))).collect()
}

/// The row `MCE:` of `proc/interrupts`: a number for each processor, then words.
fn machine_checks(host: &Host) -> Option<u64> {
    let interrupts = host.content(&host.proc("interrupts"))?;
    let row = interrupts.lines().find_map(|line| line.trim_start().strip_prefix("MCE:"))?;
    sum(row.split_whitespace().map_while(|word| word.parse().ok()).map(Some))
}

fn memory(host: &Host) -> (Option<u64>, Option<u64>) {
    let directory = host.sys("devices/system/edac/mc");
    let count = |file: &str| sum(each(host, &directory, file).into_iter());
    (count("ce_count"), count("ue_count"))
}

/// Corrected, and fatal with non-fatal; the last line of each file is the device's total.
fn pcie(host: &Host) -> (Option<u64>, Option<u64>) {
    let directory = host.sys("bus/pci/devices");
    let names = host.names(&directory);
    let total = |name: &String, file: &str| {
        let text = host.content(&directory.join(name).join(file))?;
        text.lines()
            .find_map(|line| line.strip_prefix("TOTAL_ERR_")?.split_once(' ')?.1.parse().ok())
    };
    let count = |files: &[&str]| {
        sum(names.iter().flat_map(|name| files.iter().map(move |file| total(name, file))))
    };
    (count(&["aer_dev_correctable"]), count(&["aer_dev_fatal", "aer_dev_nonfatal"]))
}

fn filesystems(host: &Host) -> Option<u64> {
    let ext4 = each(host, &host.sys("fs/ext4"), "errors_count");
    let btrfs = host.sys("fs/btrfs");
    let devices = host.names(&btrfs).into_iter().flat_map(|volume| {
        let directory = btrfs.join(volume).join("devinfo");
        let names = host.names(&directory);
        names.into_iter().map(move |name| directory.join(name).join("error_stats"))
    });
    sum(ext4.into_iter().chain(devices.map(|file| error_stats(&host.content(&file)?))))
}

/// `write_errs 0`, a line for each kind.
fn error_stats(text: &str) -> Option<u64> {
    sum(text.lines().map(|line| line.split_once(' ')?.1.trim().parse().ok()))
}

fn arrays(host: &Host) -> Option<u32> {
    let counts = each(host, &host.sys("block"), "md/degraded");
    let mut counts = counts.into_iter().flatten().peekable();
    counts.peek()?;
    u32::try_from(counts.filter(|missing| *missing > 0).count()).ok()
}

/// Threads of one core share its count.
fn throttles(host: &Host) -> Option<u64> {
    let directory = host.sys("devices/system/cpu");
    let mut cores = std::collections::BTreeMap::new();
    for name in host.names(&directory) {
        let cpu = directory.join(&name);
        let Some(count) = host.number(&cpu.join("thermal_throttle/core_throttle_count")) else {
            continue;
        };
        let threads = host.text(&cpu.join("topology/core_cpus_list"));
        let core = threads.or_else(|| host.text(&cpu.join("topology/thread_siblings_list")));
        let highest = cores.entry(core.unwrap_or(name)).or_insert(0);
        *highest = count.max(*highest);
    }
    sum(cores.into_values().map(Some))
}

fn oom_kills(host: &Host) -> Option<u64> {
    let vmstat = host.content(&host.proc("vmstat"))?;
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Counted since Linux 6.2; before, a flag stands until the next start.
fn counted_or_flagged(host: &Host, file: &str, flag: u64) -> Option<u64> {
    host.number(&host.sys("kernel").join(file)).or_else(|| {
        let taint = host.number(&host.proc("sys/kernel/tainted"))?;
        Some(u64::from(taint & flag != 0))
    })
}

/// What the firmware kept, and what systemd moved away from there.
fn crash_records(host: &Host) -> Option<u32> {
    let stores = [host.sys("fs/pstore"), host.path("var/lib/systemd/pstore")];
    stores.iter().any(|store| store.exists()).then_some(())?;
    let [fresh, moved] = stores.map(|store| host.names(&store));
    let fresh = fresh.iter().filter(|name| name.starts_with("dmesg-")).count();
    u32::try_from(fresh + moved.len()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use candor_model::EventDef as _;

    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let host = Host::new(root.path());
        (root, host)
    }

    fn said(files: &[(&str, &str)]) -> Vec<Record> {
        let (_root, host) = host(files);
        Alerts::default().report(&host, Moment::default()).unwrap()
    }

    #[test]
    fn each_kind_is_the_sum_of_those_who_count_it() {
        let expected = quality::Alerts {
            machine_checks: Some(3),
            memory_errors_corrected: Some(12),
            memory_errors_uncorrected: Some(1),
            pcie_errors_corrected: Some(4),
            pcie_errors_uncorrected: Some(3),
            filesystem_errors: Some(9),
            arrays_degraded: Some(1),
            thermal_throttles: Some(7),
            oom_kills: Some(2),
            kernel_oopses: Some(5),
            kernel_warnings: Some(1),
            kernel_crash_records: Some(1),
            ..quality::Alerts::default()
        };
        let said = said(&[
            (
                "proc/interrupts",
                "  CPU0 CPU1\n 0: 9 9 timer\n MCE:          1          2   Machine check exceptions\n",
            ),
            ("sys/devices/system/edac/mc/mc0/ce_count", "12\n"),
            ("sys/devices/system/edac/mc/mc0/ue_count", "0\n"),
            ("sys/devices/system/edac/mc/mc1/ce_count", "0\n"),
            ("sys/devices/system/edac/mc/mc1/ue_count", "1\n"),
            ("sys/bus/pci/devices/0/aer_dev_correctable", "RxErr 4\nTOTAL_ERR_COR 4\n"),
            ("sys/bus/pci/devices/0/aer_dev_fatal", "TOTAL_ERR_FATAL 1\n"),
            ("sys/bus/pci/devices/0/aer_dev_nonfatal", "TOTAL_ERR_NONFATAL 2\n"),
            ("sys/fs/ext4/sda1/errors_count", "6\n"),
            (
                "sys/fs/btrfs/u/devinfo/1/error_stats",
                "write_errs 1\nread_errs 2\ncorruption_errs 0\n",
            ),
            ("sys/block/md0/md/degraded", "1\n"),
            ("sys/block/md1/md/degraded", "0\n"),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "4\n"),
            ("sys/devices/system/cpu/cpu0/topology/core_cpus_list", "0-1\n"),
            ("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "4\n"),
            ("sys/devices/system/cpu/cpu1/topology/core_cpus_list", "0-1\n"),
            ("sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count", "3\n"),
            ("proc/vmstat", "pgfault 1\noom_kill 2\n"),
            ("sys/kernel/oops_count", "5\n"),
            ("proc/sys/kernel/tainted", "512\n"),
            ("sys/fs/pstore/dmesg-efi-1", "x"),
            ("sys/fs/pstore/console-1", "x"),
        ]);
        assert_eq!(said, [Record::Event(expected.into_event())]);
    }

    #[test]
    fn who_counts_and_saw_nothing_says_0_and_who_does_not_count_is_silent() {
        assert_eq!(said(&[]), []);
        let calm = quality::Alerts {
            kernel_oopses: Some(0),
            kernel_warnings: Some(0),
            filesystem_errors: Some(0),
            ..quality::Alerts::default()
        };
        let said = said(&[
            ("proc/sys/kernel/tainted", "0\n"),
            ("sys/fs/ext4/sda1/errors_count", "0\n"),
            ("sys/fs/ext4/features/lazy_itable_init", "supported\n"),
            ("proc/vmstat", "pgfault 1\n"),
            ("proc/interrupts", "CPU0\nMCE:\n"),
            ("sys/devices/system/edac/mc/mc0/ce_count", "many\n"),
        ]);
        assert_eq!(said, [Record::Event(calm.into_event())]);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "linux/alerts::error_stats",
            Says::Derived("kinds are added"),
            &["write_errs 1\nread_errs 2\ncorruption_errs 0\n"],
            error_stats,
        );
    }
}
