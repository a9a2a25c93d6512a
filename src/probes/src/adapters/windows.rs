//! The network adapters as Windows lists them: `GetIfTable2`.
//!
//! # Invariants
//! - Names, descriptions, GUIDs and addresses of a row are not looked at.

use std::ptr;

use candor_model::events::device::Adapter;
use windows_sys::Win32::Foundation::NO_ERROR;
use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GetIfTable2, MIB_IF_ROW2, MIB_IF_TABLE2,
};

use super::interface::Interface;
use crate::Host;

pub(super) fn adapters(host: &Host) -> Option<Vec<Adapter>> {
    let adapters = host.is_live().then(table)??;
    let adapters: Vec<_> = adapters.into_iter().filter_map(Interface::adapter).collect();
    (!adapters.is_empty()).then_some(adapters)
}

/// The rows; `None` when the system does not give them.
#[expect(unsafe_code, reason = "no kept crate tells an interface's type")]
fn table() -> Option<Vec<Interface>> {
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
        let rows = std::slice::from_raw_parts(rows, count).iter().map(interface).collect();
        FreeMibTable(table.cast_const().cast());
        Some(rows)
    }
}

fn interface(row: &MIB_IF_ROW2) -> Interface {
    Interface {
        kind: row.Type,
        flags: row.InterfaceAndOperStatusFlags._bitfield,
        status: row.OperStatus,
        speed: row.TransmitLinkSpeed,
    }
}
