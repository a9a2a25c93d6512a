//! `candor.device.machine`: who made the machine, what it is, whether it is virtual.
//!
//! Linux reads `sys/class/dmi/id`, the device tree, `proc/cpuinfo` and what hypervisors leave in
//! `sys`; Windows the registry's `HARDWARE\DESCRIPTION\System\BIOS` and the SMBIOS table.
//!
//! # Invariants
//! - No serial number, asset tag or UUID is read.
//!
//! Nothing here fails: what is not there is absent.

use candor_model::{Level, Record, events::device};

use crate::filler::fact;
use crate::probe::record;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(not(windows))]
#[path = "machine/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "machine/windows.rs"]
mod os;

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct Machine;

impl Probe for Machine {
    fn name(&self) -> &'static str {
        "machine"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        Ok(record(os::machine(host)))
    }
}

/// The chassis by its SMBIOS number (SMBIOS 3.7, 7.4.1); the top bit is the lock.
fn chassis(number: u64) -> Option<device::Chassis> {
    use device::Chassis;

    Some(match number & 0x7F {
        3..=7 | 15 | 16 | 24 => Chassis::Desktop,
        8..=10 | 14 => Chassis::Laptop,
        11 => Chassis::Handheld,
        13 => Chassis::AllInOne,
        17 | 23 | 25 => Chassis::Server,
        28 | 29 => Chassis::Blade,
        30 => Chassis::Tablet,
        31 | 32 => Chassis::Convertible,
        33 | 34 => Chassis::Embedded,
        35 | 36 => Chassis::Mini,
        _ => return None,
    })
}

/// The hypervisor that gives itself away by what it says of the machine.
fn hypervisor_by_name(maker: &str, model: &str) -> Option<device::Hypervisor> {
    use device::Hypervisor;

    let (maker, model) = (maker.to_ascii_lowercase(), model.to_ascii_lowercase());
    Some(match (maker.as_str(), model.as_str()) {
        (_, model) if model.contains("kvm") || model == "google compute engine" => Hypervisor::Kvm,
        ("amazon ec2", model) if !model.contains("metal") => Hypervisor::Kvm,
        ("qemu", _) => Hypervisor::Qemu,
        (maker, _) if maker.starts_with("vmware") => Hypervisor::Vmware,
        ("microsoft corporation", "virtual machine") => Hypervisor::HyperV,
        ("xen", _) => Hypervisor::Xen,
        ("innotek gmbh", _) | (_, "virtualbox") => Hypervisor::VirtualBox,
        (maker, _) if maker.starts_with("parallels") => Hypervisor::Parallels,
        ("bhyve", _) | (_, "bhyve") => Hypervisor::Bhyve,
        (_, model) if model.starts_with("apple virtualization") => Hypervisor::Apple,
        _ => return None,
    })
}

/// `MM/DD/YYYY` or `MM/DD/YY`, as SMBIOS has it, as `YYYY-MM-DD`; another form stays as it is.
fn firmware_date(text: &str) -> Option<String> {
    let text = fact(text)?;
    let parts: Option<Vec<u32>> = text.split('/').map(|part| part.parse().ok()).collect();
    Some(match parts.as_deref() {
        Some(&[month @ 1..=12, day @ 1..=31, year]) => {
            // SMBIOS: a year of two digits lies in the 20th century.
            let year = if year < 100 { 1900 + year } else { year };
            format!("{year:04}-{month:02}-{day:02}")
        }
        _ => text,
    })
}

/// The architecture by the kernel's or the compiler's word.
fn architecture(word: &str) -> Option<device::Architecture> {
    use device::Architecture;

    Some(match word {
        "x86_64" | "amd64" => Architecture::Amd64,
        "i386" | "i486" | "i586" | "i686" | "x86" => Architecture::X86,
        "aarch64" | "arm64" => Architecture::Arm64,
        "riscv64" => Architecture::Riscv64,
        "ppc64" | "ppc64le" | "powerpc64" => Architecture::Ppc64,
        "s390x" => Architecture::S390x,
        "loongarch64" => Architecture::Loong64,
        word if word.starts_with("arm") => Architecture::Arm32,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use candor_model::events::device::{Architecture, Chassis, Hypervisor};

    use super::*;

    #[test]
    fn chassis_numbers_are_read_with_and_without_the_lock_bit() {
        assert_eq!(chassis(10), Some(Chassis::Laptop));
        assert_eq!(chassis(0x17 | 0x80), Some(Chassis::Server));
        assert_eq!(chassis(31), Some(Chassis::Convertible));
        for other_or_unknown in [0, 1, 2, 12, 99] {
            assert_eq!(chassis(other_or_unknown), None);
        }
    }

    #[test]
    fn a_firmware_date_becomes_sortable() {
        assert_eq!(firmware_date("03/09/2023").as_deref(), Some("2023-03-09"));
        assert_eq!(firmware_date("12/01/99").as_deref(), Some("1999-12-01"));
        assert_eq!(firmware_date("2023.03").as_deref(), Some("2023.03"));
        assert_eq!(firmware_date("Default string"), None);
    }

    #[test]
    fn hypervisors_are_known_by_the_names_that_they_give() {
        let known = [
            ("QEMU", "Standard PC (Q35 + ICH9, 2009)", Some(Hypervisor::Qemu)),
            ("Red Hat", "KVM", Some(Hypervisor::Kvm)),
            ("VMware, Inc.", "VMware7,1", Some(Hypervisor::Vmware)),
            ("Microsoft Corporation", "Virtual Machine", Some(Hypervisor::HyperV)),
            ("innotek GmbH", "VirtualBox", Some(Hypervisor::VirtualBox)),
            ("Amazon EC2", "m5.large", Some(Hypervisor::Kvm)),
            ("Amazon EC2", "m5.metal", None),
            ("Microsoft Corporation", "Surface Pro 9", None),
            ("LENOVO", "20XW", None),
        ];
        for (maker, model, hypervisor) in known {
            assert_eq!(hypervisor_by_name(maker, model), hypervisor, "{maker} {model}");
        }
    }

    #[test]
    fn architectures_have_the_words_of_the_conventions() {
        assert_eq!(architecture("x86_64"), Some(Architecture::Amd64));
        assert_eq!(architecture("aarch64"), Some(Architecture::Arm64));
        assert_eq!(architecture("armv7l"), Some(Architecture::Arm32));
        assert_eq!(architecture("vax"), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "machine::firmware_date",
            Says::Derived("two digits are a year of the last century"),
            &["04/12/2024", "1/2/98"],
            firmware_date,
        );
        text("machine::hypervisor_by_name", Says::Stands, &["QEMU", "VMware, Inc."], |name| {
            (hypervisor_by_name(name, ""), hypervisor_by_name("", name))
        });
        text("machine::architecture", Says::Stands, &["x86_64", "armv7l"], |word| {
            architecture(word).is_some()
        });
    }
}
