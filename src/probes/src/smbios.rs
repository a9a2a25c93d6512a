//! The memory modules and the chassis in an SMBIOS table, from bytes alone: Linux reads the table from
//! `sys/firmware/dmi/tables/DMI`, Windows gets it from `GetSystemFirmwareTable`.
//!
//! ```text
//! structure   type u8 | length u8 | handle u16 | fields up to length | strings, each with NUL | NUL
//! type 3      0x05 kind u8 (top bit: lock)
//! type 17     0x0C size u16 (MiB; top bit: KiB; 0x7FFF: see 0x1C; 0xFFFF: unknown; 0: empty slot)
//!             0x12 kind u8 | 0x15 speed u16 | 0x1C extended size u32 (MiB) | 0x20 set speed u16
//!             0x54 extended speed u32 | 0x58 extended set speed u32 (a speed of 0xFFFF: see these)
//! type 127    the end
//! ```
//! Little-endian throughout; DMTF DSP0134, 7.4 and 7.18.
//!
//! # Invariants
//! - No string of the table is read: serial numbers and asset tags are among them.
//! - A field beyond its structure's length, or with the value for unknown, is absent.
//!
//! A damaged table gives the modules before the damage; a loop always moves on.

use candor_model::events::device::Module;

use crate::bytes::number;

const CHASSIS: u8 = 3;
const MEMORY_DEVICE: u8 = 17;
const END: u8 = 127;
const HEADER_BYTES: usize = 4;

/// The table in what `GetSystemFirmwareTable` gives for `RSMB`: four bytes of versions, the length
/// of the table, the table.
#[cfg_attr(not(any(windows, test)), expect(dead_code, reason = "only Windows wraps the table"))]
pub(crate) fn unwrap_raw(raw: &[u8]) -> Option<&[u8]> {
    let length = usize::try_from(number::<4>(raw, 4)?).ok()?;
    raw.get(8..)?.get(..length)
}

/// The occupied slots; `None` when the table lists no slot at all.
pub(crate) fn modules(table: &[u8]) -> Option<Vec<Module>> {
    let slots: Vec<_> = structures(table).filter(|data| data[0] == MEMORY_DEVICE).collect();
    let occupied = slots.iter().filter(|slot| number::<2>(slot, 0x0C) != Some(0));
    (!slots.is_empty()).then(|| occupied.map(|slot| module(slot)).collect())
}

/// Their sizes together; `None` when one does not tell its size.
pub(crate) fn installed(modules: &[Module]) -> Option<u64> {
    let sizes: Option<Vec<_>> = modules.iter().map(|module| module.size).collect();
    sizes.map(|sizes| sizes.iter().sum()).filter(|sum| *sum > 0)
}

/// The number of the first chassis, which is the machine's.
#[cfg_attr(not(any(windows, test)), expect(dead_code, reason = "Linux keeps it in a file"))]
pub(crate) fn chassis(table: &[u8]) -> Option<u64> {
    let chassis = structures(table).find(|data| data[0] == CHASSIS)?;
    number::<1>(chassis, 5)
}

/// A table of what is read here, the modules and the chassis, without its strings: for a recording.
#[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "only Linux' files are recorded"))]
pub(crate) fn without_strings(table: &[u8]) -> Vec<u8> {
    let is_read = |data: &&[u8]| matches!(data[0], CHASSIS | MEMORY_DEVICE);
    let mut kept = Vec::new();
    for data in structures(table).filter(is_read) {
        kept.extend_from_slice(data);
        kept.extend_from_slice(&[0, 0]);
    }
    kept.extend_from_slice(&[END, 4, 0, 0, 0, 0]);
    kept
}

/// The formatted part of each structure, without its strings.
fn structures(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = table;
    std::iter::from_fn(move || {
        let length = usize::from(*rest.get(1)?);
        let data = rest.get(..length).filter(|data| data.len() >= HEADER_BYTES)?;
        let strings = rest.get(length..)?;
        let end = strings.windows(2).position(|pair| pair == [0, 0]);
        rest = end.and_then(|end| strings.get(end + 2..)).unwrap_or_default();
        (data[0] != END).then_some(data)
    })
}

fn module(slot: &[u8]) -> Module {
    let speed = |short, extended| match number::<2>(slot, short)? {
        0 => None,
        0xFFFF => number::<4>(slot, extended).filter(|speed| *speed > 0),
        speed => Some(speed),
    };
    // The speed that was set, else the one that the module could have. In millions of transfers.
    let speed = speed(0x20, 0x58).or_else(|| speed(0x15, 0x54));
    Module {
        size: size(slot),
        kind: slot.get(0x12).and_then(|kind| name(*kind)),
        speed: speed.map(|speed| speed * 1_000_000),
    }
}

fn size(slot: &[u8]) -> Option<u64> {
    match number::<2>(slot, 0x0C)? {
        0 | 0xFFFF => None,
        // The top bit of the extended size is reserved.
        0x7FFF => number::<4>(slot, 0x1C).map(|mib| (mib & 0x7FFF_FFFF) << 20),
        kib if kib & 0x8000 != 0 => Some((kib & 0x7FFF) << 10),
        mib => Some(mib << 20),
    }
}

/// Kinds of memory, DSP0134 7.18.2.
fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0x03 => "dram",
        0x07 => "ram",
        0x0F => "sdram",
        0x12 => "ddr",
        0x13 => "ddr2",
        0x18 => "ddr3",
        0x1A => "ddr4",
        0x1B => "lpddr",
        0x1C => "lpddr2",
        0x1D => "lpddr3",
        0x1E => "lpddr4",
        0x1F => "nvdimm",
        0x20 => "hbm",
        0x21 => "hbm2",
        0x22 => "ddr5",
        0x23 => "lpddr5",
        0x24 => "hbm3",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type 17 structure of SMBIOS 3.3 with its strings.
    fn slot(size: u16, kind: u8, speed: u16, set: u16, extended: u32) -> Vec<u8> {
        let mut data = vec![0; 0x5C];
        data[..4].copy_from_slice(&[MEMORY_DEVICE, 0x5C, 0x11, 0x00]);
        data[0x0C..0x0E].copy_from_slice(&size.to_le_bytes());
        data[0x12] = kind;
        data[0x15..0x17].copy_from_slice(&speed.to_le_bytes());
        data[0x1C..0x20].copy_from_slice(&extended.to_le_bytes());
        data[0x20..0x22].copy_from_slice(&set.to_le_bytes());
        data[0x58..0x5C].copy_from_slice(&70_000u32.to_le_bytes());
        data.extend_from_slice(b"DIMM A1\0SERIAL123\0\0");
        data
    }

    fn table(slots: &[Vec<u8>]) -> Vec<u8> {
        let mut table = vec![1, 4, 1, 0, 0, 0];
        table.extend(slots.iter().flatten());
        table.extend_from_slice(&[END, 4, 2, 0, 0, 0]);
        table
    }

    #[test]
    fn modules_are_read_and_empty_slots_are_not_modules() {
        let slots = [slot(16_384, 0x1A, 3200, 2933, 0), slot(0, 0x02, 0, 0, 0)];
        let modules = modules(&table(&slots)).unwrap();
        let expected =
            Module { size: Some(16 << 30), kind: Some("ddr4"), speed: Some(2_933_000_000) };
        assert_eq!(modules, [expected]);
        assert_eq!(installed(&modules), Some(16 << 30));
    }

    #[test]
    fn large_small_and_fast_modules_use_their_other_fields() {
        let slots = [
            slot(0x7FFF, 0x22, 0, 0xFFFF, 65_536),
            slot(0x8000 | 512, 0x0F, 133, 0, 0),
            slot(0xFFFF, 0x02, 0, 0, 0),
        ];
        let modules = modules(&table(&slots)).unwrap();
        assert_eq!((modules[0].size, modules[0].speed), (Some(64 << 30), Some(70_000_000_000)));
        assert_eq!((modules[1].size, modules[1].speed), (Some(512 << 10), Some(133_000_000)));
        assert_eq!(modules[2], Module::default());
        assert_eq!(installed(&modules), None, "one module does not tell its size");
    }

    #[test]
    fn a_table_without_slots_and_damage_tell_nothing() {
        assert_eq!(modules(&table(&[])), None);
        assert_eq!(modules(&[]), None);
        let whole = table(&[slot(1024, 0x1A, 0, 0, 0), slot(1024, 0x1A, 0, 0, 0)]);
        for cut in 0..whole.len() {
            let count = modules(&whole[..cut]).map_or(0, |modules| modules.len());
            assert!(count <= 2, "{cut}");
        }
        assert_eq!(modules(&[MEMORY_DEVICE, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn the_table_of_windows_is_unwrapped_by_its_own_length() {
        assert_eq!(unwrap_raw(&[0, 3, 3, 0, 2, 0, 0, 0, 7, 8, 9]), Some(&[7, 8][..]));
        assert_eq!(unwrap_raw(&[0, 3, 3, 0, 9, 0, 0, 0, 7]), None);
        assert_eq!(unwrap_raw(&[0, 3]), None);
    }

    #[test]
    fn a_short_structure_of_an_old_table_tells_what_it_has() {
        let mut old = vec![MEMORY_DEVICE, 0x15, 1, 0];
        old.resize(0x15, 0);
        old[0x0C..0x0E].copy_from_slice(&256u16.to_le_bytes());
        old[0x12] = 0x12;
        old.extend_from_slice(&[0, 0]);
        let expected = Module { size: Some(256 << 20), kind: Some("ddr"), speed: None };
        assert_eq!(modules(&table(&[old])), Some(vec![expected]));
    }

    #[test]
    fn a_recording_of_a_table_says_the_same_without_its_strings() {
        let board = [&[2, 8, 3, 0, 1, 2, 3, 4][..], b"BOARD\0\0"].concat();
        let chassis_of = [&[CHASSIS, 6, 3, 0, 1, 0x17][..], b"TAG\0\0"].concat();
        let whole = table(&[slot(16_384, 0x1A, 3200, 2933, 0), board, chassis_of]);
        let kept = without_strings(&whole);
        assert_eq!((modules(&kept), chassis(&kept)), (modules(&whole), Some(0x17)));
        assert_eq!(modules(&kept).map_or(0, |modules| modules.len()), 1);
        for text in ["SERIAL", "BOARD", "TAG"] {
            assert!(!kept.windows(text.len()).any(|part| part == text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_first_chassis_is_the_machines() {
        let table = [
            &[2, 4, 1, 0, 0, 0][..],
            &[CHASSIS, 6, 2, 0, 1, 0x8A, b'x', 0, 0],
            &[CHASSIS, 6, 3, 0, 1, 0x17, 0, 0],
        ];
        assert_eq!(chassis(&table.concat()), Some(0x8A));
        assert_eq!(chassis(table[0]), None);
        assert_eq!(chassis(&[CHASSIS, 5, 2, 0, 1, 0, 0]), None, "too short");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "smbios::modules",
            Says::Derived("bytes as numbers"),
            &[table(&[slot(16_384, 0x1A, 3200, 2933, 0), slot(0x7FFF, 0x22, 0, 0xFFFF, 65_536)])],
            |table: &[u8]| {
                let modules = modules(table);
                let sum = modules.as_deref().and_then(installed);
                (modules.map(|modules| modules.len()), sum)
            },
        );
        bytes(
            "smbios::chassis",
            Says::Derived("bytes as numbers"),
            &[vec![CHASSIS, 6, 2, 0, 1, 0x8A, b'x', 0, 0]],
            chassis,
        );
        bytes(
            "smbios::unwrap_raw",
            Says::Derived("bytes as numbers"),
            &[vec![0, 3, 3, 0, 2, 0, 0, 0, 7, 8, 9]],
            |raw: &[u8]| unwrap_raw(raw).map(<[u8]>::len),
        );
    }
}
