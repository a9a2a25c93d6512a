//! Linux: the mounts of the host's first process, each asked by `statvfs`.
//!
//! Its table and not our own: a service manager that confines this agent shows it everything as
//! read-only, and bind mounts that the host does not have.
//!
//! # Invariants
//! - Only types of [`LOCAL_TYPES`] are asked; of several mounts of one device the one with the
//!   shortest path, of several mounts on one path the last, as `df` does it.
//! - What is asked is what the table says: where the device number can be compared, a path whose
//!   device is another (covered by a later mount, or a recorded machine's) gives no number.
//! - What this agent does not see (a home directory that is hidden from it) gives no number.
//! - Images on loop devices are left out: they are always full.
//!
//! A mount that cannot be asked is left out; without the table the round fails.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::FileSystem;
use crate::{Host, ProbeError, Whereabouts};

/// File systems that keep their data on a drive of this host.
const LOCAL_TYPES: [&str; 19] = [
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs", "hfsplus", "jfs", "minix",
    "nilfs2", "ntfs", "ntfs3", "reiserfs", "ufs", "vfat", "xfs", "zfs",
];

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
struct Mount {
    /// `MAJOR:MINOR`.
    device: String,
    path: String,
    is_read_only: bool,
    kind: String,
    source: String,
}

/// Every local file system, in the order of the table.
pub(super) fn measure(
    host: &Host,
    whereabouts: &Whereabouts,
) -> Result<Vec<FileSystem>, ProbeError> {
    let own = host.proc("self/mountinfo");
    let table = match host.content(&host.proc("1/mountinfo")) {
        Some(table) => table,
        None => host.require(&own)?,
    };
    // A recorded machine has no other view.
    let own = if host.is_live() { host.content(&own) } else { None };
    let own = own.filter(|own| *own != table).map(|own| own.lines().filter_map(parse).collect());
    Ok(select(table.lines().filter_map(parse).collect())
        .into_iter()
        .filter(|mount| own.as_ref().is_none_or(|own: &Vec<Mount>| is_visible(own, mount)))
        .filter_map(|mount| {
            whereabouts.at(&mount.path);
            let answer = ask(host, mount);
            whereabouts.left();
            answer
        })
        .collect())
}

/// Whether a path leads to the same device in our own table: the last of the longest that hold it.
fn is_visible(own: &[Mount], mount: &Mount) -> bool {
    let holds = |other: &&Mount| Path::new(&mount.path).starts_with(&other.path);
    let nearest = own.iter().filter(holds).max_by_key(|other| other.path.len());
    nearest.is_some_and(|nearest| nearest.device == mount.device)
}

/// See proc(5): `ID PARENT MAJOR:MINOR ROOT PATH OPTIONS [TAG…] - TYPE SOURCE SUPEROPTIONS`.
fn parse(line: &str) -> Option<Mount> {
    let (mount, superblock) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let device = mount.next()?.to_owned();
    let path = unescape(mount.nth(1)?)?;
    let options = mount.next()?;
    let mut superblock = superblock.split(' ');
    let kind = superblock.next()?.to_owned();
    let source = unescape(superblock.next()?)?;
    let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
    let is_read_only = is_read_only(options) || superblock.next().is_some_and(is_read_only);
    Some(Mount { device, path, is_read_only, kind, source })
}

/// The table writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let octal = (*byte == b'\\').then(|| tail.get(..3)).flatten();
        let code =
            octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*byte));
        rest = if code.is_some() { tail.get(3..)? } else { tail };
    }
    String::from_utf8(bytes).ok()
}

/// The mounts to ask.
fn select(mounts: Vec<Mount>) -> Vec<Mount> {
    let mut selected: Vec<Mount> = Vec::new();
    for mount in mounts {
        selected.retain(|other| other.path != mount.path);
        if !LOCAL_TYPES.contains(&mount.kind.as_str()) || mount.source.starts_with("/dev/loop") {
            continue;
        }
        match selected.iter_mut().find(|other| other.device == mount.device) {
            Some(other) if mount.path.len() < other.path.len() => *other = mount,
            Some(_) => {}
            None => selected.push(mount),
        }
    }
    selected
}

#[expect(clippy::useless_conversion, reason = "the counts are 32 bits wide on 32-bit systems")]
fn ask(host: &Host, mount: Mount) -> Option<FileSystem> {
    let path = host.path(mount.path.trim_start_matches('/'));
    if !is_the_same(host, &mount, &path) {
        return None;
    }
    let space = nix::sys::statvfs::statvfs(&path).ok()?;
    let unit = u64::from(space.fragment_size());
    let bytes = |blocks| u64::from(blocks).checked_mul(unit);
    let (all, free) = (bytes(space.blocks())?, bytes(space.blocks_free())?);
    let available = bytes(space.blocks_available())?;
    Some(FileSystem {
        device: device(host, &mount),
        used: all.checked_sub(free).filter(|_| all > 0)?,
        free: available,
        reserved: Some(free.checked_sub(available)?),
        kind: mount.kind,
        is_read_only: mount.is_read_only,
        mount_point: mount.path,
    })
}

/// Whether the path leads to the device that the table names. A device of major number 0 is no
/// drive's (btrfs, zfs), and there the two may differ; it is trusted on the host itself only.
fn is_the_same(host: &Host, mount: &Mount, path: &Path) -> bool {
    if mount.device.starts_with("0:") {
        return host.is_live();
    }
    let found = path.metadata().map(|metadata| metadata.dev());
    found.is_ok_and(|dev| {
        let (major, minor) = (nix::sys::stat::major(dev), nix::sys::stat::minor(dev));
        mount.device == format!("{major}:{minor}")
    })
}

/// `/dev/NAME` by the kernel's name: `dm-0`, not the name that its maker chose.
fn device(host: &Host, mount: &Mount) -> Option<String> {
    let link = host.sys(&format!("dev/block/{}", mount.device)).read_link();
    let linked = link.ok().and_then(|to| Some(to.file_name()?.to_str()?.to_owned()));
    let named = || mount.source.strip_prefix("/dev/").filter(|name| !name.contains('/'));
    let name = linked.or_else(|| named().map(str::to_owned))?;
    Some(format!("/dev/{name}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn paths(table: &str) -> Vec<String> {
        let mounts = select(table.lines().filter_map(parse).collect());
        mounts.into_iter().map(|mount| mount.path).collect()
    }

    #[test]
    fn network_fuse_pseudo_and_loop_mounts_are_never_asked() {
        let table = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            22 27 0:21 / /proc rw - proc proc rw\n\
            23 27 0:22 / /run rw shared:5 - tmpfs tmpfs rw\n\
            24 27 0:60 / /mnt/nfs rw - nfs4 server:/export rw\n\
            25 27 0:61 / /mnt/smb rw - cifs //server/share rw\n\
            26 27 0:62 / /mnt/ssh rw - fuse.sshfs jane@host: rw\n\
            28 27 8:17 / /mnt/ntfs rw - fuseblk /dev/sdb1 rw\n\
            29 27 7:1 / /mnt/image rw - ext4 /dev/loop1 rw\n\
            30 27 7:2 / /snap/core/1 ro - squashfs /dev/loop2 ro\n\
            31 27 0:63 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n\
            32 27 253:1 / /var rw - xfs /dev/mapper/vg-var rw\n";
        assert_eq!(paths(table), ["/", "/var"]);
    }

    #[test]
    fn one_device_is_asked_once_at_its_shortest_path_and_a_covered_mount_not_at_all() {
        let table = "1 0 8:2 / /var/lib/a/b rw - ext4 /dev/sda2 rw\n\
            2 0 8:2 / /srv rw - ext4 /dev/sda2 rw\n\
            3 0 8:3 / /mnt rw - ext4 /dev/sda3 rw\n\
            4 0 0:90 / /mnt rw - nfs4 server:/x rw\n";
        assert_eq!(paths(table), ["/srv"]);
    }

    #[test]
    fn what_is_hidden_from_this_agent_is_not_seen() {
        let parsed = |table: &str| table.lines().filter_map(parse).collect::<Vec<_>>();
        let own = parsed(
            "1 0 8:2 / / ro - ext4 /dev/sda2 rw\n\
            2 1 8:2 /var/lib/candor /var/lib/candor rw - ext4 /dev/sda2 rw\n\
            3 1 0:40 / /home rw - btrfs /dev/sdb1 rw\n\
            4 3 0:22 /systemd/inaccessible/dir /home ro - tmpfs tmpfs rw\n",
        );
        let seen = |line: &str| is_visible(&own, &parsed(line)[0]);
        assert!(seen("1 0 8:2 / / rw - ext4 /dev/sda2 rw"));
        assert!(seen("1 0 8:2 / /srv rw - ext4 /dev/sda2 rw"));
        assert!(!seen("1 0 0:40 / /home rw - btrfs /dev/sdb1 rw"));
        assert!(!seen("1 0 8:3 / /mnt rw - ext4 /dev/sda3 rw"));
    }

    #[test]
    fn a_line_is_read_as_documented() {
        let line = "36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime shared:1 master:2 - ext3 /dev/root ro,errors=continue";
        let mount = parse(line).unwrap();
        assert_eq!((mount.device.as_str(), mount.path.as_str()), ("98:0", "/mnt/a b"));
        assert_eq!((mount.kind.as_str(), mount.source.as_str()), ("ext3", "/dev/root"));
        assert!(mount.is_read_only, "the superblock is");
    }

    #[test]
    fn a_malformed_line_is_left_out_and_does_not_panic() {
        let line = "36 35 98:0 /mnt1 /mnt/a\\040b rw - ext3 /dev/root rw";
        for cut in 0..line.len() {
            parse(&line[..cut]);
        }
        for text in ["\\", "\\0", "\\04", "\\999", "\\777", "a\\"] {
            unescape(text);
        }
        assert_eq!(parse(""), None);
        assert_eq!(unescape("\\999").as_deref(), Some("\\999"));
    }

    #[test]
    fn a_recorded_machine_gives_no_number_of_the_drive_that_holds_the_recording() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("self")).unwrap();
        let table =
            "27 1 999:99 / / rw - ext4 /dev/sdz rw\n28 27 0:50 / /home rw - btrfs /dev/sdz1 rw\n";
        fs::write(host.proc("self/mountinfo"), table).unwrap();
        fs::create_dir_all(host.path("home")).unwrap();
        assert_eq!(measure(&host, &Whereabouts::default()).unwrap(), []);
    }

    #[test]
    fn a_device_is_told_by_the_kernels_name_only() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.sys("dev/block")).unwrap();
        std::os::unix::fs::symlink("../../devices/virtual/block/dm-3", host.sys("dev/block/253:3"))
            .unwrap();
        let of = |line: &str| device(&host, &parse(line).unwrap());
        let dm = "1 0 253:3 / / rw - ext4 /dev/mapper/vg-home_jane rw";
        assert_eq!(of(dm).as_deref(), Some("/dev/dm-3"));
        assert_eq!(of("1 0 0:9 / / rw - zfs rpool/home/jane rw"), None);
        assert_eq!(of("1 0 0:9 / / rw - btrfs /dev/mapper/jane rw"), None);
        assert_eq!(of("1 0 0:9 / / rw - btrfs /dev/sda2 rw").as_deref(), Some("/dev/sda2"));
    }

    #[test]
    fn this_hosts_root_is_as_df_says() {
        let root = measure(&Host::live(), &Whereabouts::default())
            .unwrap()
            .into_iter()
            .find(|one| one.mount_point == "/");
        let output = std::process::Command::new("df").args(["-k", "/"]).output();
        let (Some(root), Ok(output)) = (root, output) else { return };
        let text = String::from_utf8(output.stdout).unwrap();
        let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        let kib = |column: usize| row[column].parse::<u64>().unwrap();
        assert_eq!(root.limit().unwrap() / 1024, kib(1));
        // Others write while this runs: within 1 GiB.
        assert!((root.used / 1024).abs_diff(kib(2)) < 1 << 20, "{root:?} {row:?}");
        assert!((root.free / 1024).abs_diff(kib(3)) < 1 << 20, "{root:?} {row:?}");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "filesystem/linux::parse",
            Says::Derived("octal escapes are characters"),
            &[
                "22 27 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n",
                "31 30 0:99 / /mnt/a\\040b ro - cifs //h/x rw",
            ],
            |table| table.lines().map(parse).collect::<Vec<_>>(),
        );
    }
}
