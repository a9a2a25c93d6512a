//! The machine as Linux shows it: DMI texts or the device tree, and the traces of hypervisors.
//!
//! # Invariants
//! - Only files that every user may read.

use candor_model::events::device::{Architecture, Hypervisor, Machine};

use super::{architecture, chassis, fact, firmware_date, hypervisor_by_name};
use crate::Host;

/// The first processors of `proc/cpuinfo`; all say the same of the machine.
const CPUINFO_BYTES: u64 = 16 * 1024;

pub(super) fn machine(host: &Host) -> Machine {
    let dmi = |name: &str| fact(&host.text(&host.sys("class/dmi/id").join(name))?);
    let manufacturer = dmi("sys_vendor");
    let model = dmi("product_name").or_else(|| board(host));
    let cpuinfo = host.head(&host.proc("cpuinfo"), CPUINFO_BYTES).unwrap_or_default();
    let hypervisor = hypervisor(host, manufacturer.as_deref(), model.as_deref());
    Machine {
        chassis: host.number(&host.sys("class/dmi/id/chassis_type")).and_then(chassis),
        firmware_vendor: dmi("bios_vendor"),
        firmware_version: dmi("bios_version"),
        firmware_date: dmi("bios_date").and_then(|date| firmware_date(&date)),
        is_virtual: is_virtual(host, hypervisor, &cpuinfo),
        hypervisor,
        architecture: instruction_set(host, &cpuinfo),
        manufacturer,
        model,
    }
}

/// The board's name in the device tree; it contains the maker's.
fn board(host: &Host) -> Option<String> {
    let model = host.text(&host.sys("firmware/devicetree/base/model"));
    fact(&model.or_else(|| host.text(&host.proc("device-tree/model")))?)
}

fn hypervisor(host: &Host, maker: Option<&str>, model: Option<&str>) -> Option<Hypervisor> {
    let named = hypervisor_by_name(maker.unwrap_or_default(), model.unwrap_or_default());
    // QEMU says its own name whether KVM runs below it or not.
    named.filter(|named| *named != Hypervisor::Qemu).or_else(|| traced(host)).or(named)
}

/// What a hypervisor leaves behind where no DMI tells of it.
fn traced(host: &Host) -> Option<Hypervisor> {
    if host.text(&host.sys("hypervisor/type")).as_deref() == Some("xen") {
        return (!is_privileged_domain(host)).then_some(Hypervisor::Xen);
    }
    if !host.names(&host.sys("bus/vmbus/devices")).is_empty() {
        return Some(Hypervisor::HyperV);
    }
    let clocks = host.sys("devices/system/clocksource/clocksource0/available_clocksource");
    let clocks = host.text(&clocks).unwrap_or_default();
    if clocks.contains("kvm-clock") {
        return Some(Hypervisor::Kvm);
    }
    let tree = host.text(&host.sys("firmware/devicetree/base/hypervisor/compatible"))?;
    let known = [("kvm", Hypervisor::Kvm), ("xen", Hypervisor::Xen)];
    known.into_iter().find(|(word, _)| tree.contains(word)).map(|(_, hypervisor)| hypervisor)
}

/// Xen's own domain, which has the hardware: the physical machine itself, though its processors say that a
/// hypervisor is there.
fn is_privileged_domain(host: &Host) -> bool {
    let capabilities = host.text(&host.proc("xen/capabilities"));
    capabilities.is_some_and(|capabilities| capabilities.contains("control_d"))
}

/// Told by a hypervisor's name, by the processor's `hypervisor` flag on x86, or by a device tree,
/// in which a virtual machine without a name is `linux,dummy-virt`.
fn is_virtual(host: &Host, hypervisor: Option<Hypervisor>, cpuinfo: &str) -> Option<bool> {
    if hypervisor.is_some() {
        return Some(true);
    }
    if is_privileged_domain(host) {
        return Some(false);
    }
    if let Some(flags) = cpuinfo_value(cpuinfo, "flags") {
        return Some(flags.split_whitespace().any(|flag| flag == "hypervisor"));
    }
    let compatible = host.text(&host.sys("firmware/devicetree/base/compatible"));
    let compatible = compatible.or_else(|| host.text(&host.proc("device-tree/compatible")))?;
    Some(compatible.contains("dummy-virt"))
}

/// The kernel says it since 6.1; before, the processor's own words do.
fn instruction_set(host: &Host, cpuinfo: &str) -> Option<Architecture> {
    if let Some(word) = host.text(&host.proc("sys/kernel/arch")) {
        return architecture(&word);
    }
    if host.is_live() {
        return architecture(std::env::consts::ARCH);
    }
    if let Some(flags) = cpuinfo_value(cpuinfo, "flags") {
        let is_long = flags.split_whitespace().any(|flag| flag == "lm");
        return Some(if is_long { Architecture::Amd64 } else { Architecture::X86 });
    }
    match cpuinfo_value(cpuinfo, "CPU architecture")? {
        "8" | "AArch64" => Some(Architecture::Arm64),
        _ => Some(Architecture::Arm32),
    }
}

fn cpuinfo_value<'a>(cpuinfo: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "machine/linux::cpuinfo_value",
            Says::Stands,
            &["vendor_id\t: GenuineIntel\nflags\t\t: fpu lm 4\n"],
            |text| cpuinfo_value(text, "flags").map(str::to_owned),
        );
    }

    #[test]
    fn a_hypervisor_without_a_name_is_known_by_what_it_leaves_behind() {
        const CLOCKS: &str = "sys/devices/system/clocksource/clocksource0/available_clocksource";
        const TREE: &str = "sys/firmware/devicetree/base/hypervisor/compatible";
        let flags = ("proc/cpuinfo", "flags\t: fpu hypervisor lm\n");
        let xen = ("sys/hypervisor/type", "xen\n");
        let domain = ("proc/xen/capabilities", "control_d\n");
        for (files, is_virtual, hypervisor) in [
            (&[xen][..], true, Some(Hypervisor::Xen)),
            (&[xen, domain], false, None),
            (&[("sys/bus/vmbus/devices/x", "")], true, Some(Hypervisor::HyperV)),
            (&[(CLOCKS, "kvm-clock tsc\n")], true, Some(Hypervisor::Kvm)),
            (&[(TREE, "linux,kvm\0")], true, Some(Hypervisor::Kvm)),
            (&[(TREE, "xen,xen-4.17\0xen,xen\0")], true, Some(Hypervisor::Xen)),
            (&[(CLOCKS, "tsc hpet\n")], true, None),
        ] {
            let root = tempfile::tempdir().unwrap();
            let host = Host::new(root.path());
            for (path, text) in files.iter().chain([&flags]) {
                let path = host.path(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let machine = machine(&host);
            assert_eq!(
                (machine.is_virtual, machine.hypervisor),
                (Some(is_virtual), hypervisor),
                "{files:?}"
            );
        }
    }

    #[test]
    fn a_board_that_does_not_exist_is_virtual_and_one_that_does_is_not() {
        for (board, is_virtual) in
            [("linux,dummy-virt\0", true), ("raspberrypi,4-model-b\0brcm,bcm2711\0", false)]
        {
            let root = tempfile::tempdir().unwrap();
            let host = Host::new(root.path());
            let tree = host.sys("firmware/devicetree/base");
            std::fs::create_dir_all(&tree).unwrap();
            std::fs::write(tree.join("compatible"), board).unwrap();
            assert_eq!(machine(&host).is_virtual, Some(is_virtual), "{board}");
        }
    }
}
