//! The allow-list of a recording. What is not named here is not copied.
//!
//! # Invariants
//! - `*` stands for any part of one name.
//! - Nothing that names a person, an address or a serial number; what a file says beside what is wanted
//!   of it is left out by [`PARTS`].

use std::collections::BTreeSet;

/// Files that are copied whole.
pub(super) const FILES: &[&str] = &[
    "etc/debian_version",
    "etc/os-release",
    "usr/lib/os-release",
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/interrupts",
    "proc/loadavg",
    "proc/meminfo",
    "proc/modules",
    "proc/stat",
    "proc/uptime",
    "proc/vmstat",
    "proc/sys/kernel/arch",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/tainted",
    "proc/sys/kernel/version",
    "proc/xen/capabilities",
    "sys/class/dmi/id/bios_date",
    "sys/class/dmi/id/bios_vendor",
    "sys/class/dmi/id/bios_version",
    "sys/class/dmi/id/chassis_type",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/sys_vendor",
    "sys/devices/cpu_atom/cpus",
    "sys/devices/cpu_core/cpus",
    "sys/devices/system/clocksource/clocksource0/available_clocksource",
    "sys/devices/system/cpu/cpu*/acpi_cppc/nominal_freq",
    "sys/devices/system/cpu/cpu*/cache/index*/level",
    "sys/devices/system/cpu/cpu*/cache/index*/shared_cpu_list",
    "sys/devices/system/cpu/cpu*/cache/index*/size",
    "sys/devices/system/cpu/cpu*/cache/index*/type",
    "sys/devices/system/cpu/cpu*/cpu_capacity",
    "sys/devices/system/cpu/cpu*/cpufreq/base_frequency",
    "sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq",
    "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
    "sys/devices/system/cpu/cpu*/topology/core_cpus_list",
    "sys/devices/system/cpu/cpu*/topology/physical_package_id",
    "sys/devices/system/cpu/cpu*/topology/thread_siblings_list",
    "sys/devices/system/cpu/offline",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/present",
    "sys/devices/system/edac/mc/mc*/ce_count",
    "sys/devices/system/edac/mc/mc*/ue_count",
    "sys/devices/system/memory/block_size_bytes",
    "sys/devices/system/node/online",
    "sys/firmware/devicetree/base/compatible",
    "sys/firmware/devicetree/base/hypervisor/compatible",
    "sys/firmware/devicetree/base/model",
    "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    "sys/fs/btrfs/*/devinfo/*/error_stats",
    "sys/fs/ext4/*/errors_count",
    "sys/fs/selinux/enforce",
    "sys/hypervisor/type",
    "sys/kernel/oops_count",
    "sys/kernel/warn_count",
    "sys/kernel/security/lockdown",
    "sys/kernel/security/lsm",
    "sys/module/*/version",
    "sys/module/apparmor/parameters/enabled",
    "sys/module/apparmor/parameters/mode",
];

/// Files and directories of which only that they are there matters.
pub(super) const PRESENT: &[&str] = &[
    "etc/kernel/postinst.d/unattended-upgrades",
    "etc/kernel/postinst.d/update-notifier",
    "lib/ld-musl-*",
    "lib/modules/*/modules.dep",
    "lib/systemd/libsystemd-shared-*.so",
    "proc/net/vlan/*",
    "run/reboot-required",
    "run/systemd/units/invocation:ferm.service",
    "run/systemd/units/invocation:firewalld.service",
    "run/systemd/units/invocation:iptables.service",
    "run/systemd/units/invocation:netfilter-persistent.service",
    "run/systemd/units/invocation:nftables.service",
    "run/systemd/units/invocation:shorewall.service",
    "sys/bus/vmbus/devices/*",
    "sys/class/tpm",
    "sys/class/tpm/tpm*",
    "sys/devices/system/memory/memory*",
    "sys/firmware/acpi/tables/*",
    "usr/lib/*-gnu/systemd/libsystemd-shared-*.so",
    "usr/lib/systemd/libsystemd-shared-*.so",
    "usr/share/update-notifier/notify-reboot-required",
];

/// The packages' databases: when something was last installed.
pub(super) const CHANGED: &[&str] = &[
    "lib/apk/db/installed",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "var/lib/dpkg/status",
    "var/lib/rpm/Packages",
    "var/lib/rpm/rpmdb.sqlite",
];

/// Whether a line is copied.
type IsWanted = fn(&str) -> bool;

/// Files of which some lines are copied.
pub(super) const PARTS: &[(&str, IsWanted)] = &[
    ("etc/ufw/ufw.conf", |line| line.trim().to_ascii_uppercase().starts_with("ENABLED=")),
    ("lib/modules/*/modules.builtin", |line| {
        ["/nf_tables.ko", "/ip_tables.ko", "/ip6_tables.ko", "/x_tables.ko"]
            .iter()
            .any(|filter| line.ends_with(filter))
    }),
    ("usr/bin/ldd", |line| line.contains("ldd (") && line.contains("echo")),
    ("var/lib/update-notifier/updates-available", |line| line.contains("update")),
];

/// Below each link of `sys/block` and `sys/class/block`.
pub(super) const BLOCK: &[&str] = &[
    "size",
    "removable",
    "ro",
    "hidden",
    "partition",
    "queue/rotational",
    "queue/logical_block_size",
    "queue/physical_block_size",
    "device/model",
    "device/vendor",
    "device/name",
    "md/level",
    "md/degraded",
    "loop/autoclear",
    "dm/suspended",
];

/// The class's own directories, and what is recorded below its entries beside the files of [`BLOCK`].
const SPELT_ELSEWHERE: &[&str] = &[
    "block",
    "bus",
    "net",
    "scsi_host",
    "slaves",
    "name",
    "uuid",
    "driver",
    "subsystem",
    "uevent",
];

/// Every part of a path that is spelt out here and so nobody's name; `*` stands for a number.
pub(super) fn spelt() -> BTreeSet<&'static str> {
    let lists = [FILES, PRESENT, CHANGED, BLOCK, NET, PCI, &WIRELESS, SPELT_ELSEWHERE];
    let partly = PARTS.iter().map(|(path, _)| *path);
    let paths = lists.into_iter().flatten().copied().chain(partly);
    paths.flat_map(|path| path.split('/')).filter(|part| *part != "*").collect()
}

/// Below each link of `sys/class/net`.
pub(super) const NET: &[&str] = &[
    "type",
    "operstate",
    "carrier",
    "speed",
    "flags",
    "tun_flags",
    "bonding/mode",
    "bridge/stp_state",
];

/// Below an adapter with a device; that they are there tells Wi-Fi.
pub(super) const WIRELESS: [&str; 2] = ["phy80211", "wireless"];

/// Below each link of `sys/bus/pci/devices`: counts of errors.
pub(super) const PCI: &[&str] = &["aer_dev_correctable", "aer_dev_fatal", "aer_dev_nonfatal"];
