//! The network adapters as Windows lists them: `GetIfTable2`, and the registry for their drivers.
//!
//! # Invariants
//! - Names, descriptions and addresses of a row are not looked at; its GUID only finds its driver, and is
//!   not told.

use std::collections::BTreeMap;
use std::ptr;

use candor_model::events::device::Adapter;
use windows_registry::LOCAL_MACHINE;
use windows_sys::Win32::Foundation::NO_ERROR;
use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GetIfTable2, MIB_IF_ROW2, MIB_IF_TABLE2,
};
use windows_sys::core::GUID;

use super::interface::Interface;
use crate::Host;

pub(super) fn adapters(host: &Host) -> Option<Vec<Adapter>> {
    let adapters = host.is_live().then(table)??;
    let adapters: Vec<_> = adapters.iter().filter_map(Interface::adapter).collect();
    (!adapters.is_empty()).then_some(adapters)
}

fn table() -> Option<Vec<Interface>> {
    let drivers = drivers();
    rows(|row| interface(row, &drivers))
}

/// What is read of each row; `None` when the system does not give them.
#[expect(unsafe_code, reason = "no kept crate tells an interface's type")]
pub(crate) fn rows<T>(read: impl Fn(&MIB_IF_ROW2) -> T) -> Option<Vec<T>> {
    let mut table: *mut MIB_IF_TABLE2 = ptr::null_mut();
    // SAFETY: `table` is a valid place for the pointer that the call gives.
    if unsafe { GetIfTable2(&raw mut table) } != NO_ERROR || table.is_null() {
        return None;
    }
    // SAFETY: the call succeeded, so that `NumEntries` rows follow; they are read through a pointer
    // to the whole table, copied, and only then given back to the system, once.
    unsafe {
        let count = usize::try_from((*table).NumEntries).unwrap_or_default();
        let rows = (&raw const (*table).Table).cast::<MIB_IF_ROW2>();
        let rows = std::slice::from_raw_parts(rows, count);
        let rows = rows.iter().map(read).collect();
        FreeMibTable(table.cast_const().cast());
        Some(rows)
    }
}

/// The adapters' configurations, one numbered key each.
const ADAPTERS: &str =
    r"SYSTEM\CurrentControlSet\Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}";

/// The service of the driver of each adapter, by the adapter's GUID in capitals.
fn drivers() -> BTreeMap<String, String> {
    let Ok(list) = LOCAL_MACHINE.open(ADAPTERS) else { return BTreeMap::new() };
    let names = list.keys().into_iter().flatten();
    let driver = |name: String| {
        let adapter = list.open(name).ok()?;
        let guid = adapter.get_string("NetCfgInstanceId").ok()?;
        let service = adapter.open("Ndi").ok()?.get_string("Service").ok()?;
        Some((guid.to_ascii_uppercase(), service))
    };
    names.filter_map(driver).collect()
}

/// As the registry writes it: `{4D36E972-E325-11CE-BFC1-08002BE10318}`.
fn text(guid: &GUID) -> String {
    let tail = u64::from_be_bytes(guid.data4);
    let (fourth, last) = (tail >> 48, tail & 0xFFFF_FFFF_FFFF);
    format!("{{{:08X}-{:04X}-{:04X}-{fourth:04X}-{last:012X}}}", guid.data1, guid.data2, guid.data3)
}

fn interface(row: &MIB_IF_ROW2, drivers: &BTreeMap<String, String>) -> Interface {
    Interface {
        driver: drivers.get(&text(&row.InterfaceGuid)).cloned(),
        kind: row.Type,
        flags: row.InterfaceAndOperStatusFlags._bitfield,
        status: row.OperStatus,
        speed: row.TransmitLinkSpeed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_the_registry_does() {
        let guid = GUID::from_u128(0x4d36_e972_e325_11ce_bfc1_0800_2be1_0318);
        assert_eq!(text(&guid), "{4D36E972-E325-11CE-BFC1-08002BE10318}");
    }
}
