//! Whether the root file system lies on encrypted storage: from its mount down through volumes and
//! arrays to the drives.
//!
//! ```text
//! mountinfo `/` -> 8:2 or /dev/mapper/x -> sys/dev/block/8:2 -> slaves/… -> dm/uuid CRYPT-…
//! ```
//!
//! # Invariants
//! - Encrypted means: every path from the file system to a drive goes through dm-crypt.
//! - A file system that encrypts by itself, or that lies on no device here, tells nothing.

use std::path::{Path, PathBuf};

use crate::Host;

/// Volumes on arrays on volumes: nobody stacks deeper.
const MAX_DEPTH: u32 = 8;

/// File systems that always lie on block devices and do not encrypt themselves as a whole.
const PLAIN: [&str; 6] = ["ext4", "ext3", "ext2", "xfs", "btrfs", "vfat"];

pub(super) fn is_encrypted(host: &Host) -> Option<bool> {
    // Process 1 sees the host's own mounts, also where this agent is confined.
    let mounts = host.content(&host.proc("1/mountinfo"));
    let mounts = mounts.or_else(|| host.content(&host.proc("self/mountinfo")))?;
    // What was mounted last lies on top.
    let root = mounts.lines().rev().filter_map(Mount::parse).find(|mount| mount.point == "/")?;
    is_device_encrypted(host, &root.device(host)?, MAX_DEPTH)
        .filter(|is_encrypted| *is_encrypted || PLAIN.contains(&root.kind))
}

/// A line of `mountinfo`, as far as it matters here.
struct Mount<'a> {
    number: &'a str,
    point: &'a str,
    kind: &'a str,
    source: &'a str,
}

impl<'a> Mount<'a> {
    /// `22 27 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw`
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(2);
        let (number, point) = (place.next()?, place.nth(1)?);
        let mut kind = kind.split(' ');
        Some(Self { number, point, kind: kind.next()?, source: kind.next()? })
    }

    /// The device's directory in `sys`. File systems over several devices have a number of their
    /// own, 0:…; there the source names one of them.
    fn device(&self, host: &Host) -> Option<PathBuf> {
        if !self.number.starts_with("0:") {
            let device = host.sys("dev/block").join(self.number);
            return device.exists().then_some(device);
        }
        let name = self.source.strip_prefix("/dev/")?;
        match name.strip_prefix("mapper/") {
            Some(name) => mapped(host, name),
            None => Some(host.sys("class/block").join(name)).filter(|device| device.exists()),
        }
    }
}

fn mapped(host: &Host, name: &str) -> Option<PathBuf> {
    let directory = host.sys("class/block");
    let mut devices = host.names(&directory).into_iter().map(|device| directory.join(device));
    devices.find(|device| host.text(&device.join("dm/name")).as_deref() == Some(name))
}

fn is_device_encrypted(host: &Host, device: &Path, depth: u32) -> Option<bool> {
    if depth == 0 || !device.exists() {
        return None;
    }
    let identity = host.text(&device.join("dm/uuid")).unwrap_or_default();
    if identity.starts_with("CRYPT-") {
        return Some(true);
    }
    let below = device.join("slaves");
    let below: Option<Vec<bool>> = host
        .names(&below)
        .iter()
        .map(|name| is_device_encrypted(host, &below.join(name), depth - 1))
        .collect();
    let below = below?;
    Some(!below.is_empty() && below.iter().all(|is_encrypted| *is_encrypted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_with_and_without_optional_fields() {
        let line = "22 27 8:2 / / rw,relatime shared:1 master:2 - ext4 /dev/sda2 rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.number, mount.point, mount.kind), ("8:2", "/", "ext4"));
        assert_eq!(mount.source, "/dev/sda2");
        assert!(Mount::parse("22 27 8:2 / / rw - ext4 /dev/sda2 rw").is_some());
        assert!(Mount::parse("not a mount").is_none());
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "posture/root_disk::parse",
            Says::Stands,
            &["22 27 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw"],
            |line| {
                Mount::parse(line).map(|mount| {
                    [mount.number, mount.point, mount.kind, mount.source].map(str::to_owned)
                })
            },
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_mirror_is_encrypted_when_all_that_it_lies_on_is() {
        for (legs, is_encrypted) in [
            (["CRYPT-LUKS2-a", "CRYPT-LUKS2-b"], true),
            (["CRYPT-LUKS2-a", "LVM-b"], false),
            (["LVM-a", "CRYPT-LUKS2-b"], false),
            (["LVM-a", "LVM-b"], false),
        ] {
            let root = tempfile::tempdir().unwrap();
            let host = Host::new(root.path());
            let slaves = host.sys("dev/block/9:0/slaves");
            for (name, identity) in ["a", "b"].into_iter().zip(legs) {
                std::fs::create_dir_all(slaves.join(name).join("dm")).unwrap();
                std::fs::write(slaves.join(name).join("dm/uuid"), identity).unwrap();
            }
            std::fs::create_dir_all(host.proc("1")).unwrap();
            let mounts = "1 0 9:0 / / rw - ext4 /dev/md0 rw\n";
            std::fs::write(host.proc("1/mountinfo"), mounts).unwrap();
            assert_eq!(super::is_encrypted(&host), Some(is_encrypted), "{legs:?}");
        }
    }
}
