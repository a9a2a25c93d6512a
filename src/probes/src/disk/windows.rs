//! Windows: what the driver of each physical drive counts.
//!
//! # Invariants
//! - A drive is opened without any right to it, and its driver asked for numbers that it keeps in memory.
//! - A drive is named by its number; no label or serial number is read.
//!
//! A host without drives, or whose drivers do not count, tells none; that is no failure.

use candor_platform::Device;

use super::performance::counters;
use super::{MAX_DISKS, Reading, Tells};
use crate::bytes::number;
use crate::drives::physical;
use crate::name::Name;
use crate::{Host, ProbeError};

const PERFORMANCE: u32 = 0x0007_0020;
const GEOMETRY_EX: u32 = 0x0007_00A0;

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Kept open: a drive that comes later is followed from the next start of the level on.
    drives: Option<Vec<(Name, Device)>>,
}

impl Reader {
    /// What the drivers count.
    pub(super) const TELLS: Tells =
        Tells { operations: true, merged: false, times: true, busy: false };

    /// The counters now.
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
    pub(super) fn read(&mut self, host: &Host, into: &mut Vec<Reading>) -> Result<(), ProbeError> {
        let open = || host.is_live().then(drives).unwrap_or_default();
        let drives = self.drives.get_or_insert_with(open);
        into.extend(drives.iter().filter_map(|(name, drive)| {
            let counters = counters(&drive.ask(PERFORMANCE, &[], 128)?)?;
            Some(Reading { name: *name, counters })
        }));
        Ok(())
    }

    /// Capacity in bytes.
    pub(super) fn limit(&self, _host: &Host, name: &str) -> Option<u64> {
        let mut drives = self.drives.iter().flatten();
        let (_, drive) = drives.find(|(known, _)| known.as_str() == name)?;
        number::<8>(&drive.ask(GEOMETRY_EX, &[], 256)?, 0x18).filter(|bytes| *bytes > 0)
    }
}

fn drives() -> Vec<(Name, Device)> {
    let named =
        |(number, drive)| Some((Name::new(format!("PhysicalDrive{number}").as_bytes())?, drive));
    physical().filter_map(named).take(MAX_DISKS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_hosts_drives_can_be_read() {
        let mut readings = Vec::new();
        Reader::default().read(&Host::live(), &mut readings).unwrap();
        assert!(readings.iter().all(|one| one.name.as_str().starts_with("PhysicalDrive")));
    }
}
