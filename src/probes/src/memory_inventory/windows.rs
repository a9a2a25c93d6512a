//! The memory as Windows shows it.
//!
//! # Invariants
//! - A recorded machine is not this one: nothing is told of it here.

use candor_model::events::device::Memory;
use candor_platform::{installed_memory, smbios_table};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::{Host, ProbeError, smbios};

#[expect(clippy::unnecessary_wraps, reason = "the same signature on every system")]
pub(super) fn memory(host: &Host) -> Result<Memory, ProbeError> {
    if !host.is_live() {
        return Ok(Memory::default());
    }
    let wanted = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(wanted).ok();
    let table = smbios_table();
    let table = table.as_deref().and_then(smbios::unwrap_raw);
    let modules = table.and_then(smbios::modules);
    Ok(Memory {
        installed: modules.as_deref().and_then(smbios::installed).or_else(installed_memory),
        usable: system.as_ref().map(System::total_memory).filter(|bytes| *bytes > 0),
        swap: system.as_ref().map(System::total_swap),
        modules,
    })
}
