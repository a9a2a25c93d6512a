//! `candor.device.storage`: how many drives there are, and what each is.
//!
//! Linux reads `sys/block`; Windows asks each drive's driver what it remembers.
//!
//! # Invariants
//! - No drive is read or asked: what the kernel or the driver remembers is enough, and wakes nothing.
//! - No name, serial number or world-wide name of a drive is read.
//! - Partitions, volumes, arrays, loop devices and memory disks are no drives; removable media are listed and
//!   not counted.
//!
//! Nothing here fails: what is not there is absent.

use candor_model::events::device::{Drive, DriveKind, Storage};
use candor_model::{Level, Record};

use crate::probe::record;
use crate::{Change, Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(not(windows))]
#[path = "drives/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "drives/windows.rs"]
mod os;
#[cfg_attr(not(any(windows, test)), expect(dead_code, reason = "only Windows' drivers answer so"))]
mod storage;

/// The most drives that are listed; all that are fixed are counted.
const MAX_LISTED: usize = 256;

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct Drives;

impl Probe for Drives {
    fn name(&self) -> &'static str {
        "drives"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn wakes_on(&self) -> &'static [Change] {
        &[Change::Hardware]
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        Ok(os::drives(host).map(storage).map_or_else(Vec::new, record))
    }
}

/// Each drive with the name of its device, which stays on the host: for who asks the drive itself.
#[cfg(not(windows))]
pub(crate) use os::named;
/// Each physical drive, open without any right to it.
#[cfg(windows)]
pub(crate) use os::physical;

/// A stick or a card is listed as what it is, and is no drive of the machine.
fn storage(mut drives: Vec<Drive>) -> Storage {
    let is_fixed = |drive: &&Drive| drive.kind != Some(DriveKind::Removable);
    let count = u32::try_from(drives.iter().filter(is_fixed).count()).ok();
    drives.truncate(MAX_LISTED);
    Storage { count, drives: Some(drives) }
}

/// A model without the suffix that tells the variant for one maker or region:
/// `SAMSUNG MZVL21T0HCLR-00B00` becomes `SAMSUNG MZVL21T0HCLR`.
fn family(model: &str) -> &str {
    let start = model.rfind(' ').map_or(0, |space| space + 1);
    let word = &model[start..];
    let Some(dash) = word.find('-') else { return model };
    let stem = &word[..dash];
    let is_number = stem.len() >= 5 && stem.bytes().any(|byte| byte.is_ascii_digit());
    if is_number { &model[..start + dash] } else { model }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removable_media_are_listed_and_not_counted() {
        let of = |kind| Drive { kind, ..Drive::default() };
        let drives = vec![of(Some(DriveKind::Removable)), of(Some(DriveKind::Hdd)), of(None)];
        let storage = storage(drives.clone());
        assert_eq!((storage.count, storage.drives), (Some(2), Some(drives)));
    }

    #[test]
    fn the_variant_is_cut_off_and_nothing_else() {
        assert_eq!(family("SAMSUNG MZVL21T0HCLR-00B00"), "SAMSUNG MZVL21T0HCLR");
        assert_eq!(family("WDC WD40EFRX-68N32N0"), "WDC WD40EFRX");
        assert_eq!(family("Samsung SSD 970 EVO Plus 1TB"), "Samsung SSD 970 EVO Plus 1TB");
        assert_eq!(family("PC-SN730"), "PC-SN730");
        assert_eq!(family("KXG60ZNV512G"), "KXG60ZNV512G");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "drives::family",
            Says::Stands,
            &["WDC WD40EFRX-68N32N0", "Samsung SSD 980 PRO 1TB"],
            |model| family(model).to_owned(),
        );
    }
}
