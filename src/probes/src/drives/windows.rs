//! The drives as Windows shows them: what the storage drivers remember of each physical drive.
//!
//! # Invariants
//! - A drive is opened without any right to it, and asked only for what its driver keeps in memory:
//!   nothing is read from it and nothing wakes it.
//! - A recorded machine is not this one: nothing is told of it here.

use candor_model::events::device::Drive;
use candor_platform::Device;

use super::storage::Answers;
use crate::Host;

const QUERY_PROPERTY: u32 = 0x002D_1400;
const DRIVE_GEOMETRY_EX: u32 = 0x0007_00A0;

/// `STORAGE_PROPERTY_ID`.
const DEVICE: u32 = 0;
const ACCESS_ALIGNMENT: u32 = 6;
const SEEK_PENALTY: u32 = 7;

/// Numbers stay free where a drive was taken out.
const MAX_GAP: u32 = 16;
const MAX_NUMBER: u32 = 512;

pub(super) fn drives(host: &Host) -> Option<Vec<Drive>> {
    host.is_live().then(|| physical().filter_map(|(_, drive)| answers(&drive).drive()).collect())
}

/// Each physical drive with its number.
pub(crate) fn physical() -> impl Iterator<Item = (u32, Device)> {
    let mut last = 0;
    (0..MAX_NUMBER)
        .map(|number| (number, Device::open(&format!(r"\\.\PhysicalDrive{number}"))))
        .take_while(move |(number, device)| {
            if device.is_some() {
                last = *number;
            }
            number - last <= MAX_GAP
        })
        .filter_map(|(number, device)| Some((number, device?)))
}

fn answers(drive: &Device) -> Answers {
    let property = |id: u32, room| {
        let query = [id.to_le_bytes(), [0; 4], [0; 4]].concat();
        drive.ask(QUERY_PROPERTY, &query, room).unwrap_or_default()
    };
    Answers {
        descriptor: property(DEVICE, 1024),
        seek_penalty: property(SEEK_PENALTY, 12),
        alignment: property(ACCESS_ALIGNMENT, 28),
        geometry: drive.ask(DRIVE_GEOMETRY_EX, &[], 256).unwrap_or_default(),
    }
}
