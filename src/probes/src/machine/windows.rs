//! The machine as Windows shows it: what the firmware said when it started.
//!
//! # Invariants
//! - A recorded machine is not this one: nothing is told of it here.

use candor_model::events::device::{Hypervisor, Machine};
use candor_platform::smbios_table;
use windows_registry::LOCAL_MACHINE;

use super::{architecture, chassis, fact, firmware_date, hypervisor_by_name};
use crate::{Host, smbios};

const FIRMWARE: &str = r"HARDWARE\DESCRIPTION\System\BIOS";

/// Hyper-V leaves it in its guests.
const GUEST: &str = r"SOFTWARE\Microsoft\Virtual Machine\Guest\Parameters";

pub(super) fn machine(host: &Host) -> Machine {
    if !host.is_live() {
        return Machine::default();
    }
    let firmware = LOCAL_MACHINE.open(FIRMWARE).ok();
    let text = |name: &str| fact(&firmware.as_ref()?.get_string(name).ok()?);
    let (manufacturer, model) = (text("SystemManufacturer"), text("SystemProductName"));
    let names = (manufacturer.as_deref().unwrap_or_default(), model.as_deref().unwrap_or_default());
    let is_guest = LOCAL_MACHINE.open(GUEST).is_ok();
    let hypervisor =
        hypervisor_by_name(names.0, names.1).or_else(|| is_guest.then_some(Hypervisor::HyperV));
    let table = smbios_table();
    let number = table.as_deref().and_then(smbios::unwrap_raw).and_then(smbios::chassis);
    Machine {
        chassis: number.and_then(chassis),
        firmware_vendor: text("BIOSVendor"),
        firmware_version: text("BIOSVersion"),
        firmware_date: text("BIOSReleaseDate").and_then(|date| firmware_date(&date)),
        // Windows itself runs on its hypervisor where it protects itself so: only a name tells.
        is_virtual: hypervisor.is_some().then_some(true),
        hypervisor,
        architecture: architecture(std::env::consts::ARCH),
        manufacturer,
        model,
    }
}
