//! A Raspberry Pi 4 with Debian 12: no DMI, no UEFI, no TPM driver; an SD card, a wired adapter at
//! 1 Gbit/s, Wi-Fi switched off.

use candor_model::events::device::{
    Adapter, AdapterKind, AdapterState, Architecture, Drive, DriveBus, DriveKind, Machine, Memory,
    Network, Processor, Storage,
};
use candor_model::events::security::Posture;

use crate::SECRET;
use crate::tree::Tree;

const CARD: &str = "platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0";

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    let release =
        "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nID=debian\n";
    tree.file("etc/os-release", release).file("etc/debian_version", "12.7");
    let kernel = [
        ("osrelease", "6.6.31+rpt-rpi-v8"),
        ("version", "#1 SMP PREEMPT Debian"),
        ("arch", "aarch64"),
    ];
    tree.files("proc/sys/kernel", &kernel);
    tree.bytes("sys/firmware/devicetree/base/model", b"Raspberry Pi 4 Model B Rev 1.4\0");
    tree.bytes("sys/firmware/devicetree/base/compatible", b"raspberrypi,4-model-b\0brcm,bcm2711\0");
    tree.bytes("sys/firmware/devicetree/base/serial-number", SECRET.as_bytes());
    let core = |cpu| {
        format!(
            "processor\t: {cpu}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd08\n\n"
        )
    };
    let cpuinfo: String = (0..4).map(core).collect();
    tree.file(
        "proc/cpuinfo",
        format!("{cpuinfo}Revision\t: d03114\nSerial\t\t: {SECRET}\nModel\t\t: Raspberry Pi 4\n"),
    );
    tree.files("sys/devices/system/cpu", &[("online", "0-3"), ("present", "0-3")]);
    for cpu in 0..4 {
        tree.cpu(cpu, "0", &cpu.to_string(), &[]);
        let directory = format!("sys/devices/system/cpu/cpu{cpu}");
        tree.file(&format!("{directory}/cpu_capacity"), "1024");
        tree.file(&format!("{directory}/cpufreq/cpuinfo_max_freq"), "1800000");
    }
    tree.file("proc/meminfo", "MemTotal:        3880780 kB\nSwapTotal:        102396 kB\n");
    tree.file("etc/kernel/postinst.d/unattended-upgrades", "#!/bin/sh");
    adapters(&tree);
    drives(&tree);
    tree
}

fn adapters(tree: &Tree) {
    let lo = [("type", "772"), ("operstate", "unknown"), ("carrier", "1"), ("flags", "0x9")];
    tree.net("virtual/net/lo", None, &lo);
    let wired = [("type", "1"), ("operstate", "up"), ("speed", "1000")];
    tree.net("platform/scb/fd580000.ethernet/net/eth0", Some(("bcmgenet", "platform")), &wired);
    let wifi = [("type", "1"), ("operstate", "down"), ("uevent", "DEVTYPE=wlan")];
    tree.net("platform/soc/fe300000.mmcnr/mmc1:0001/net/wlan0", Some(("brcmfmac", "sdio")), &wifi);
}

fn drives(tree: &Tree) {
    tree.block(
        CARD,
        &[
            ("size", "62333952"),
            ("removable", "0"),
            ("queue/rotational", "0"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "512"),
            ("device/name", "SD32G"),
            ("device/serial", SECRET),
            ("device/cid", SECRET),
        ],
    );
    let boot = CARD.replace("block/mmcblk0", "block/mmcblk0boot0");
    tree.block(&boot, &[("size", "8192"), ("removable", "0")]);
    tree.files(&format!("sys/devices/{CARD}/mmcblk0p2"), &[("partition", "2")]);
    tree.link("sys/dev/block/179:2", &format!("sys/devices/{CARD}/mmcblk0p2"));
    tree.file("proc/1/mountinfo", "25 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw\n");
}

pub(crate) fn posture() -> Posture {
    Posture {
        os_name: Some("Debian GNU/Linux".into()),
        os_version: Some("12".into()),
        kernel_release: Some("6.6.31+rpt-rpi-v8".into()),
        kernel_build: Some("#1 SMP PREEMPT Debian".into()),
        patch_level: Some("12.7".into()),
        root_encrypted: Some(false),
        reboot_pending: Some(false),
        ..Posture::default()
    }
}

pub(crate) fn machine() -> Machine {
    Machine {
        model: Some("Raspberry Pi 4 Model B Rev 1.4".into()),
        is_virtual: Some(false),
        architecture: Some(Architecture::Arm64),
        ..Machine::default()
    }
}

pub(crate) fn processor() -> Processor {
    Processor {
        vendor: Some("ARM".into()),
        model: Some("Cortex-A72".into()),
        sockets: Some(1),
        cores: Some(4),
        threads: Some(4),
        threads_offline: Some(0),
        max_frequency: Some(1_800_000_000),
        ..Processor::default()
    }
}

pub(crate) fn memory() -> Memory {
    Memory { usable: Some(3_880_780 * 1024), swap: Some(102_396 * 1024), ..Memory::default() }
}

pub(crate) fn network() -> Network {
    let adapter = |kind, driver: &str, link_speed, state| Adapter {
        kind: Some(kind),
        physical: Some(true),
        driver: Some(driver.into()),
        link_speed,
        state: Some(state),
    };
    let lo = Adapter {
        kind: Some(AdapterKind::Loopback),
        physical: Some(false),
        state: Some(AdapterState::Up),
        ..Adapter::default()
    };
    let adapters = vec![
        adapter(AdapterKind::Ethernet, "bcmgenet", Some(1_000_000_000), AdapterState::Up),
        adapter(AdapterKind::Wifi, "brcmfmac", None, AdapterState::Down),
        lo,
    ];
    Network { count: Some(3), adapters: Some(adapters) }
}

pub(crate) fn storage() -> Storage {
    let card = Drive {
        kind: Some(DriveKind::Ssd),
        bus: Some(DriveBus::Mmc),
        size: Some(62_333_952 * 512),
        sector_size: Some(512),
        physical_sector_size: Some(512),
        model_family: Some("SD32G".into()),
    };
    Storage { count: Some(1), drives: Some(vec![card]) }
}
