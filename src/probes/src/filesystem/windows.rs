//! Windows: what the crate `sysinfo` tells of the volumes.
//!
//! # Invariants
//! - Network drives and removable media without a size are left out; a label is never read.
//!
//! A host without volumes tells none; that is no failure.

use sysinfo::{DiskRefreshKind, Disks};

use super::FileSystem;
use crate::{Host, ProbeError, Whereabouts};

/// Every local volume.
pub(super) fn measure(
    _host: &Host,
    _whereabouts: &Whereabouts,
) -> Result<Vec<FileSystem>, ProbeError> {
    let refresh = DiskRefreshKind::nothing().with_storage();
    let disks = Disks::new_with_refreshed_list_specifics(refresh).map_err(|error| {
        ProbeError::System { what: "the volumes", source: std::io::Error::other(error.to_string()) }
    })?;
    Ok(disks
        .iter()
        .filter_map(|disk| {
            let (all, free) = (disk.total_space(), disk.available_space());
            let mount_point = disk.mount_point().to_str()?.to_owned();
            Some(FileSystem {
                device: mount_point.get(..2).filter(|name| name.ends_with(':')).map(str::to_owned),
                kind: disk.file_system().to_str()?.to_ascii_lowercase(),
                is_read_only: disk.is_read_only(),
                mount_point,
                used: all.checked_sub(free).filter(|_| all > 0)?,
                free,
                reserved: None,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_volume_of_this_host_has_room_for_what_it_holds() {
        for one in measure(&Host::live(), &Whereabouts::default()).unwrap() {
            assert!(one.limit().is_some_and(|limit| limit >= one.used), "{one:?}");
        }
    }
}
