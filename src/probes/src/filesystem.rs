//! How full the local file systems are: level 2, with each report (only the last value counts).
//!
//! The per-OS file finds and measures them; which names may be told is decided here.
//!
//! # Invariants
//! - Real local file systems only: a list of types that are, never a list of those that are not, so
//!   that no network or FUSE mount is ever asked. What hangs all the same (a failing drive) costs
//!   the round its deadline and nothing else.
//! - A mount point is told when it is a path of the system itself ([`SYSTEM_PATHS`]); of any other
//!   the first directories that the hierarchy standard names (`/home/*`, `/run/media/*`), else `*`.
//! - A device is told by the kernel's name; one that a person named is absent.
//! - No two points have the same attributes: of file systems that would, the first is told.
//! - At most [`MAX_FILESYSTEMS`].
//!
//! A file system that cannot be measured is left out.

use std::path::PathBuf;

use candor_model::metrics::system::{
    FILESYSTEM_LIMIT, FILESYSTEM_MODES, FILESYSTEM_STATES, FILESYSTEM_USAGE, FILESYSTEM_UTILIZATION,
};
use candor_model::{Level, Number, Point, Record, Value};

use crate::points::{Sheet, last, share, text, whole, word};
use crate::{Host, Moment, Probe, ProbeError, Rhythm, Whereabouts};

mod forecast;
#[cfg(unix)]
mod linux;
#[cfg(unix)]
use linux::measure;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::measure;

use forecast::Forecast;

/// The most file systems that are told.
const MAX_FILESYSTEMS: usize = 24;

/// Paths that every system has, so that they say nothing of its people.
const SYSTEM_PATHS: [&str; 21] = [
    "/",
    "/boot",
    "/boot/efi",
    "/boot/firmware",
    "/efi",
    "/home",
    "/media",
    "/mnt",
    "/nix",
    "/opt",
    "/root",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/spool",
    "/var/tmp",
];

/// Directories below which others choose the names; the longest that fits is told.
const CLASSES: [&str; 14] = [
    "/boot",
    "/home",
    "/media",
    "/mnt",
    "/nix",
    "/opt",
    "/root",
    "/run/media",
    "/run",
    "/srv",
    "/tmp",
    "/usr",
    "/var/lib",
    "/var",
];

/// One file system, sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
struct FileSystem {
    /// The kernel's name of its device.
    device: Option<String>,
    /// Its type.
    kind: String,
    is_read_only: bool,
    /// Where it is mounted, as the host says; told only by [`told`].
    mount_point: String,
    used: u64,
    /// What an ordinary user can still have.
    free: u64,
    /// What only root can have; absent where the OS does not tell it apart.
    reserved: Option<u64>,
}

impl FileSystem {
    fn limit(&self) -> Option<u64> {
        self.used.checked_add(self.free)?.checked_add(self.reserved.unwrap_or(0))
    }

    fn states(&self) -> [Option<u64>; 3] {
        [Some(self.used), Some(self.free), self.reserved]
    }

    /// What is told of which file system it is: device; type, mode, mount point.
    fn identity(&self) -> (Option<Value>, [Option<Value>; 3]) {
        let mode = FILESYSTEM_MODES[usize::from(self.is_read_only)];
        let mount_point = text(&told(&self.mount_point));
        (self.device.as_deref().and_then(text), [text(&self.kind), word(mode), mount_point])
    }
}

/// The probe.
#[derive(Debug)]
pub(crate) struct Filesystem {
    forecast: Forecast,
    whereabouts: Whereabouts,
}

impl Filesystem {
    /// A probe that keeps its history in a file, where one is given.
    pub(crate) fn new(history: Option<PathBuf>) -> Self {
        Self { forecast: Forecast::new(history), whereabouts: Whereabouts::default() }
    }
}

impl Probe for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn whereabouts(&self) -> Option<Whereabouts> {
        Some(self.whereabouts.clone())
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let all = distinct(measure(host, &self.whereabouts)?);
        let mut records = write(&all, now);
        records.extend(self.forecast.look(&all, now).map(Record::from));
        Ok(records)
    }

    fn reset(&mut self) {
        self.forecast.reset();
    }
}

/// Those whose identity is told for the first time, up to the bound.
fn distinct(all: Vec<FileSystem>) -> Vec<FileSystem> {
    let mut told: Vec<FileSystem> = Vec::new();
    for one in all {
        let is_known = told.iter().any(|other| other.identity() == one.identity());
        if !is_known && told.len() < MAX_FILESYSTEMS {
            told.push(one);
        }
    }
    told
}

fn write(all: &[FileSystem], now: Moment) -> Vec<Record> {
    let mut sheet = Sheet::default();
    let wholes = |_: &FileSystem, bytes| whole(bytes);
    sheet.add(&FILESYSTEM_USAGE, all.iter().flat_map(|one| by_state(one, now, wholes)));
    let shares = |one: &FileSystem, bytes| share(bytes, one.limit()?);
    sheet.add(&FILESYSTEM_UTILIZATION, all.iter().flat_map(|one| by_state(one, now, shares)));
    let limit = |one: &FileSystem| {
        let (device, rest) = one.identity();
        let attributes = std::iter::once(device).chain(rest).collect();
        last(attributes, now.wall, one.limit().and_then(whole))
    };
    sheet.add(&FILESYSTEM_LIMIT, all.iter().map(limit));
    sheet.into_records()
}

fn by_state(
    one: &FileSystem,
    now: Moment,
    value: impl Fn(&FileSystem, u64) -> Option<Number>,
) -> Vec<Option<Point>> {
    let point = |(state, bytes): (&&'static str, Option<u64>)| {
        let (device, rest) = one.identity();
        let attributes = [device, word(state)].into_iter().chain(rest).collect();
        last(attributes, now.wall, value(one, bytes?))
    };
    FILESYSTEM_STATES.iter().zip(one.states()).map(point).collect()
}

/// The mount point, or its class when someone chose its name.
fn told(mount_point: &str) -> String {
    let is_drive =
        matches!(mount_point.as_bytes(), [letter, b':', b'\\'] if letter.is_ascii_alphabetic());
    if is_drive || SYSTEM_PATHS.contains(&mount_point) {
        return mount_point.to_owned();
    }
    let holds =
        |class: &&&str| mount_point.strip_prefix(**class).is_some_and(|rest| rest.starts_with('/'));
    let class = CLASSES.iter().filter(holds).max_by_key(|class| class.len());
    class.map_or_else(|| "*".to_owned(), |class| format!("{class}/*"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, values};

    fn filesystem(device: Option<&str>, mount_point: &str) -> FileSystem {
        FileSystem {
            device: device.map(str::to_owned),
            kind: "ext4".into(),
            is_read_only: false,
            mount_point: mount_point.into(),
            used: 60,
            free: 30,
            reserved: Some(10),
        }
    }

    #[test]
    fn a_mount_point_never_tells_a_user_or_a_chosen_name() {
        for (mount_point, expected) in [
            ("/", "/"),
            ("/boot/efi", "/boot/efi"),
            ("/home", "/home"),
            ("/home/jane", "/home/*"),
            ("/home/jane/private", "/home/*"),
            ("/homes/jane", "*"),
            ("/run/media/jane/Holiday 2026", "/run/media/*"),
            ("/media/jane/stick", "/media/*"),
            ("/var/lib/docker/volumes/acme-crm", "/var/lib/*"),
            ("/data/jane", "*"),
            ("/srv/jane/../..", "/srv/*"),
            ("C:\\", "C:\\"),
            ("C:\\Users\\jane\\mnt\\", "*"),
            ("", "*"),
        ] {
            assert_eq!(told(mount_point), expected, "{mount_point}");
        }
    }

    #[test]
    fn the_states_add_up_to_the_limit() {
        let records = write(&[filesystem(Some("/dev/vda"), "/")], at(0));
        let usage = values(&records, "system.filesystem.usage");
        let names: Vec<_> = usage.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["/dev/vda used ext4 rw /", "/dev/vda free ext4 rw /", "/dev/vda reserved ext4 rw /"]
        );
        assert!((usage.iter().map(|(_, bytes)| bytes).sum::<f64>() - 100.0).abs() < 1e-9);
        let limit = [("/dev/vda ext4 rw /".into(), 100.0)];
        assert_eq!(values(&records, "system.filesystem.limit"), limit);
        let used = &values(&records, "system.filesystem.utilization")[0];
        assert_eq!(used, &("/dev/vda used ext4 rw /".into(), 0.6));
    }

    #[test]
    fn two_that_would_be_told_alike_are_told_once() {
        let all = vec![
            filesystem(None, "/home/jane"),
            filesystem(None, "/home/joe"),
            filesystem(Some("/dev/sdb1"), "/home/eve"),
        ];
        let told = distinct(all);
        assert_eq!(told.len(), 2);
        let many = (0..1000).map(|n| filesystem(Some(&format!("/dev/sd{n}")), "/mnt/x")).collect();
        assert_eq!(distinct(many).len(), MAX_FILESYSTEMS);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "filesystem::told",
            Says::Stands,
            &["/var/lib/docker", "/home/jane/x", "C:\\\\"],
            told,
        );
    }
}
