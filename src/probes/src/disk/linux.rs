//! Linux: `/proc/diskstats`, kept open, and `/sys/block` for what a name is.
//!
//! # Invariants
//! - A drive is what has a `device` in `/sys/block/NAME`: neither a partition nor a device that
//!   the kernel stacks on others has one. Optical and floppy drives are left out: they have one,
//!   and asking after their medium can take seconds.
//! - `/proc/diskstats` counts sectors of 512 bytes whatever the drive's own are
//!   (kernel, `Documentation/admin-guide/iostats.rst`).
//! - Nothing here opens a device: a sleeping drive sleeps on.
//!
//! A line that is not as documented is left out.

use super::{COUNTERS, Reading, Tells};
use crate::kept::Kept;
use crate::name::Name;
use crate::roster::Roster;
use crate::scan::{lines, numbers, words};
use crate::{Host, ProbeError};

/// Names that are no drives; the rest is asked about.
const OTHERS: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];

/// Bytes in what the kernel calls a sector here.
const SECTOR: u64 = 512;

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    table: Option<Kept>,
    roster: Roster,
}

impl Reader {
    /// What `/proc/diskstats` tells.
    pub(super) const TELLS: Tells =
        Tells { operations: true, merged: true, times: true, busy: true };

    /// The counters now.
    pub(super) fn read(&mut self, host: &Host, into: &mut Vec<Reading>) -> Result<(), ProbeError> {
        let table = self.table.get_or_insert_with(|| Kept::new(host.proc("diskstats")));
        let text = table.read()?;
        self.roster.begin();
        let roster = &mut self.roster;
        into.extend(lines(text).filter_map(|line| {
            let mut words = words(line).skip(2);
            let name = Name::new(words.next()?)?;
            let is_other = OTHERS.iter().any(|other| name.as_str().starts_with(other));
            if is_other || !roster.follows(name, |name| is_drive(host, name)) {
                return None;
            }
            Some(Reading { name, counters: counters(numbers(&mut words)?)? })
        }));
        self.roster.finish();
        Ok(())
    }

    /// Capacity in bytes.
    #[expect(clippy::unused_self, reason = "Windows' reader needs it")]
    pub(super) fn limit(&self, host: &Host, name: &str) -> Option<u64> {
        host.number(&host.sys(&format!("block/{name}/size")))?.checked_mul(SECTOR)
    }
}

fn is_drive(host: &Host, name: &str) -> bool {
    host.sys(&format!("block/{name}/device")).exists()
}

/// From the kernel's order to that of the probe; sectors become bytes.
fn counters(row: [u64; 10]) -> Option<[u64; COUNTERS]> {
    let [reads, reads_merged, read, read_ms, writes, writes_merged, written, write_ms, _, busy] =
        row;
    let (read, written) = (read.checked_mul(SECTOR)?, written.checked_mul(SECTOR)?);
    Some([reads, reads_merged, read, read_ms, writes, writes_merged, written, write_ms, busy])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Probe as _;
    use crate::disk::Disk;
    use crate::samples::{at, values};

    const DISKSTATS: &str = "   7       0 loop0 9 0 9 0 9 0 9 0 0 9 9\n \
        254       0 vda 38113 9301 5183994 43643 46520 47919 8476456 27518 0 14044 71705 5212 56 1081912 526 413 16\n \
        254       1 vda1 1 1 1 1 1 1 1 1 0 1 1\n 253       0 dm-0 5 5 5 5 5 5 5 5 0 5 5\n";

    fn machine() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("")).unwrap();
        fs::create_dir_all(host.sys("block/vda/device")).unwrap();
        fs::create_dir_all(host.sys("block/dm-0")).unwrap();
        fs::create_dir_all(host.sys("block/loop0")).unwrap();
        fs::write(host.sys("block/vda/size"), "536870912\n").unwrap();
        (root, host)
    }

    #[test]
    fn a_recorded_machine_gives_its_drive_and_neither_partition_nor_stacked_device() {
        let (_root, host) = machine();
        fs::write(host.proc("diskstats"), DISKSTATS).unwrap();
        let mut disk = Disk::new();
        disk.sample(&host, at(0)).unwrap();
        let later = DISKSTATS.replace("38113 9301 5183994", "38115 9301 5184010");
        fs::write(host.proc("diskstats"), later).unwrap();
        let records = disk.report(&host, at(10)).unwrap();
        // 16 sectors of 512 bytes in two operations.
        let io = [("vda read".into(), 8192.0), ("vda write".into(), 0.0)];
        assert_eq!(values(&records, "system.disk.io"), io);
        assert_eq!(values(&records, "system.disk.operations")[0], ("vda read".into(), 2.0));
        let limit = [("vda".into(), 536_870_912.0 * 512.0)];
        assert_eq!(values(&records, "system.disk.limit"), limit);
    }

    #[test]
    fn a_malformed_line_is_left_out_and_does_not_panic() {
        let (_root, host) = machine();
        let huge = u64::MAX;
        for line in ["254 0 vda", "254 0 vda 1 2 3", "254 0 vda x 1 1 1 1 1 1 1 1 1 1", "\u{fffd}"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("254 0 vda 1 1 {huge} 1 1 1 1 1 1 1 1")])
        {
            fs::write(host.proc("diskstats"), &line).unwrap();
            let mut readings = Vec::new();
            Reader::default().read(&host, &mut readings).unwrap();
            assert_eq!(readings, [], "{line}");
        }
        for cut in 0..DISKSTATS.len() {
            fs::write(host.proc("diskstats"), &DISKSTATS[..cut]).unwrap();
            Reader::default().read(&host, &mut Vec::new()).unwrap();
        }
    }

    #[test]
    fn this_hosts_drives_are_those_with_a_device() {
        let mut readings = Vec::new();
        Reader::default().read(&Host::live(), &mut readings).unwrap();
        for reading in &readings {
            let name = reading.name.as_str();
            assert!(
                std::path::Path::new("/sys/block").join(name).join("device").exists(),
                "{name}"
            );
        }
    }
}
