//! What Windows' storage drivers answer of a drive, from bytes alone: the same everywhere.
//!
//! ```text
//! STORAGE_DEVICE_DESCRIPTOR   0x0A removable u8 | 0x0C, 0x10 offsets of vendor, product u32 | 0x1C bus u32
//! DEVICE_SEEK_PENALTY_…       0x08 penalty u8
//! STORAGE_ACCESS_ALIGNMENT_…  0x10 logical, 0x14 physical sector u32
//! DISK_GEOMETRY_EX            0x14 sector u32 | 0x18 size u64
//! ```
//! Little-endian throughout; winioctl.h, ntddstor.h.
//!
//! # Invariants
//! - Neither the serial number nor the revision is looked at.
//! - A field beyond the answer's end, or with the value for unknown, is absent.

use candor_model::events::device::{Drive, DriveBus, DriveKind};

use super::family;
use crate::bytes::number;
use crate::filler::fact;

/// What one drive answered; an answer that it did not give is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    pub(super) descriptor: Vec<u8>,
    pub(super) seek_penalty: Vec<u8>,
    pub(super) alignment: Vec<u8>,
    pub(super) geometry: Vec<u8>,
}

/// Buses of what is no drive: a file as a drive, a pool of drives, a memory disk.
const NO_DRIVES: [u64; 3] = [0x0E, 0x0F, 0x10];

impl Answers {
    /// The drive; `None` where these are the answers of something else.
    pub(super) fn drive(&self) -> Option<Drive> {
        let bus = number::<4>(&self.descriptor, 0x1C)?;
        let (vendor, product) = (self.text(0x0C), self.text(0x10));
        let paravirtual = paravirtual(vendor.as_deref(), product.as_deref());
        if paravirtual.is_none() && NO_DRIVES.contains(&bus) {
            return None;
        }
        let bus = paravirtual.or_else(|| named(bus));
        Some(Drive {
            kind: self.kind(bus),
            bus,
            size: number::<8>(&self.geometry, 0x18).filter(|bytes| *bytes > 0),
            sector_size: self.sector(0x10).or_else(|| sector(&self.geometry, 0x14)),
            physical_sector_size: self.sector(0x14),
            model_family: model(vendor, product).map(|model| family(&model).to_owned()),
        })
    }

    fn kind(&self, bus: Option<DriveBus>) -> Option<DriveKind> {
        if self.descriptor.get(0x0A).is_some_and(|removable| *removable != 0) {
            return Some(DriveKind::Removable);
        }
        match bus {
            Some(DriveBus::Nvme) => Some(DriveKind::Nvme),
            Some(DriveBus::Virtio | DriveBus::Xen | DriveBus::Vmbus | DriveBus::Pvscsi) => {
                Some(DriveKind::Virtual)
            }
            _ => match self.seek_penalty.get(8)? {
                0 => Some(DriveKind::Ssd),
                _ => Some(DriveKind::Hdd),
            },
        }
    }

    fn sector(&self, offset: usize) -> Option<u64> {
        sector(&self.alignment, offset)
    }

    /// The text at the offset that stands at this offset; it ends with a zero.
    fn text(&self, at: usize) -> Option<String> {
        let start = usize::try_from(number::<4>(&self.descriptor, at)?).ok()?;
        let text = self.descriptor.get(start..).filter(|_| start > 0)?;
        let text = text.split(|byte| *byte == 0).next()?;
        fact(&String::from_utf8_lossy(text))
    }
}

/// A sector is a power of two from 512 bytes on.
fn sector(answer: &[u8], offset: usize) -> Option<u64> {
    number::<4>(answer, offset).filter(|bytes| *bytes >= 512 && bytes.is_power_of_two())
}

/// What a hypervisor's own drivers call their drives; their bus is one that they made up.
fn paravirtual(vendor: Option<&str>, product: Option<&str>) -> Option<DriveBus> {
    let (vendor, product) = (vendor.unwrap_or_default(), product.unwrap_or_default());
    match (vendor, product) {
        ("Msft", "Virtual Disk") => Some(DriveBus::Vmbus),
        ("Red Hat", "VirtIO") => Some(DriveBus::Virtio),
        ("XENSRC" | "AWS", "PVDISK") => Some(DriveBus::Xen),
        _ => None,
    }
}

/// `STORAGE_BUS_TYPE`.
fn named(bus: u64) -> Option<DriveBus> {
    Some(match bus {
        0x01 | 0x08 | 0x06 | 0x09 => DriveBus::Scsi,
        0x02 | 0x03 | 0x0B => DriveBus::Ata,
        0x07 => DriveBus::Usb,
        0x0A => DriveBus::Sas,
        0x0C | 0x0D => DriveBus::Mmc,
        0x11 | 0x14 => DriveBus::Nvme,
        0x13 => DriveBus::Ufs,
        _ => return None,
    })
}

/// With its vendor, which for ATA and `NVMe` drives is only the bus' name, and which some products
/// begin with already.
fn model(vendor: Option<String>, product: Option<String>) -> Option<String> {
    let product = product?;
    match vendor {
        Some(vendor)
            if !matches!(vendor.as_str(), "ATA" | "NVMe") && !product.starts_with(&vendor) =>
        {
            Some(format!("{vendor} {product}"))
        }
        _ => Some(product),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(bus: u8, removable: bool, vendor: &str, product: &str) -> Vec<u8> {
        let mut data = vec![0; 0x28];
        data[0x0A] = removable.into();
        data[0x1C] = bus;
        for (offset, text) in [(0x0C, vendor), (0x10, product), (0x18, "SERIAL0001")] {
            if !text.is_empty() {
                data[offset] = u8::try_from(data.len()).unwrap();
                data.extend_from_slice(text.as_bytes());
                data.push(0);
            }
        }
        data
    }

    fn answers(bus: u8, vendor: &str, product: &str, penalty: u8) -> Answers {
        let mut alignment = vec![0; 0x1C];
        alignment[0x10..0x14].copy_from_slice(&512u32.to_le_bytes());
        alignment[0x14..0x18].copy_from_slice(&4096u32.to_le_bytes());
        let mut geometry = vec![0; 0x20];
        geometry[0x14..0x18].copy_from_slice(&512u32.to_le_bytes());
        geometry[0x18..].copy_from_slice(&1_000_204_886_016u64.to_le_bytes());
        Answers {
            descriptor: descriptor(bus, false, vendor, product),
            seek_penalty: [&[1, 0, 0, 0, 12, 0, 0, 0][..], &[penalty, 0, 0, 0]].concat(),
            alignment,
            geometry,
        }
    }

    #[test]
    fn a_turning_drive_tells_all_but_its_serial_number() {
        let drive = answers(0x0B, "", "WDC WD10EZEX-08WN4A0", 1).drive().unwrap();
        let expected = Drive {
            kind: Some(DriveKind::Hdd),
            bus: Some(DriveBus::Ata),
            size: Some(1_000_204_886_016),
            sector_size: Some(512),
            physical_sector_size: Some(4096),
            model_family: Some("WDC WD10EZEX".to_owned()),
        };
        assert_eq!(drive, expected);
    }

    #[test]
    fn the_bus_and_the_seek_penalty_make_the_kind() {
        let told = |bus, vendor, product, penalty| {
            let drive = answers(bus, vendor, product, penalty).drive().unwrap();
            (drive.kind, drive.bus, drive.model_family)
        };
        let text = |text: &str| Some(text.to_owned());
        let nvme = (Some(DriveKind::Nvme), Some(DriveBus::Nvme), text("SAMSUNG MZVL21T0HCLR"));
        assert_eq!(told(0x11, "NVMe", "SAMSUNG MZVL21T0HCLR-00B00", 0), nvme);
        let ssd = (Some(DriveKind::Ssd), Some(DriveBus::Sas), text("SEAGATE XS3840TE70014"));
        assert_eq!(told(0x0A, "SEAGATE", "XS3840TE70014", 0), ssd);
        let guest = (Some(DriveKind::Virtual), Some(DriveBus::Vmbus), text("Msft Virtual Disk"));
        assert_eq!(told(0x0A, "Msft", "Virtual Disk", 0), guest);
        let virtio = (Some(DriveKind::Virtual), Some(DriveBus::Virtio), text("Red Hat VirtIO"));
        assert_eq!(told(0x01, "Red Hat", "VirtIO", 1), virtio);
    }

    #[test]
    fn what_is_made_of_files_or_of_drives_is_no_drive() {
        for bus in [0x0E, 0x0F, 0x10] {
            assert_eq!(answers(bus, "Msft", "Storage Space", 0).drive(), None, "{bus}");
        }
        assert!(answers(0x0F, "Msft", "Virtual Disk", 0).drive().is_some(), "a guest's own");
    }

    #[test]
    fn a_stick_is_removable_whatever_its_bus() {
        let stick = Answers {
            descriptor: descriptor(0x07, true, "Kingston", "DataTraveler 3.0"),
            ..Answers::default()
        };
        let drive = stick.drive().unwrap();
        assert_eq!((drive.kind, drive.bus), (Some(DriveKind::Removable), Some(DriveBus::Usb)));
        assert_eq!((drive.size, drive.sector_size), (None, None));
    }

    #[test]
    fn torn_answers_tell_what_is_left() {
        assert_eq!(Answers::default().drive(), None);
        let whole = answers(0x0B, "x", "Some Drive 1000", 1);
        for cut in 0x20..whole.descriptor.len() {
            let torn = Answers { descriptor: whole.descriptor[..cut].to_vec(), ..whole.clone() };
            assert!(torn.drive().is_some(), "{cut}");
        }
        for cut in 0..whole.geometry.len() {
            let torn = Answers { geometry: whole.geometry[..cut].to_vec(), ..whole.clone() };
            assert_eq!(torn.drive().unwrap().size, None, "{cut}");
        }
        let odd = Answers { alignment: vec![7; 0x1C], geometry: vec![], ..whole };
        assert_eq!(odd.drive().unwrap().sector_size, None, "no power of two");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        let whole = answers(0x11, "Msft", "Virtual Disk", 1);
        bytes(
            "drives/storage::drive",
            Says::Derived("bytes as numbers"),
            &[whole.descriptor, whole.seek_penalty, whole.alignment, whole.geometry],
            |answer: &[u8]| {
                let of = |answer: &[u8]| answer.to_vec();
                let (descriptor, seek_penalty) = (of(answer), of(answer));
                Answers { descriptor, seek_penalty, alignment: of(answer), geometry: of(answer) }
                    .drive()
            },
        );
    }
}
