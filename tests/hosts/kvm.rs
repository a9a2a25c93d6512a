//! A KVM guest with Debian 12 under QEMU: virtio drives and adapter, an emulated SATA drive, no
//! packet filter in its kernel, placeholders in its firmware.

use candor_model::events::device::{
    Adapter, AdapterKind, AdapterState, Architecture, Drive, DriveBus, DriveKind, Hypervisor,
    Machine, Memory, Network, Processor, Storage,
};
use candor_model::events::security::{Posture, SecurityModule, SecurityModuleMode};

use crate::SECRET;
use crate::tree::Tree;

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    let release = "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\nBUILD_ID=20240901\n";
    tree.file("etc/os-release", release);
    let kernel = [("osrelease", "6.1.0-25-cloud-amd64"), ("version", "#1 SMP"), ("arch", "x86_64")];
    tree.files("proc/sys/kernel", &kernel);
    tree.file("proc/modules", "virtio_net 86016 0 - Live 0x0000000000000000\n");
    tree.file("lib/modules/6.1.0-25-cloud-amd64/modules.builtin", "kernel/fs/ext4/ext4.ko\n");
    tree.files(
        "sys/class/dmi/id",
        &[
            ("sys_vendor", "QEMU"),
            ("product_name", "Standard PC (Q35 + ICH9, 2009)"),
            ("product_version", "pc-q35-7.2"),
            ("chassis_type", "1"),
            ("bios_vendor", "SeaBIOS"),
            ("bios_version", "Not Specified"),
            ("bios_date", "04/01/2014"),
        ],
    );
    let clocks = "sys/devices/system/clocksource/clocksource0/available_clocksource";
    tree.file(clocks, "kvm-clock tsc acpi_pm ");
    tree.files("sys/module/apparmor/parameters", &[("enabled", "N"), ("mode", "enforce")]);
    tree.file("sys/firmware/acpi/tables/FACP", SECRET).directory("sys/firmware/acpi/tables/data");
    processors(&tree);
    tree.file("proc/meminfo", "MemTotal:        2015464 kB\nSwapTotal:             0 kB\n");
    adapters(&tree);
    drives(&tree);
    tree
}

fn processors(tree: &Tree) {
    let name = "model name\t: AMD EPYC-Rome Processor\n";
    tree.file(
        "proc/cpuinfo",
        format!("vendor_id\t: AuthenticAMD\n{name}cpu MHz\t: 2595.1\nflags\t: fpu lm hypervisor\n"),
    );
    tree.files("sys/devices/system/cpu", &[("online", "0-1"), ("present", "0-1")]);
    tree.file("sys/devices/system/node/online", "0");
    for cpu in 0..2 {
        let thread = &*cpu.to_string();
        let caches = [
            (1, "Data", "32K", thread),
            (1, "Instruction", "32K", thread),
            (2, "Unified", "512K", thread),
            (3, "Unified", "16384K", "0-1"),
        ];
        tree.cpu(cpu, "0", thread, &caches);
    }
}

fn adapters(tree: &Tree) {
    let lo = [("type", "772"), ("operstate", "unknown"), ("carrier", "1"), ("flags", "0x9")];
    tree.net("virtual/net/lo", None, &lo);
    let virtio = [("type", "1"), ("operstate", "up"), ("speed", "4294967295")];
    tree.net("pci0000:00/0000:00:02.0/virtio0/net/ens3", Some(("virtio_net", "virtio")), &virtio);
    let e1000 = [("type", "1"), ("operstate", "up"), ("speed", "1000")];
    tree.net("pci0000:00/0000:00:03.0/net/ens4", Some(("e1000", "pci")), &e1000);
    let ifb = [("type", "1"), ("operstate", "down"), ("flags", "0x82")];
    tree.net("virtual/net/ifb0", None, &ifb);
}

fn drives(tree: &Tree) {
    let disk = "pci0000:00/0000:00:04.0/virtio1/block/vda";
    tree.block(
        disk,
        &[
            ("size", "41943040"),
            ("removable", "0"),
            ("queue/rotational", "1"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "512"),
            ("serial", SECRET),
            ("device/vendor", "0x1af4"),
        ],
    );
    tree.files(&format!("sys/devices/{disk}/vda1"), &[("partition", "1")]);
    tree.link("sys/class/block/vda1", &format!("sys/devices/{disk}/vda1"));
    tree.link("sys/dev/block/254:1", &format!("sys/devices/{disk}/vda1"));
    tree.file("proc/1/mountinfo", "22 1 0:25 /@ / rw - btrfs /dev/vda1 rw,subvol=/@\n");
    let scsi = "pci0000:00/0000:00:05.0/virtio2/host0/target0:0:0/0:0:0:1/block/sda";
    tree.block(
        scsi,
        &[
            ("size", "20971520"),
            ("removable", "0"),
            ("queue/rotational", "1"),
            ("device/vendor", "QEMU    "),
            ("device/model", "QEMU HARDDISK   "),
        ],
    );
    let sata = "pci0000:00/0000:00:1f.2/ata1/host1/target1:0:0/1:0:0:0/block/sdb";
    tree.block(
        sata,
        &[
            ("size", "2097152"),
            ("removable", "0"),
            ("queue/rotational", "1"),
            ("device/vendor", "ATA     "),
            ("device/model", "QEMU HARDDISK   "),
        ],
    );
}

pub(crate) fn posture() -> Posture {
    let disabled = Some(SecurityModuleMode::Disabled);
    Posture {
        os_name: Some("Debian GNU/Linux".into()),
        os_version: Some("12".into()),
        os_build: Some("20240901".into()),
        kernel_release: Some("6.1.0-25-cloud-amd64".into()),
        kernel_build: Some("#1 SMP".into()),
        security_modules: Some(vec![SecurityModule { name: "apparmor".into(), mode: disabled }]),
        firewall: Some(false),
        root_encrypted: Some(false),
        tpm: Some(false),
        ..Posture::default()
    }
}

pub(crate) fn machine() -> Machine {
    Machine {
        manufacturer: Some("QEMU".into()),
        model: Some("Standard PC (Q35 + ICH9, 2009)".into()),
        chassis: None,
        firmware_vendor: Some("SeaBIOS".into()),
        firmware_version: None,
        firmware_date: Some("2014-04-01".into()),
        is_virtual: Some(true),
        hypervisor: Some(Hypervisor::Kvm),
        architecture: Some(Architecture::Amd64),
    }
}

pub(crate) fn processor() -> Processor {
    Processor {
        vendor: Some("AuthenticAMD".into()),
        model: Some("AMD EPYC-Rome Processor".into()),
        sockets: Some(1),
        cores: Some(2),
        threads: Some(2),
        threads_offline: Some(0),
        cache_l1d: Some(64 << 10),
        cache_l1i: Some(64 << 10),
        cache_l2: Some(1 << 20),
        cache_l3: Some(16 << 20),
        numa_nodes: Some(1),
        ..Processor::default()
    }
}

pub(crate) fn memory() -> Memory {
    Memory { usable: Some(2_015_464 * 1024), swap: Some(0), ..Memory::default() }
}

pub(crate) fn network() -> Network {
    let adapter = |kind, state| Adapter {
        kind: Some(kind),
        physical: Some(false),
        state: Some(state),
        ..Adapter::default()
    };
    let emulated = Adapter {
        physical: Some(true),
        driver: Some("e1000".into()),
        link_speed: Some(1_000_000_000),
        ..adapter(AdapterKind::Ethernet, AdapterState::Up)
    };
    let virtio = Adapter {
        driver: Some("virtio_net".into()),
        ..adapter(AdapterKind::Ethernet, AdapterState::Up)
    };
    let adapters = vec![
        emulated,
        virtio,
        adapter(AdapterKind::Virtual, AdapterState::Down),
        adapter(AdapterKind::Loopback, AdapterState::Up),
    ];
    Network { count: Some(4), adapters: Some(adapters) }
}

pub(crate) fn storage() -> Storage {
    let scsi = Drive {
        kind: Some(DriveKind::Virtual),
        bus: Some(DriveBus::Virtio),
        size: Some(20_971_520 * 512),
        model_family: Some("QEMU HARDDISK".into()),
        ..Drive::default()
    };
    let sata = Drive {
        kind: Some(DriveKind::Hdd),
        bus: Some(DriveBus::Ata),
        size: Some(2_097_152 * 512),
        model_family: Some("QEMU HARDDISK".into()),
        ..Drive::default()
    };
    let virtio = Drive {
        kind: Some(DriveKind::Virtual),
        bus: Some(DriveBus::Virtio),
        size: Some(41_943_040 * 512),
        sector_size: Some(512),
        physical_sector_size: Some(512),
        model_family: None,
    };
    Storage { count: Some(3), drives: Some(vec![scsi, sata, virtio]) }
}
