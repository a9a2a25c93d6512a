//! A `VMware` guest with Rocky Linux 9: paravirtual disk (pvscsi) and adapter (vmxnet3), both on the PCI
//! bus; `ClamAV` is installed and its daemon does not run.

use candor_model::Event;
use candor_model::events::device::{
    Adapter, AdapterKind, AdapterState, Architecture, Drive, DriveBus, DriveKind, Hypervisor,
    Machine, Memory, Network, Processor, Storage,
};
use candor_model::events::security::{Antimalware, AntimalwareProduct, Posture};

use crate::tree::Tree;
use crate::{SECRET, events, kernel};

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    tree.file("etc/os-release", "NAME=\"Rocky Linux\"\nVERSION_ID=\"9.4\"\nID=\"rocky\"\n");
    let kernel = [("osrelease", "5.14.0-427.13.1.el9_4.x86_64"), ("version", "#1 SMP")];
    tree.files("proc/sys/kernel", &kernel);
    tree.files(
        "sys/class/dmi/id",
        &[
            ("sys_vendor", "VMware, Inc."),
            ("product_name", "VMware7,1"),
            ("product_serial", SECRET),
            ("product_uuid", SECRET),
            ("chassis_type", "1"),
            ("bios_vendor", "VMware, Inc."),
            ("bios_version", "VMW71.00V.21805430.B64.2305221830"),
            ("bios_date", "05/22/2023"),
        ],
    );
    tree.file("proc/cpuinfo", "vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7543 32-Core Processor\nflags\t: fpu lm hypervisor\n");
    tree.files("sys/devices/system/cpu", &[("online", "0-1"), ("present", "0-1")]);
    // Each virtual processor is a socket of its own, as VMware does it by default.
    for cpu in 0..2u32 {
        tree.cpu(cpu, &(cpu * 2).to_string(), &cpu.to_string(), &[]);
    }
    tree.file("proc/meminfo", "MemTotal:        3733464 kB\nSwapTotal:       2097148 kB\n");
    let lo = [("type", "772"), ("operstate", "unknown"), ("carrier", "1"), ("flags", "0x9")];
    tree.net("virtual/net/lo", None, &lo);
    let ens192 = [("type", "1"), ("operstate", "up"), ("speed", "10000")];
    let place = "pci0000:00/0000:00:16.0/0000:0b:00.0/net/ens192";
    tree.net(place, Some(("vmxnet3", "pci")), &ens192);
    tree.file("sys/class/scsi_host/host0/proc_name", "vmw_pvscsi");
    tree.block(
        "pci0000:00/0000:00:15.0/0000:03:00.0/host0/target0:0:0/0:0:0:0/block/sda",
        &[
            ("size", "33554432"),
            ("removable", "0"),
            ("queue/rotational", "0"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "512"),
            ("device/vendor", "VMware  "),
            ("device/model", "Virtual disk    "),
        ],
    );
    tree.file("usr/sbin/clamd", "");
    let header = "ClamAV-VDB:07 Nov 2023 03-20 -0500:27085:2045312:90:md5:sig:builder";
    // Made in the year 2100: its age is not known before.
    tree.bytes(
        "var/lib/clamav/daily.cld",
        format!("{:<512}", format!("{header}:4102444800")).as_bytes(),
    );
    tree.file("proc/1/comm", "systemd");
    tree.file("proc/1/cmdline", SECRET);
    tree
}

pub(crate) fn expected() -> Vec<Event> {
    let posture = Posture {
        os_name: Some("Rocky Linux".into()),
        os_version: Some("9.4".into()),
        kernel_release: Some("5.14.0-427.13.1.el9_4.x86_64".into()),
        kernel_build: Some("#1 SMP".into()),
        ..Posture::default()
    };
    let antimalware = Antimalware {
        product: Some(AntimalwareProduct::ClamAv),
        enabled: Some(false),
        real_time: Some(false),
        signature_version: Some("27085".into()),
        signature_date: Some("2100-01-01T00:00:00Z".into()),
        signature_age: None,
    };
    let machine = Machine {
        manufacturer: Some("VMware, Inc.".into()),
        model: Some("VMware7,1".into()),
        chassis: None,
        firmware_vendor: Some("VMware, Inc.".into()),
        firmware_version: Some("VMW71.00V.21805430.B64.2305221830".into()),
        firmware_date: Some("2023-05-22".into()),
        is_virtual: Some(true),
        hypervisor: Some(Hypervisor::Vmware),
        architecture: Some(Architecture::Amd64),
    };
    let processor = Processor {
        vendor: Some("AuthenticAMD".into()),
        model: Some("AMD EPYC 7543 32-Core Processor".into()),
        sockets: Some(2),
        cores: Some(2),
        threads: Some(2),
        threads_offline: Some(0),
        ..Processor::default()
    };
    let memory = Memory {
        usable: Some(3_733_464 * 1024),
        swap: Some(2_097_148 * 1024),
        ..Memory::default()
    };
    let up = |kind| Adapter {
        kind: Some(kind),
        physical: Some(false),
        state: Some(AdapterState::Up),
        ..Adapter::default()
    };
    let vmxnet = Adapter {
        driver: Some("vmxnet3".into()),
        link_speed: Some(10_000_000_000),
        ..up(AdapterKind::Ethernet)
    };
    let network =
        Network { count: Some(2), adapters: Some(vec![vmxnet, up(AdapterKind::Loopback)]) };
    let disk = Drive {
        kind: Some(DriveKind::Virtual),
        bus: Some(DriveBus::Pvscsi),
        size: Some(33_554_432 * 512),
        sector_size: Some(512),
        physical_sector_size: Some(512),
        model_family: Some("VMware Virtual disk".into()),
    };
    let storage = Storage { count: Some(1), drives: Some(vec![disk]) };
    let components = kernel("5.14.0-427.13.1.el9_4.x86_64");
    events![posture, antimalware, machine, processor, memory, network, storage, components]
}
