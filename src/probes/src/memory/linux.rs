//! Linux: `/proc/meminfo` and `/proc/vmstat`, kept open.
//!
//! # Invariants
//! - A key that is not there, or whose value is no number of kB, is absent.
//!
//! `/proc/meminfo` without `MemTotal` and `MemFree` is a failure; without `/proc/vmstat` there are
//! no faults and no swapped pages.

use super::Reading;
use crate::kept::Kept;
use crate::scan::{lines, number, words};
use crate::{Host, ProbeError};

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    files: Option<(Kept, Kept)>,
}

impl Reader {
    /// The numbers now.
    pub(super) fn read(&mut self, host: &Host) -> Result<Reading, ProbeError> {
        let open = || (Kept::new(host.proc("meminfo")), Kept::new(host.proc("vmstat")));
        let (meminfo, vmstat) = self.files.get_or_insert_with(open);
        let reading = parse(meminfo.read()?);
        let mut reading = reading.ok_or_else(|| meminfo.malformed("`MemTotal` and `MemFree`"))?;
        if let Ok(text) = vmstat.read() {
            (reading.faults, reading.swapped) = parse_vmstat(text);
        }
        Ok(reading)
    }
}

/// See proc(5), `/proc/meminfo`.
fn parse(text: &[u8]) -> Option<Reading> {
    let mut reading = Reading::default();
    let mut page_cache = None;
    for line in lines(text) {
        let mut words = words(line);
        let Some(key) = words.next() else { continue };
        let slot = match key {
            b"MemTotal:" => &mut reading.total,
            b"MemFree:" => &mut reading.free,
            b"MemAvailable:" => &mut reading.available,
            b"Buffers:" => &mut reading.buffers,
            b"Cached:" => &mut page_cache,
            b"Shmem:" => &mut reading.shared,
            b"SwapTotal:" => &mut reading.swap_total,
            b"SwapFree:" => &mut reading.swap_free,
            b"SReclaimable:" => &mut reading.slab_reclaimable,
            b"SUnreclaim:" => &mut reading.slab_unreclaimable,
            _ => continue,
        };
        *slot = words.next().and_then(number).and_then(|kib| kib.checked_mul(1024));
    }
    let slab = reading.slab_reclaimable.unwrap_or(0);
    reading.cached = page_cache.and_then(|cache: u64| cache.checked_add(slab));
    (reading.total.is_some() && reading.free.is_some()).then_some(reading)
}

/// Faults (major, minor) and swapped pages (in, out). `pgfault` counts major and minor together.
fn parse_vmstat(text: &[u8]) -> (Option<[u64; 2]>, Option<[u64; 2]>) {
    let [mut all, mut major, mut from, mut to] = [None; 4];
    for line in lines(text) {
        let slot = match line.get(..5) {
            Some(b"pgfau") => (&b"pgfault"[..], &mut all),
            Some(b"pgmaj") => (&b"pgmajfault"[..], &mut major),
            Some(b"pswpi") => (&b"pswpin"[..], &mut from),
            Some(b"pswpo") => (&b"pswpout"[..], &mut to),
            _ => continue,
        };
        let mut words = words(line);
        if words.next() == Some(slot.0) {
            *slot.1 = words.next().and_then(number);
        }
    }
    let minor = all.zip(major).and_then(|(all, major): (u64, u64)| all.checked_sub(major));
    (major.zip(minor).map(Into::into), from.zip(to).map(Into::into))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Probe as _;
    use crate::memory::Memory;
    use crate::samples::{at, values};

    const MEMINFO: &str = "MemTotal:       24684084 kB\nMemFree:        23552424 kB\n\
        MemAvailable:   24190944 kB\nBuffers:            9852 kB\nCached:           733496 kB\n\
        SwapCached:            0 kB\nSwapTotal:          2048 kB\nSwapFree:           1536 kB\n\
        Shmem:              8872 kB\nSReclaimable:     209132 kB\nSUnreclaim:        33380 kB\n\
        HugePages_Total:       0\n";

    #[test]
    fn a_recorded_machine_gives_its_numbers() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("")).unwrap();
        fs::write(host.proc("meminfo"), MEMINFO).unwrap();
        let vmstat = |faults: u64| {
            format!(
                "pgpgin 1\npswpin 5\npswpout {faults}\npgfault {faults}\npgmajfault 20\npgfault_x 3\n"
            )
        };
        fs::write(host.proc("vmstat"), vmstat(1000)).unwrap();
        let mut memory = Memory::new();
        memory.sample(&host, at(0)).unwrap();
        fs::write(host.proc("vmstat"), vmstat(1300)).unwrap();
        let records = memory.report(&host, at(10)).unwrap();
        let kib = |records: &[_], name: &str, at: usize| values(records, name)[at].1 / 1024.0;
        let usage: Vec<_> = (0..4).map(|at| kib(&records, "system.memory.usage", at)).collect();
        // 24684084 - 23552424 - 9852 - (733496 + 209132)
        assert_eq!(usage, [179_180.0, 23_552_424.0, 9852.0, 942_628.0]);
        let available = [(String::new(), 24_190_944.0 * 1024.0)];
        assert_eq!(values(&records, "system.memory.linux.available"), available);
        let slab = ("unreclaimable".into(), 33_380.0 * 1024.0);
        assert_eq!(values(&records, "system.memory.linux.slab.usage")[1], slab);
        assert_eq!(values(&records, "system.paging.utilization")[0], ("used".into(), 0.25));
        let faults = [("major".into(), 0.0), ("minor".into(), 300.0)];
        assert_eq!(values(&records, "system.paging.faults"), faults);
        let operations = [("in".into(), 0.0), ("out".into(), 300.0)];
        assert_eq!(values(&records, "system.paging.operations"), operations);
    }

    #[test]
    fn a_malformed_table_gives_no_number_and_does_not_panic() {
        for text in ["", "MemTotal:", "MemTotal: many kB\nMemFree: 1 kB", "MemFree: 1 kB\n"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        let huge = format!("MemTotal: {} kB\nMemFree: 1 kB\n", u64::MAX);
        assert_eq!(parse(huge.as_bytes()), None);
        for cut in 0..MEMINFO.len() {
            parse(&MEMINFO.as_bytes()[..cut]);
        }
        assert_eq!(parse_vmstat(b"pgfault 1\npgmajfault 2\npswpin x\npswpout 1"), (None, None));
    }

    #[test]
    fn this_hosts_limit_is_that_of_proc_meminfo() {
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
        let kib: f64 = total.trim().trim_end_matches(" kB").parse().unwrap();
        let records = Memory::new().report(&Host::live(), at(0)).unwrap();
        assert_eq!(values(&records, "system.memory.limit"), [(String::new(), kib * 1024.0)]);
        let sum: f64 = values(&records, "system.memory.usage").iter().map(|(_, n)| n).sum();
        assert!((sum - kib * 1024.0).abs() < 1.0, "the states add up to the limit");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "memory/linux::parse",
            Says::Derived("the page cache and what the kernel can give back are added"),
            &[b"MemTotal: 16318480 kB\nMemFree: 4 kB\nCached: 8 kB\nSReclaimable: 2 kB\n".to_vec()],
            |text: &[u8]| parse(text).map(|told| (told.total, told.free, told.cached)),
        );
        bytes(
            "memory/linux::parse_vmstat",
            Says::Derived("minor faults are a difference"),
            &[b"pgfault 7\npgmajfault 2\npswpin 4\npswpout 5\n".to_vec()],
            parse_vmstat,
        );
    }
}
