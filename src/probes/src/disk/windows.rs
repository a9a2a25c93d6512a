//! Windows: what the crate `sysinfo` tells of the volumes.
//!
//! # Invariants
//! - `sysinfo` counts bytes only, so there are neither operations nor times here.
//! - A volume is named by its drive letter; its label, which a person chose, is not read.
//!
//! A host without volumes tells none; that is no failure.

use std::path::Path;

use sysinfo::{DiskRefreshKind, Disks};

use super::{COUNTERS, Reading, Tells};
use crate::name::Name;
use crate::{Host, ProbeError};

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    disks: Option<Disks>,
}

impl Reader {
    /// What `sysinfo` tells.
    pub(super) const TELLS: Tells = Tells { operations: false, times: false };

    /// The counters now.
    pub(super) fn read(&mut self, _host: &Host, into: &mut Vec<Reading>) -> Result<(), ProbeError> {
        let disks = match self.disks.take() {
            Some(disks) => disks,
            None => Disks::new().map_err(|error| ProbeError::System {
                what: "the volumes",
                source: std::io::Error::other(error.to_string()),
            })?,
        };
        let disks = self.disks.insert(disks);
        disks.refresh_specifics(true, DiskRefreshKind::nothing().with_io_usage().with_storage());
        into.extend(disks.iter().filter_map(|disk| {
            let usage = disk.usage();
            let mut counters = [0; COUNTERS];
            counters[super::BYTES[0]] = usage.total_read_bytes;
            counters[super::BYTES[1]] = usage.total_written_bytes;
            Some(Reading { name: letter(disk.mount_point())?, counters })
        }));
        Ok(())
    }

    /// Capacity in bytes.
    pub(super) fn limit(&self, _host: &Host, name: &str) -> Option<u64> {
        let disks = self.disks.as_ref()?;
        let named = |path: &Path| letter(path).is_some_and(|letter| letter.as_str() == name);
        let disk = disks.iter().find(|disk| named(disk.mount_point()))?;
        Some(disk.total_space()).filter(|bytes| *bytes > 0)
    }
}

/// `C:` of `C:\`; a volume that is mounted in a folder has no letter and is not told.
fn letter(path: &Path) -> Option<Name> {
    let text = path.to_str()?.strip_suffix('\\')?;
    (text.len() == 2 && text.ends_with(':')).then(|| Name::new(text.as_bytes()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_drive_letter_names_a_volume() {
        let named = |path: &str| letter(Path::new(path)).map(|name| name.as_str().to_owned());
        assert_eq!(named("C:\\").as_deref(), Some("C:"));
        for path in ["C:\\Users\\jane\\disk\\", "C:", "", "\\"] {
            assert_eq!(named(path), None, "{path}");
        }
    }

    #[test]
    fn this_hosts_volumes_can_be_read() {
        let mut readings = Vec::new();
        Reader::default().read(&Host::live(), &mut readings).unwrap();
    }
}
