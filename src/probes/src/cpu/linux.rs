//! Linux: `/proc/stat`, kept open; the topology below `/sys/devices/system/cpu` and `/proc/uptime`
//! once a report.
//!
//! # Invariants
//! - Guest time is not counted twice: the kernel has it within `user` and `nice` already.
//!
//! A `/proc/stat` without its first line's eight numbers (Linux before 2.6.11) is a failure; a
//! topology that is not there leaves the number of cores absent.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{MODES, Reading};
use crate::kept::Kept;
use crate::scan::{lines, number, numbers, words};
use crate::{Host, Moment, ProbeError};

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    stat: Option<Kept>,
}

impl Reader {
    /// Which modes `/proc/stat` tells: all.
    pub(super) const TELLS: [bool; MODES] = [true; MODES];

    /// The counters now.
    pub(super) fn read(&mut self, host: &Host) -> Result<Reading, ProbeError> {
        let stat = self.stat.get_or_insert_with(|| Kept::new(host.proc("stat")));
        let reading = parse(stat.read()?);
        reading.ok_or_else(|| stat.malformed("a line `cpu` with eight numbers"))
    }

    /// Number of cores: the distinct pairs of package and core among the CPUs that are online.
    #[expect(clippy::unused_self, reason = "Windows' reader needs it")]
    pub(super) fn physical(&self, host: &Host) -> Option<u64> {
        let directory = host.sys("devices/system/cpu");
        let mut cores = BTreeSet::new();
        for name in host.names(&directory) {
            let is_cpu = name.strip_prefix("cpu").is_some_and(|n| number(n.as_bytes()).is_some());
            let topology = directory.join(&name).join("topology");
            if is_cpu && topology.is_dir() {
                let package = host.text(&topology.join("physical_package_id"))?;
                let die = host.text(&topology.join("die_id"));
                cores.insert((package, die, host.text(&topology.join("core_id"))?));
            }
        }
        u64::try_from(cores.len()).ok().filter(|cores| *cores > 0)
    }

    /// Time since boot, from the host's own file.
    #[expect(clippy::unused_self, reason = "Windows' reader needs it")]
    pub(super) fn uptime(&self, host: &Host, _now: Moment) -> Option<Duration> {
        uptime(host)
    }
}

/// The first number of `/proc/uptime`, which counts suspended time.
pub(crate) fn uptime(host: &Host) -> Option<Duration> {
    let text = host.content(&host.proc("uptime"))?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The total of all CPUs' ticks and what stands with it; see proc(5). A tick is 10 ms: `USER_HZ` is
/// 100 on every Linux that Rust builds for (`asm/param.h`).
fn parse(text: &[u8]) -> Option<Reading> {
    let mut reading = Reading::default();
    let mut logical = 0;
    for line in lines(text) {
        let mut words = words(line);
        match words.next() {
            Some(b"cpu") => reading.ticks = Some(modes(numbers(&mut words)?)?),
            Some(b"processes") => {
                reading.created = words.next().and_then(number);
                break;
            }
            Some(word) if word.starts_with(b"cpu") => logical += 1,
            _ => {}
        }
    }
    reading.logical = (logical > 0).then_some(logical);
    reading.ticks.map(|_| reading)
}

/// From the kernel's order to that of the catalog.
pub(super) fn modes(row: [u64; 8]) -> Option<[u64; MODES]> {
    let [user, nice, system, idle, iowait, irq, softirq, steal] = row;
    let modes = [user, nice, system, idle, iowait, irq.checked_add(softirq)?, steal];
    // What cannot be summed is no count of ticks; summing later can then not overflow.
    modes.iter().try_fold(0_u64, |sum, ticks| sum.checked_add(*ticks)).map(|_| modes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Probe as _;
    use crate::cpu::Cpu;
    use crate::samples::{at, values};

    const STAT: &str = "cpu  17777 3 6146 175774 914 5 90 16 7 1\n\
        cpu0 8249 0 2807 89103 149 0 12 7 0 0\ncpu1 9527 0 3339 86670 764 0 78 8 0 0\n\
        intr 440304 0 0\nctxt 988541\nbtime 1795159972\nprocesses 12275\nprocs_running 5\n";

    #[test]
    fn a_recorded_table_gives_its_numbers() {
        let reading = parse(STAT.as_bytes()).unwrap();
        assert_eq!(reading.ticks, Some([17777, 3, 6146, 175_774, 914, 95, 16]));
        assert_eq!((reading.logical, reading.created), (Some(2), Some(12275)));
    }

    #[test]
    fn a_malformed_table_gives_no_number_and_does_not_panic() {
        for text in ["", "cpu", "cpu 1 2 3", "cpu a b c d e f g h", "cpu0 1 2 3 4 5 6 7 8\n"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        let huge = format!("cpu {0} {0} 0 0 0 0 0 0", u64::MAX);
        assert_eq!(parse(huge.as_bytes()), None);
        for cut in 0..STAT.len() {
            parse(&STAT.as_bytes()[..cut]);
        }
        let unknown = parse(b"cpu 1 2 3 4 5 6 7 8\nprocesses many\n").unwrap();
        assert_eq!((unknown.logical, unknown.created), (None, None));
    }

    #[test]
    fn a_recorded_machine_gives_its_cores_and_uptime() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("")).unwrap();
        fs::write(host.proc("stat"), STAT).unwrap();
        fs::write(host.proc("uptime"), "1234.56 2000.00\n").unwrap();
        // Two packages of one core each with two threads: four CPUs, two cores.
        for (cpu, package) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
            let topology = host.sys(&format!("devices/system/cpu/cpu{cpu}/topology"));
            fs::create_dir_all(&topology).unwrap();
            fs::write(topology.join("physical_package_id"), format!("{package}\n")).unwrap();
            fs::write(topology.join("core_id"), "0\n").unwrap();
        }
        fs::create_dir_all(host.sys("devices/system/cpu/cpufreq")).unwrap();
        let records = Cpu::new().report(&host, at(0)).unwrap();
        assert_eq!(values(&records, "system.cpu.physical.count"), [(String::new(), 2.0)]);
        assert_eq!(values(&records, "system.cpu.logical.count"), [(String::new(), 2.0)]);
        assert_eq!(values(&records, "system.uptime"), [(String::new(), 1234.56)]);
        assert_eq!(values(&records, "system.cpu.time"), []);
    }

    #[test]
    fn a_machine_that_tells_nothing_is_a_failure_that_names_the_file() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let error = Cpu::new().report(&host, at(0)).unwrap_err();
        assert!(error.to_string().contains("proc/stat"), "{error}");
        fs::create_dir_all(host.proc("")).unwrap();
        fs::write(host.proc("stat"), "cpu 1 2\n").unwrap();
        let error = Cpu::new().report(&host, at(0)).unwrap_err();
        assert!(error.to_string().contains("eight numbers"), "{error}");
    }

    #[test]
    fn this_hosts_counters_lie_between_two_readings_of_the_same_file() {
        let total = || {
            let stat = fs::read_to_string("/proc/stat").unwrap();
            let line = stat.lines().next().unwrap().to_owned();
            line.split_whitespace().skip(1).take(8).map(|n| n.parse::<u64>().unwrap()).sum::<u64>()
        };
        let before = total();
        let ticks = Reader::default().read(&Host::live()).unwrap().ticks.unwrap();
        let after = total();
        let sum = ticks.iter().sum::<u64>();
        // iowait may fall between two readings.
        assert!(before <= sum + 100 && sum <= after + 100, "{before} {sum} {after}");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes("cpu/linux::parse", Says::Derived("interrupts of both kinds are added, lines are counted"), &[b"cpu  100 0 50 800 0 3 4 50 0 0\ncpu0 100 0 50 800 0 3 4 50 0 0\nctxt 5\nprocesses 9\n".to_vec()], |text: &[u8]| parse(text).map(|told| (told.ticks, told.logical, told.created)));
    }
}
