//! `candor.device.memory`: what is installed, what the system can use, and what backs it.
//!
//! Linux reads `proc/meminfo`, the SMBIOS table where root runs it, and the memory blocks in `sys`;
//! Windows asks sysinfo, the SMBIOS table, and `GetPhysicallyInstalledSystemMemory`.
//!
//! # Invariants
//! - Installed memory is what the firmware lists, else what the kernel was given in blocks.
//!
//! Without `proc/meminfo` the report fails with its path; all else is absent when it is not there.

use candor_model::{Level, Record};

use crate::probe::record;
use crate::{Change, Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(not(windows))]
#[path = "memory_inventory/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "memory_inventory/windows.rs"]
mod os;

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct MemoryInventory;

impl Probe for MemoryInventory {
    fn name(&self) -> &'static str {
        "memory_inventory"
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
        Ok(record(os::memory(host)?))
    }
}
