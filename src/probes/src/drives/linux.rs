//! The drives as Linux shows them: one directory each in `sys/block`.
//!
//! # Invariants
//! - Only attributes that the kernel keeps in memory; no device node is opened.

use std::path::PathBuf;

use candor_model::events::device::{Drive, DriveBus, DriveKind};

use super::family;
use crate::Host;
use crate::filler::fact;

/// The unit of `size`, whatever the drive's sectors are.
const SIZE_UNIT: u64 = 512;

/// Names, up to their number, of block devices that are no drives.
const NO_DRIVES: [&str; 13] =
    ["loop", "ram", "zram", "dm-", "md", "md_d", "nbd", "rbd", "drbd", "zd", "sr", "fd", "bcache"];

pub(super) fn drives(host: &Host) -> Option<Vec<Drive>> {
    let directory = host.sys("block");
    directory.exists().then(|| {
        let names = host.names(&directory);
        names.iter().filter_map(|name| Block::open(host, name)).map(|drive| drive.tell()).collect()
    })
}

/// Each drive with its name in `dev`.
pub(crate) fn named(host: &Host) -> Vec<(String, Drive)> {
    let names = host.names(&host.sys("block")).into_iter();
    let drive = |name: String| {
        Block::open(host, &name).map(|drive| drive.tell()).map(|drive| (name, drive))
    };
    names.filter_map(drive).collect()
}

/// One drive's directory.
struct Block<'a> {
    host: &'a Host,
    name: &'a str,
    directory: PathBuf,
    /// Where it hangs, as a path; empty where a recorded machine does not tell.
    place: String,
    size: u64,
}

impl<'a> Block<'a> {
    /// The drive of a name, or `None` when it is none, or has no medium.
    fn open(host: &'a Host, name: &'a str) -> Option<Self> {
        let directory = host.sys("block").join(name);
        let sectors = host.number(&directory.join("size")).filter(|sectors| *sectors > 0)?;
        let place = host.leads_to(&directory)?.to_string_lossy().into_owned();
        let is_layer =
            ["partition", "dm", "md", "loop"].iter().any(|entry| directory.join(entry).exists());
        let is_hidden = host.number(&directory.join("hidden")) == Some(1);
        let is_software = place.contains("devices/virtual/block/");
        let is_drive = !is_layer && !is_hidden && !is_software && !is_no_drive(name);
        let size = sectors.checked_mul(SIZE_UNIT)?;
        is_drive.then_some(Self { host, name, directory, place, size })
    }

    fn tell(&self) -> Drive {
        let bus = self.bus();
        Drive {
            kind: self.kind(bus),
            bus,
            size: Some(self.size),
            sector_size: self.number("queue/logical_block_size"),
            physical_sector_size: self.number("queue/physical_block_size"),
            model_family: self.model().map(|model| family(&model).to_owned()),
        }
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.host.number(&self.directory.join(file))
    }

    fn text(&self, file: &str) -> Option<String> {
        fact(&self.host.text(&self.directory.join(file))?)
    }

    fn kind(&self, bus: Option<DriveBus>) -> Option<DriveKind> {
        if self.number("removable") == Some(1) {
            return Some(DriveKind::Removable);
        }
        match bus {
            Some(DriveBus::Nvme) => return Some(DriveKind::Nvme),
            Some(DriveBus::Virtio | DriveBus::Xen | DriveBus::Vmbus | DriveBus::Pvscsi) => {
                return Some(DriveKind::Virtual);
            }
            _ => {}
        }
        match self.number("queue/rotational")? {
            0 => Some(DriveKind::Ssd),
            _ => Some(DriveKind::Hdd),
        }
    }

    /// By name where a driver has its own names, else by the parts of the place.
    fn bus(&self) -> Option<DriveBus> {
        let named = [
            ("nvme", DriveBus::Nvme),
            ("mmcblk", DriveBus::Mmc),
            ("vd", DriveBus::Virtio),
            ("xvd", DriveBus::Xen),
        ];
        let named = named.into_iter().find(|(prefix, _)| self.name.starts_with(prefix));
        named.map(|(_, bus)| bus).or_else(|| self.scsi_bus())
    }

    fn scsi_bus(&self) -> Option<DriveBus> {
        let parts: Vec<&str> = self.place.split('/').collect();
        let has = |prefix: &str| parts.iter().any(|part| part.starts_with(prefix));
        let is_ata = |part: &&str| {
            let number = part.strip_prefix("ata").unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        Some(match () {
            () if has("virtio") => DriveBus::Virtio,
            () if has("VMBUS") || has("vmbus") => DriveBus::Vmbus,
            () if has("usb") => DriveBus::Usb,
            () if parts.iter().any(is_ata) => DriveBus::Ata,
            () if has("end_device-") => DriveBus::Sas,
            () if parts.iter().any(|part| part.contains("ufshc")) => DriveBus::Ufs,
            () if self.is_pvscsi(&parts) => DriveBus::Pvscsi,
            () if has("target") => DriveBus::Scsi,
            () => return None,
        })
    }

    /// `VMware`'s adapter gives itself away by the name of its driver.
    fn is_pvscsi(&self, parts: &[&str]) -> bool {
        let host_number = |part: &&&str| {
            let number = part.strip_prefix("host").unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        let Some(adapter) = parts.iter().find(host_number) else { return false };
        let directory = self.host.sys("class/scsi_host").join(adapter);
        self.host.text(&directory.join("proc_name")).as_deref() == Some("vmw_pvscsi")
    }

    /// `device/model` with its vendor, which for ATA drives is only the word `ATA`, and which some
    /// models begin with already; cards and eMMC have a `device/name`.
    fn model(&self) -> Option<String> {
        let Some(model) = self.text("device/model") else { return self.text("device/name") };
        match self.text("device/vendor") {
            Some(vendor) if vendor != "ATA" && !model.starts_with(&vendor) => {
                Some(format!("{vendor} {model}"))
            }
            _ => Some(model),
        }
    }
}

fn is_no_drive(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_boot_part =
        name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    is_boot_part || NO_DRIVES.contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_layers_and_memory_disks_are_told_from_drives() {
        for name in ["loop0", "dm-12", "md127", "zram0", "sr0", "mmcblk0boot1", "mmcblk1rpmb"] {
            assert!(is_no_drive(name), "{name}");
        }
        for name in ["sda", "sdaa", "nvme0n1", "vda", "xvda", "mmcblk0"] {
            assert!(!is_no_drive(name), "{name}");
        }
    }
}
