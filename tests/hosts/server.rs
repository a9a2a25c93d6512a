//! A `PowerEdge` with RHEL 9.4, seen by a user who is not root: two sockets of 8 cores with two
//! threads each, one of them switched off, two bonded 25 Gbit/s ports, eleven
//! SAS disks and a SAS SSD, two memory controllers that corrected 17 errors, no encryption.

use candor_model::events::device::{
    Adapter, AdapterKind, AdapterState, Architecture, Chassis, Drive, DriveBus, DriveKind, Machine,
    Memory, Network, Processor, Storage,
};
use candor_model::events::quality::Alerts;
use candor_model::events::security::{Lockdown, Posture, SecurityModule, SecurityModuleMode};

use crate::SECRET;
use crate::tree::Tree;

const SAS: &str = "pci0000:3c/0000:3c:02.0/0000:3d:00.0/host0/port-0:0/expander-0:0";

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    system(&tree);
    processors(&tree);
    adapters(&tree);
    drives(&tree);
    tree
}

fn system(tree: &Tree) {
    let release = "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"9.4 (Plow)\"\nID=\"rhel\"\nVERSION_ID=\"9.4\"\n";
    tree.file("usr/lib/os-release", release).link("etc/os-release", "usr/lib/os-release");
    let kernel = "5.14.0-427.el9.x86_64";
    tree.files("proc/sys/kernel", &[("osrelease", kernel), ("version", "#1 SMP PREEMPT_DYNAMIC")]);
    tree.file(&format!("lib/modules/{kernel}/modules.dep"), "");
    tree.files(
        "sys/class/dmi/id",
        &[
            ("sys_vendor", "Dell Inc."),
            ("product_name", "PowerEdge R750"),
            ("chassis_type", "23"),
            ("bios_vendor", "Dell Inc."),
            ("bios_version", "1.13.2"),
            ("bios_date", "12/19/2023"),
        ],
    );
    let secure_boot = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    tree.bytes(secure_boot, &[6, 0, 0, 0, 0]);
    tree.file("sys/kernel/security/lockdown", "[none] integrity confidentiality");
    tree.bytes("sys/kernel/security/lsm", b"lockdown,capability,selinux,bpf");
    tree.bytes("sys/fs/selinux/enforce", b"1");
    // It leads nowhere, as systemd's do.
    tree.link("run/systemd/units/invocation:firewalld.service", "0123456789abcdef");
    tree.directory("sys/class/tpm").file("sys/firmware/acpi/tables/TPM2", SECRET);
    tree.file("var/lib/rpm/rpmdb.sqlite", "").modified("var/lib/rpm/rpmdb.sqlite", 1_700_000_000);
    for (controller, corrected) in [("mc0", "0"), ("mc1", "17")] {
        let files =
            [("ce_count", corrected), ("ue_count", "0"), ("mc_name", "Intel_10nm Socket#1")];
        tree.files(&format!("sys/devices/system/edac/mc/{controller}"), &files);
    }
    tree.file("proc/meminfo", "MemTotal:       131581364 kB\nSwapTotal:             0 kB\n");
    let memory = "sys/devices/system/memory";
    tree.file(&format!("{memory}/block_size_bytes"), "80000000");
    for block in 0..64 {
        tree.file(&format!("{memory}/memory{block}/state"), "online");
    }
}

fn processors(tree: &Tree) {
    let name = "model name\t: Intel(R) Xeon(R) Gold 5315Y CPU @ 3.20GHz\n";
    tree.file(
        "proc/cpuinfo",
        format!("processor\t: 0\nvendor_id\t: GenuineIntel\n{name}flags\t\t: fpu lm\n"),
    );
    let lists =
        [("online", "0-30"), ("present", "0-31"), ("offline", "31-127"), ("possible", "0-127")];
    tree.files("sys/devices/system/cpu", &lists);
    tree.file("sys/devices/system/node/online", "0-1");
    for cpu in 0..31u32 {
        let first = cpu % 16;
        // The other thread of the last core is switched off.
        let threads = if first == 15 { "15".to_owned() } else { format!("{first},{}", first + 16) };
        let (package, socket) = if first < 8 { ("0", "0-7,16-23") } else { ("1", "8-15,24-30") };
        let caches = [
            (1, "Data", "48K", &*threads),
            (1, "Instruction", "32K", &*threads),
            (2, "Unified", "1280K", &*threads),
            (3, "Unified", "12288K", socket),
        ];
        tree.cpu(cpu, package, &threads, &caches);
    }
    tree.file("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "3600000");
}

fn adapters(tree: &Tree) {
    let lo = [("type", "772"), ("operstate", "unknown"), ("carrier", "1"), ("flags", "0x9")];
    tree.net("virtual/net/lo", None, &lo);
    for port in 0..2 {
        let place = format!("pci0000:97/0000:97:02.0/0000:98:00.{port}/net/ens1f{port}");
        let up = [("type", "1"), ("operstate", "up"), ("speed", "25000")];
        tree.net(&place, Some(("ice", "pci")), &up);
    }
    let free = [("type", "1"), ("operstate", "down"), ("carrier", "0"), ("speed", "-1")];
    tree.net("pci0000:00/0000:00:1c.5/0000:04:00.0/net/eno8303", Some(("tg3", "pci")), &free);
    let bond =
        [("type", "1"), ("operstate", "up"), ("speed", "50000"), ("bonding/mode", "802.3ad 4")];
    tree.net("virtual/net/bond0", None, &bond);
    tree.file("sys/class/net/bonding_masters", "bond0");
    let vlan = [("type", "1"), ("operstate", "up"), ("speed", "50000")];
    tree.net("virtual/net/bond0.100", None, &vlan);
    tree.file("proc/net/vlan/bond0.100", format!("bond0.100 VID: 100 {SECRET}"));
}

fn drives(tree: &Tree) {
    let sas = |number: u32, name: &str, files: &[(&str, &str)]| {
        let end = format!("{SAS}/port-0:0:{number}/end_device-0:0:{number}");
        let place = format!("{end}/target0:0:{number}/0:0:{number}:0/block/{name}");
        tree.block(&place, files);
    };
    let disk = [
        ("size", "4688430768"),
        ("removable", "0"),
        ("queue/rotational", "1"),
        ("queue/logical_block_size", "512"),
        ("queue/physical_block_size", "4096"),
        ("device/vendor", "SEAGATE "),
        ("device/model", "ST2400MM0159    "),
        ("device/wwid", SECRET),
    ];
    for (number, letter) in (0..11).zip('a'..) {
        sas(number, &format!("sd{letter}"), &disk);
    }
    sas(
        11,
        "sdl",
        &[
            ("size", "3750748848"),
            ("removable", "0"),
            ("queue/rotational", "0"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "4096"),
            ("device/vendor", "TOSHIBA "),
            ("device/model", "KPM5XVUG1T92    "),
        ],
    );
    // The management controller's virtual media, without a medium.
    tree.block(
        "pci0000:00/0000:00:14.0/usb1/1-14/1-14.3/host15/target15:0:0/15:0:0:0/block/sr0",
        &[("size", "2097151"), ("removable", "1"), ("device/model", "Virtual CD")],
    );
    let array = "virtual/block/md127";
    tree.block(array, &[("size", "4688166912"), ("md/level", "raid1"), ("md/degraded", "0")]);
    for disk in ["sda", "sdb"] {
        tree.link(
            &format!("sys/devices/{array}/slaves/{disk}"),
            &format!("sys/class/block/{disk}"),
        );
    }
    tree.link("sys/dev/block/9:127", &format!("sys/devices/{array}"));
    tree.file("proc/self/mountinfo", "60 1 9:127 / / rw,relatime - xfs /dev/md127 rw\n");
}

pub(crate) fn posture() -> Posture {
    let module = |name: &str, mode| SecurityModule { name: name.into(), mode };
    Posture {
        os_name: Some("Red Hat Enterprise Linux".into()),
        os_version: Some("9.4".into()),
        os_build: None,
        kernel_release: Some("5.14.0-427.el9.x86_64".into()),
        kernel_build: Some("#1 SMP PREEMPT_DYNAMIC".into()),
        patch_level: None,
        secure_boot: Some(false),
        kernel_lockdown: Some(Lockdown::None),
        security_modules: Some(vec![
            module("lockdown", None),
            module("capability", None),
            module("selinux", Some(SecurityModuleMode::Enforcing)),
            module("bpf", None),
        ]),
        firewall: Some(true),
        root_encrypted: Some(false),
        tpm: Some(true),
        reboot_pending: None,
        security_updates_pending: None,
        last_update: Some("2023-11-14T22:13:20Z".into()),
    }
}

pub(crate) fn machine() -> Machine {
    Machine {
        manufacturer: Some("Dell Inc.".into()),
        model: Some("PowerEdge R750".into()),
        chassis: Some(Chassis::Server),
        firmware_vendor: Some("Dell Inc.".into()),
        firmware_version: Some("1.13.2".into()),
        firmware_date: Some("2023-12-19".into()),
        is_virtual: Some(false),
        hypervisor: None,
        // This kernel is too old to say it: the flag `lm` does.
        architecture: Some(Architecture::Amd64),
    }
}

pub(crate) fn processor() -> Processor {
    Processor {
        vendor: Some("GenuineIntel".into()),
        model: Some("Intel(R) Xeon(R) Gold 5315Y CPU @ 3.20GHz".into()),
        sockets: Some(2),
        cores: Some(16),
        efficiency_cores: None,
        threads: Some(31),
        threads_offline: Some(1),
        base_frequency: Some(3_200_000_000),
        max_frequency: Some(3_600_000_000),
        cache_l1d: Some((16 * 48) << 10),
        cache_l1i: Some((16 * 32) << 10),
        cache_l2: Some((16 * 1280) << 10),
        cache_l3: Some(24 << 20),
        numa_nodes: Some(2),
    }
}

pub(crate) fn memory() -> Memory {
    Memory {
        installed: Some(128 << 30),
        usable: Some(131_581_364 * 1024),
        swap: Some(0),
        modules: None,
    }
}

pub(crate) fn network() -> Network {
    let adapter = |kind, state, speed| Adapter {
        kind: Some(kind),
        physical: Some(false),
        driver: None,
        link_speed: speed,
        state: Some(state),
    };
    let port = |driver: &str, state, speed| Adapter {
        physical: Some(true),
        driver: Some(driver.into()),
        ..adapter(AdapterKind::Ethernet, state, speed)
    };
    let (up, fast) = (AdapterState::Up, Some(25_000_000_000));
    let adapters = vec![
        port("tg3", AdapterState::Down, None),
        port("ice", up, fast),
        port("ice", up, fast),
        adapter(AdapterKind::Bond, up, Some(50_000_000_000)),
        adapter(AdapterKind::Vlan, up, Some(50_000_000_000)),
        adapter(AdapterKind::Loopback, up, None),
    ];
    Network { count: Some(6), adapters: Some(adapters) }
}

pub(crate) fn storage() -> Storage {
    let drive = |kind, sectors: u64, family: &str| Drive {
        kind: Some(kind),
        bus: Some(DriveBus::Sas),
        size: Some(sectors * 512),
        sector_size: Some(512),
        physical_sector_size: Some(4096),
        model_family: Some(family.into()),
    };
    let disk = drive(DriveKind::Hdd, 4_688_430_768, "SEAGATE ST2400MM0159");
    let ssd = drive(DriveKind::Ssd, 3_750_748_848, "TOSHIBA KPM5XVUG1T92");
    let drives = [vec![disk; 11], vec![ssd]].concat();
    Storage { count: Some(12), drives: Some(drives) }
}

pub(crate) fn alerts() -> Alerts {
    Alerts {
        memory_errors_corrected: Some(17),
        memory_errors_uncorrected: Some(0),
        arrays_degraded: Some(0),
        ..Alerts::default()
    }
}
