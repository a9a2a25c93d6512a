//! What is recorded of a Linux machine: the allow-list, and how it is copied.
//!
//! ```text
//! a/*/b     every entry of a that has b
//! link      an entry of sys that is a link: its place below sys/devices is made, and the link to it
//! ```
//!
//! # Invariants
//! - Links are written relative, so that they stay in the directory.
//!
//! A file that cannot be read is left out.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::disguise::disguise;
use super::write_failed;
use crate::{Host, ProbeError};

/// Files, with `*` for any one name.
const FILES: [&str; 44] = [
    "etc/os-release",
    "etc/debian_version",
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
    "sys/class/dmi/id/bios_date",
    "sys/class/dmi/id/bios_vendor",
    "sys/class/dmi/id/bios_version",
    "sys/class/dmi/id/chassis_type",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/sys_vendor",
    "sys/devices/cpu_atom/cpus",
    "sys/devices/cpu_core/cpus",
    "sys/devices/system/clocksource/clocksource0/available_clocksource",
    "sys/devices/system/cpu/*/cpu_capacity",
    "sys/devices/system/cpu/*/cpufreq/base_frequency",
    "sys/devices/system/cpu/*/cpufreq/cpuinfo_max_freq",
    "sys/devices/system/cpu/*/topology/core_cpus_list",
    "sys/devices/system/cpu/*/topology/physical_package_id",
    "sys/devices/system/cpu/*/topology/thread_siblings_list",
    "sys/devices/system/cpu/offline",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/present",
    "sys/devices/system/edac/mc/*/ce_count",
    "sys/devices/system/edac/mc/*/ue_count",
    "sys/devices/system/memory/block_size_bytes",
    "sys/devices/system/node/online",
    "sys/firmware/devicetree/base/compatible",
    "sys/firmware/devicetree/base/model",
    "sys/hypervisor/type",
    "sys/kernel/security/lockdown",
    "sys/kernel/security/lsm",
    "sys/module/*/version",
];

/// Below each `cache/index*` of a processor.
const CACHE: [&str; 4] = ["level", "type", "size", "shared_cpu_list"];

/// Below each link of `sys/block`.
const BLOCK: [&str; 15] = [
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

/// Below each link of `sys/class/net`.
const NET: [&str; 7] =
    ["type", "operstate", "carrier", "speed", "flags", "bonding/mode", "bridge/stp_state"];

pub(super) fn record(host: &Host, dir: &Path) -> Result<usize, ProbeError> {
    let mut copy = Copy {
        host,
        dir,
        name: host.text(&host.proc("sys/kernel/hostname")),
        files: BTreeSet::new(),
    };
    for pattern in FILES {
        copy.matching(pattern)?;
    }
    for cpu in host.names(&host.sys("devices/system/cpu")) {
        for index in host.names(&host.sys("devices/system/cpu").join(&cpu).join("cache")) {
            let cache = format!("sys/devices/system/cpu/{cpu}/cache/{index}");
            CACHE.iter().try_for_each(|file| copy.file(&format!("{cache}/{file}")))?;
        }
    }
    copy.links("block", &BLOCK)?;
    copy.links("class/net", &NET)?;
    Ok(copy.files.len())
}

struct Copy<'a> {
    host: &'a Host,
    dir: &'a Path,
    /// The host's name, which is replaced wherever it stands.
    name: Option<String>,
    files: BTreeSet<String>,
}

impl Copy<'_> {
    fn clean(&self, text: &str) -> String {
        disguise(text, self.name.as_deref().filter(|name| name.len() > 2))
    }

    fn matching(&mut self, pattern: &str) -> Result<(), ProbeError> {
        let Some((before, after)) = pattern.split_once("/*/") else { return self.file(pattern) };
        for name in self.host.names(&self.host.path(before)) {
            self.file(&format!("{before}/{name}/{after}"))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str) -> Result<(), ProbeError> {
        let Some(content) = self.host.content(&self.host.path(path)) else { return Ok(()) };
        let target = self.dir.join(self.clean(path));
        make_parent(&target)?;
        fs::write(&target, self.clean(&content)).map_err(|source| write_failed(&target, source))?;
        self.files.insert(path.to_owned());
        Ok(())
    }

    /// Each entry of a class: its directory where it hangs, and the link to it.
    fn links(&mut self, class: &str, files: &[&str]) -> Result<(), ProbeError> {
        for name in self.host.names(&self.host.sys(class)) {
            let entry = self.host.sys(class).join(&name);
            let Some(place) = self.host.leads_to(&entry).filter(|_| entry.is_dir()) else {
                continue;
            };
            let place = place.to_string_lossy().into_owned();
            for file in files {
                self.file(&format!("{place}/{file}"))?;
            }
            self.uevent(&place)?;
            self.device(&place)?;
            self.link(&format!("sys/{class}/{name}"), &place)?;
        }
        Ok(())
    }

    /// Of `uevent` only what kind of device it is.
    fn uevent(&mut self, place: &str) -> Result<(), ProbeError> {
        let path = format!("{place}/uevent");
        let uevent = self.host.content(&self.host.path(&path)).unwrap_or_default();
        let Some(kind) = uevent.lines().find(|line| line.starts_with("DEVTYPE=")) else {
            return Ok(());
        };
        let target = self.dir.join(self.clean(&path));
        make_parent(&target)?;
        fs::write(&target, format!("{kind}\n")).map_err(|source| write_failed(&target, source))?;
        self.files.insert(path);
        Ok(())
    }

    /// The driver and the bus of the device behind an adapter.
    fn device(&mut self, place: &str) -> Result<(), ProbeError> {
        let device = format!("{place}/device");
        if !place.contains("/net/") || !self.host.path(&device).exists() {
            return Ok(());
        }
        for link in ["driver", "subsystem"] {
            if let Some(name) = self.host.link_name(&self.host.path(&device).join(link)) {
                let bus = format!("sys/bus/{link}/{name}");
                self.link(&format!("{device}/{link}"), &bus)?;
            }
        }
        Ok(())
    }

    fn link(&mut self, path: &str, to: &str) -> Result<(), ProbeError> {
        let (path, to) = (self.clean(path), self.clean(to));
        let (link, target) = (self.dir.join(&path), self.dir.join(&to));
        make_parent(&link)?;
        fs::create_dir_all(&target).map_err(|source| write_failed(&target, source))?;
        let up: PathBuf = path.split('/').skip(1).map(|_| "..").collect();
        match symlink(up.join(to), &link) {
            // Two that had the same name once their addresses were replaced.
            Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(write_failed(&link, source))
            }
            _ => Ok(()),
        }
    }
}

fn make_parent(path: &Path) -> Result<(), ProbeError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|source| write_failed(parent, source))
}
