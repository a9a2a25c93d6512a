//! A `ThinkPad` with Ubuntu 24.04: 2 large cores with two threads each and 8 small ones, 16 GiB in
//! two modules, Wi-Fi, a USB stick, an encrypted root on `NVMe`.

use candor_model::events::device::{
    Adapter, AdapterKind, AdapterState, Architecture, Chassis, Drive, DriveBus, DriveKind, Machine,
    Memory, Module, Network, Processor, Storage,
};
use candor_model::events::security::{Lockdown, Posture, SecurityModule, SecurityModuleMode};

use crate::SECRET;
use crate::tree::Tree;

const NVME: &str = "pci0000:00/0000:00:06.0/0000:01:00.0/nvme/nvme0/nvme0n1";
const USB: &str = "pci0000:00/0000:00:14.0/usb3/3-2/3-2:1.0/host0/target0:0:0/0:0:0:0";

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    system(&tree);
    processors(&tree);
    adapters(&tree);
    drives(&tree);
    tree
}

fn system(tree: &Tree) {
    let release = "PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\n\
                   VERSION=\"24.04.1 LTS (Noble Numbat)\"\nID=ubuntu\nID_LIKE=debian\n";
    tree.file("etc/os-release", release).file("etc/hostname", SECRET);
    tree.files(
        "proc/sys/kernel",
        &[("osrelease", "6.8.0-45-generic"), ("version", "#45-Ubuntu SMP"), ("arch", "x86_64")],
    );
    tree.files(
        "sys/class/dmi/id",
        &[
            ("sys_vendor", "LENOVO"),
            ("product_name", "21CB00B0GE"),
            ("product_serial", SECRET),
            ("product_uuid", SECRET),
            ("chassis_type", "10"),
            ("chassis_asset_tag", SECRET),
            ("bios_vendor", "LENOVO"),
            ("bios_version", "N3AET78W (1.43 )"),
            ("bios_date", "04/12/2024"),
        ],
    );
    let secure_boot = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    tree.bytes(secure_boot, &[6, 0, 0, 0, 1]);
    tree.file("sys/kernel/security/lockdown", "none [integrity] confidentiality");
    tree.bytes("sys/kernel/security/lsm", b"lockdown,capability,yama,apparmor");
    tree.files("sys/module/apparmor/parameters", &[("enabled", "Y"), ("mode", "enforce")]);
    tree.file("etc/ufw/ufw.conf", "# Set to yes to start on boot.\nENABLED=yes\nLOGLEVEL=low\n");
    tree.directory("sys/class/tpm/tpm0");
    tree.file("run/reboot-required", "*** System restart required ***");
    tree.file(
        "var/lib/update-notifier/updates-available",
        "\n9 updates can be applied immediately.\n3 of these updates are standard security updates.\n",
    );
    tree.file("var/lib/dpkg/status", "").modified("var/lib/dpkg/status", 1_726_000_000);
    tree.file(
        "proc/meminfo",
        "MemTotal:       16085176 kB\nMemFree: 1 kB\nSwapTotal:       2097148 kB\n",
    );
    tree.bytes("sys/firmware/dmi/tables/DMI", &smbios());
}

/// Two slots with 8 GiB of LPDDR4 each, at 4267 of possible 4800 MT/s.
fn smbios() -> Vec<u8> {
    let mut slot = vec![0; 0x28];
    slot[..4].copy_from_slice(&[17, 0x28, 1, 0]);
    slot[0x0C..0x0E].copy_from_slice(&8192u16.to_le_bytes());
    slot[0x12] = 0x1E;
    slot[0x15..0x17].copy_from_slice(&4800u16.to_le_bytes());
    slot[0x20..0x22].copy_from_slice(&4267u16.to_le_bytes());
    slot.extend_from_slice(format!("Samsung\0{SECRET}\0\0").as_bytes());
    let end = [127, 4, 9, 0, 0, 0];
    [slot.clone(), slot, end.to_vec()].concat()
}

fn processors(tree: &Tree) {
    let flags = "flags\t\t: fpu vme lm aes avx2\n";
    let name = "model name\t: 12th Gen Intel(R) Core(TM) i3-1220P\n";
    let cpuinfo =
        format!("processor\t: 0\nvendor_id\t: GenuineIntel\n{name}cpu MHz\t\t: 913.2\n{flags}");
    tree.file("proc/cpuinfo", cpuinfo);
    tree.files(
        "sys/devices/system/cpu",
        &[("online", "0-11"), ("present", "0-11"), ("offline", "")],
    );
    tree.file("sys/devices/system/node/online", "0");
    tree.file("sys/devices/cpu_core/cpus", "0-3").file("sys/devices/cpu_atom/cpus", "4-11");
    for cpu in 0..4 {
        let threads = if cpu < 2 { "0-1" } else { "2-3" };
        let l3 = (3, "Unified", "12288K", "0-11");
        let own = [(1, "Data", "48K", threads), (1, "Instruction", "32K", threads)];
        let caches = [own[0], own[1], (2, "Unified", "1280K", threads), l3];
        tree.cpu(cpu, "0", threads, &caches);
        frequency(tree, cpu, "1500000", "4400000");
    }
    for cpu in 4..12 {
        let thread = &*cpu.to_string();
        let cluster = if cpu < 8 { "4-7" } else { "8-11" };
        let l3 = (3, "Unified", "12288K", "0-11");
        let own = [(1, "Data", "32K", thread), (1, "Instruction", "64K", thread)];
        let caches = [own[0], own[1], (2, "Unified", "2048K", cluster), l3];
        tree.cpu(cpu, "0", thread, &caches);
        frequency(tree, cpu, "1100000", "3300000");
    }
}

fn frequency(tree: &Tree, cpu: u32, base: &str, max: &str) {
    let files =
        [("base_frequency", base), ("cpuinfo_max_freq", max), ("scaling_cur_freq", "913200")];
    tree.files(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq"), &files);
}

fn adapters(tree: &Tree) {
    let lo = [("type", "772"), ("operstate", "unknown"), ("carrier", "1"), ("flags", "0x9")];
    tree.net("virtual/net/lo", None, &lo);
    let wifi =
        [("type", "1"), ("operstate", "up"), ("uevent", "DEVTYPE=wlan\nINTERFACE=wlp0s20f3")];
    tree.net("pci0000:00/0000:00:14.3/net/wlp0s20f3", Some(("iwlwifi", "pci")), &wifi);
    let dock = [("type", "1"), ("operstate", "down"), ("speed", "-1"), ("uevent", "INTERFACE=enx")];
    tree.net("pci0000:00/0000:00:14.0/usb3/3-1/3-1:1.0/net/enx", Some(("r8152", "usb")), &dock);
    let modem = [("type", "65534"), ("operstate", "down"), ("uevent", "DEVTYPE=wwan")];
    tree.net("pci0000:00/0000:00:1c.0/0000:08:00.0/net/wwan0", Some(("iosm", "pci")), &modem);
    let vpn = [
        ("type", "65534"),
        ("operstate", "unknown"),
        ("carrier", "1"),
        ("flags", "0x10c1"),
        ("uevent", "DEVTYPE=wireguard"),
    ];
    tree.net("virtual/net/wg0", None, &vpn);
    let docker = [
        ("type", "1"),
        ("operstate", "down"),
        ("speed", "4294967295"),
        ("uevent", "DEVTYPE=bridge"),
    ];
    tree.net("virtual/net/docker0", None, &docker);
    let veth =
        [("type", "1"), ("operstate", "up"), ("speed", "10000"), ("uevent", "INTERFACE=veth1")];
    tree.net("virtual/net/veth1", None, &veth);
}

fn drives(tree: &Tree) {
    tree.block(
        NVME,
        &[
            ("size", "1000215216"),
            ("removable", "0"),
            ("queue/rotational", "0"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "512"),
            ("device/model", "SAMSUNG MZVL2512HCJQ-00BL7              "),
            ("device/serial", SECRET),
            ("wwid", SECRET),
        ],
    );
    tree.files(&format!("sys/devices/{NVME}/nvme0n1p3"), &[("partition", "3"), ("size", "9")]);
    tree.link("sys/class/block/nvme0n1p3", &format!("sys/devices/{NVME}/nvme0n1p3"));
    tree.block(
        &format!("{USB}/block/sda"),
        &[
            ("size", "60088320"),
            ("removable", "1"),
            ("queue/rotational", "1"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "512"),
            ("device/vendor", "SanDisk "),
            ("device/model", "Ultra           "),
        ],
    );
    let reader = USB.replace("3-2", "3-3");
    tree.block(&format!("{reader}/block/sdb"), &[("size", "0"), ("removable", "1")]);
    for (layer, size) in [("loop0", "130000"), ("zram0", "8000000"), ("ublkb0", "4096")] {
        tree.block(&format!("virtual/block/{layer}"), &[("size", size)]);
    }
    encrypted_root(tree);
}

/// `/` on a logical volume on LUKS on the third partition.
fn encrypted_root(tree: &Tree) {
    let crypt = "virtual/block/dm-0";
    tree.block(
        crypt,
        &[("size", "900000"), ("dm/name", "dm_crypt-0"), ("dm/uuid", "CRYPT-LUKS2-ab-dm_crypt-0")],
    );
    tree.link(&format!("sys/devices/{crypt}/slaves/nvme0n1p3"), "sys/class/block/nvme0n1p3");
    let volume = "virtual/block/dm-1";
    tree.block(volume, &[("size", "800000"), ("dm/name", "ubuntu--vg-lv"), ("dm/uuid", "LVM-xyz")]);
    tree.link(&format!("sys/devices/{volume}/slaves/dm-0"), "sys/class/block/dm-0");
    tree.link("sys/dev/block/252:1", &format!("sys/devices/{volume}"));
    let mounts = "24 30 0:22 / /proc rw - proc proc rw\n\
                  30 1 252:1 / / rw,relatime shared:1 - ext4 /dev/mapper/ubuntu--vg-lv rw\n";
    tree.file("proc/1/mountinfo", mounts);
}

pub(crate) fn posture() -> Posture {
    let module = |name: &str, mode| SecurityModule { name: name.into(), mode };
    Posture {
        os_name: Some("Ubuntu".into()),
        os_version: Some("24.04".into()),
        os_build: None,
        kernel_release: Some("6.8.0-45-generic".into()),
        kernel_build: Some("#45-Ubuntu SMP".into()),
        patch_level: Some("24.04.1".into()),
        secure_boot: Some(true),
        kernel_lockdown: Some(Lockdown::Integrity),
        security_modules: Some(vec![
            module("lockdown", None),
            module("capability", None),
            module("yama", None),
            module("apparmor", Some(SecurityModuleMode::Enforcing)),
        ]),
        firewall: Some(true),
        root_encrypted: Some(true),
        tpm: Some(true),
        reboot_pending: Some(true),
        security_updates_pending: Some(3),
        last_update: Some("2024-09-10T20:26:40Z".into()),
    }
}

pub(crate) fn machine() -> Machine {
    Machine {
        manufacturer: Some("LENOVO".into()),
        model: Some("21CB00B0GE".into()),
        chassis: Some(Chassis::Laptop),
        firmware_vendor: Some("LENOVO".into()),
        firmware_version: Some("N3AET78W (1.43 )".into()),
        firmware_date: Some("2024-04-12".into()),
        is_virtual: Some(false),
        hypervisor: None,
        architecture: Some(Architecture::Amd64),
    }
}

pub(crate) fn processor() -> Processor {
    Processor {
        vendor: Some("GenuineIntel".into()),
        model: Some("12th Gen Intel(R) Core(TM) i3-1220P".into()),
        sockets: Some(1),
        cores: Some(10),
        efficiency_cores: Some(8),
        threads: Some(12),
        threads_offline: Some(0),
        base_frequency: Some(1_500_000_000),
        max_frequency: Some(4_400_000_000),
        cache_l1d: Some((2 * 48 + 8 * 32) << 10),
        cache_l1i: Some((2 * 32 + 8 * 64) << 10),
        cache_l2: Some((2 * 1280 + 2 * 2048) << 10),
        cache_l3: Some(12 << 20),
        numa_nodes: Some(1),
    }
}

pub(crate) fn memory() -> Memory {
    let module = Module { size: Some(8 << 30), kind: Some("lpddr4"), speed: Some(4_267_000_000) };
    Memory {
        installed: Some(16 << 30),
        usable: Some(16_085_176 * 1024),
        swap: Some(2_097_148 * 1024),
        modules: Some(vec![module.clone(), module]),
    }
}

pub(crate) fn network() -> Network {
    let adapter = |kind, state| Adapter {
        kind: Some(kind),
        physical: Some(false),
        state: Some(state),
        ..Adapter::default()
    };
    let hardware = |kind, state, driver: &str| Adapter {
        physical: Some(true),
        driver: Some(driver.into()),
        ..adapter(kind, state)
    };
    let adapters = vec![
        hardware(AdapterKind::Ethernet, AdapterState::Down, "r8152"),
        hardware(AdapterKind::Wifi, AdapterState::Up, "iwlwifi"),
        hardware(AdapterKind::Cellular, AdapterState::Down, "iosm"),
        adapter(AdapterKind::Bridge, AdapterState::Down),
        adapter(AdapterKind::Tunnel, AdapterState::Up),
        adapter(AdapterKind::Virtual, AdapterState::Up),
        adapter(AdapterKind::Loopback, AdapterState::Up),
    ];
    Network { count: Some(7), adapters: Some(adapters) }
}

pub(crate) fn storage() -> Storage {
    let drive = |kind, bus, sectors: u64, family: &str| Drive {
        kind: Some(kind),
        bus: Some(bus),
        size: Some(sectors * 512),
        sector_size: Some(512),
        physical_sector_size: Some(512),
        model_family: Some(family.into()),
    };
    let drives = vec![
        drive(DriveKind::Nvme, DriveBus::Nvme, 1_000_215_216, "SAMSUNG MZVL2512HCJQ"),
        drive(DriveKind::Removable, DriveBus::Usb, 60_088_320, "SanDisk Ultra"),
    ];
    Storage { count: Some(2), drives: Some(drives) }
}
