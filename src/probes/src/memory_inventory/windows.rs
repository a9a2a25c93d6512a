//! The memory as Windows shows it.
//!
//! # Invariants
//! - A recorded machine is not this one: nothing is told of it here.

use std::ptr;

use candor_model::events::device::Memory;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use windows_sys::Win32::System::SystemInformation::{GetSystemFirmwareTable, RSMB};

use crate::{Host, ProbeError, smbios};

#[expect(clippy::unnecessary_wraps, reason = "the same signature on every system")]
pub(super) fn memory(host: &Host) -> Result<Memory, ProbeError> {
    if !host.is_live() {
        return Ok(Memory::default());
    }
    let wanted = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(wanted).ok();
    let table = firmware_table();
    let table = table.as_deref().and_then(smbios::unwrap_raw);
    let modules = table.and_then(smbios::modules);
    Ok(Memory {
        installed: modules.as_deref().and_then(smbios::installed),
        usable: system.as_ref().map(System::total_memory).filter(|bytes| *bytes > 0),
        swap: system.as_ref().map(System::total_swap),
        modules,
    })
}

/// The SMBIOS table with its header; `None` when the system does not give it.
#[expect(unsafe_code, reason = "no safe call gives the table")]
fn firmware_table() -> Option<Vec<u8>> {
    // SAFETY: without a buffer the call only tells the length that one must have.
    let length = unsafe { GetSystemFirmwareTable(RSMB, 0, ptr::null_mut(), 0) };
    let mut table = vec![0; usize::try_from(length).ok()?];
    // SAFETY: the buffer is valid for `length` bytes.
    let written = unsafe { GetSystemFirmwareTable(RSMB, 0, table.as_mut_ptr(), length) };
    // The table may have grown between the calls; then nothing was written.
    (written > 0 && written <= length).then_some(table)
}
