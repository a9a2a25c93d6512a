//! A Hyper-V guest of generation 2 with Ubuntu 22.04: disk and adapter on the VM bus, 4 virtual
//! processors, 8 GiB. Its module says its version; systemd 249 and glibc 2.35.

use candor_model::Event;
use candor_model::events::compat::{Component, Components, Driver};
use candor_model::events::device::{
    Adapter, AdapterKind, AdapterState, Architecture, Drive, DriveBus, DriveKind, Hypervisor,
    Machine, Memory, Network, Processor, Storage,
};
use candor_model::events::security::Posture;

use crate::tree::Tree;
use crate::{SECRET, events};

const BUS: &str = "LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00";

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    tree.file(
        "etc/os-release",
        "NAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nVERSION=\"22.04.4 LTS\"\nID=ubuntu\n",
    );
    let kernel =
        [("osrelease", "5.15.0-1064-azure"), ("version", "#73-Ubuntu SMP"), ("arch", "x86_64")];
    tree.files("proc/sys/kernel", &kernel);
    tree.files(
        "sys/class/dmi/id",
        &[
            ("sys_vendor", "Microsoft Corporation"),
            ("product_name", "Virtual Machine"),
            ("product_serial", SECRET),
            ("chassis_type", "3"),
            ("chassis_asset_tag", SECRET),
            ("bios_vendor", "Microsoft Corporation"),
            ("bios_version", "Hyper-V UEFI Release v4.1"),
            ("bios_date", "05/13/2024"),
        ],
    );
    tree.file("proc/cpuinfo", "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz\nflags\t: fpu lm hypervisor\n");
    tree.files("sys/devices/system/cpu", &[("online", "0-3"), ("present", "0-3")]);
    for cpu in 0..4u32 {
        let threads = if cpu < 2 { "0-1" } else { "2-3" };
        tree.cpu(cpu, "0", threads, &[]);
    }
    tree.file("sys/devices/system/node/online", "0");
    tree.file("proc/meminfo", "MemTotal:        8131260 kB\nSwapTotal:             0 kB\n");
    let lo = [("type", "772"), ("operstate", "unknown"), ("carrier", "1"), ("flags", "0x9")];
    tree.net("virtual/net/lo", None, &lo);
    let eth0 = [("type", "1"), ("operstate", "up"), ("speed", "50000")];
    tree.net(&format!("{BUS}/000d3a00-0000/net/eth0"), Some(("hv_netvsc", "vmbus")), &eth0);
    tree.directory("sys/bus/vmbus/devices/000d3a00-0000");
    tree.block(
        &format!("{BUS}/f8b3781a-0000/host0/target0:0:0/0:0:0:0/block/sda"),
        &[
            ("size", "62914560"),
            ("removable", "0"),
            ("queue/rotational", "1"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "4096"),
            ("device/vendor", "Msft    "),
            ("device/model", "Virtual Disk    "),
        ],
    );
    tree.file(
        "proc/modules",
        "mlx5_core 1 0 - Live 0x0000000000000000 (OE)\nhv_netvsc 1 0 - Live 0x0000000000000000\n",
    );
    tree.file("sys/module/mlx5_core/version", "24.01-0.3.3");
    tree.file("usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-249.so", SECRET);
    tree.file("usr/bin/ldd", "#! /bin/bash\n    echo 'ldd (Ubuntu GLIBC 2.35-0ubuntu3.8) 2.35'\n");
    tree
}

pub(crate) fn expected() -> Vec<Event> {
    let posture = Posture {
        os_name: Some("Ubuntu".into()),
        os_version: Some("22.04".into()),
        kernel_release: Some("5.15.0-1064-azure".into()),
        kernel_build: Some("#73-Ubuntu SMP".into()),
        patch_level: Some("22.04.4".into()),
        ..Posture::default()
    };
    let machine = Machine {
        manufacturer: Some("Microsoft Corporation".into()),
        model: Some("Virtual Machine".into()),
        chassis: Some(candor_model::events::device::Chassis::Desktop),
        firmware_vendor: Some("Microsoft Corporation".into()),
        firmware_version: Some("Hyper-V UEFI Release v4.1".into()),
        firmware_date: Some("2024-05-13".into()),
        is_virtual: Some(true),
        hypervisor: Some(Hypervisor::HyperV),
        architecture: Some(Architecture::Amd64),
    };
    let processor = Processor {
        vendor: Some("GenuineIntel".into()),
        model: Some("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz".into()),
        sockets: Some(1),
        cores: Some(2),
        threads: Some(4),
        threads_offline: Some(0),
        base_frequency: Some(2_800_000_000),
        numa_nodes: Some(1),
        ..Processor::default()
    };
    let memory = Memory { usable: Some(8_131_260 * 1024), swap: Some(0), ..Memory::default() };
    let up = |kind| Adapter {
        kind: Some(kind),
        physical: Some(false),
        state: Some(AdapterState::Up),
        ..Adapter::default()
    };
    let vmbus = Adapter {
        driver: Some("hv_netvsc".into()),
        link_speed: Some(50_000_000_000),
        ..up(AdapterKind::Ethernet)
    };
    let network =
        Network { count: Some(2), adapters: Some(vec![vmbus, up(AdapterKind::Loopback)]) };
    let disk = Drive {
        kind: Some(DriveKind::Virtual),
        bus: Some(DriveBus::Vmbus),
        size: Some(62_914_560 * 512),
        sector_size: Some(512),
        physical_sector_size: Some(4096),
        model_family: Some("Msft Virtual Disk".into()),
    };
    let storage = Storage { count: Some(1), drives: Some(vec![disk]) };
    let component = |name, version: &str| Component { name, version: Some(version.into()) };
    let driver = |name: &str, version: Option<&str>, elsewhere| Driver {
        name: name.into(),
        version: version.map(str::to_owned),
        out_of_tree: Some(elsewhere),
    };
    let components = Components {
        components: Some(vec![
            component("kernel", "5.15.0-1064-azure"),
            component("systemd", "249"),
            component("glibc", "2.35"),
        ]),
        driver_count: Some(2),
        drivers: Some(vec![
            driver("mlx5_core", Some("24.01-0.3.3"), true),
            driver("hv_netvsc", None, false),
        ]),
        ..Components::default()
    };
    events![posture, machine, processor, memory, network, storage, components]
}
