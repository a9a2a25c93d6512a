//! The services of systemd that run, as files tell them.
//!
//! # Invariants
//! - Of a process only its start is looked at.
//!
//! What is missing or malformed is absent.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Host;
use crate::scan::{lines, number, words};

/// Where systemd keeps its services' control groups: version 2, version 1, and both at once.
const SLICES: [&str; 3] = ["system.slice", "systemd/system.slice", "unified/system.slice"];

/// Where packages put their units.
const PACKAGED: [&str; 2] = ["usr/lib/systemd/system", "lib/systemd/system"];

/// How many processes of a service are asked when they started: the first is nearly always in it.
const MAX_PROCESSES: usize = 8;

/// One service.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// `ssh.service`.
    pub(super) name: String,
    pub(super) group: PathBuf,
    /// What is another one after each start: systemd's id of it, and the control group's number.
    pub(super) start: (Option<PathBuf>, Option<u64>),
    pub(super) restarts: u64,
    /// How many looks did not find it.
    pub(super) missed: u32,
}

/// The services that run, by name; the first so many.
pub(super) fn running(host: &Host, most: usize) -> Vec<Unit> {
    let slices = SLICES.iter().map(|slice| host.sys("fs/cgroup").join(slice));
    let Some(slice) = slices.into_iter().find(|slice| slice.is_dir()) else { return Vec::new() };
    let mut groups = Vec::new();
    for group in directories(&slice) {
        match group.extension().and_then(|kind| kind.to_str()) {
            Some("service") => groups.push(group),
            Some("slice") => {
                let of_it = directories(&group).into_iter();
                groups.extend(
                    of_it.filter(|group| group.extension().is_some_and(|e| e == "service")),
                );
            }
            _ => {}
        }
    }
    groups.sort_unstable_by(|a, b| a.file_name().cmp(&b.file_name()));
    groups.truncate(most);
    groups.into_iter().filter_map(|group| Unit::at(host, group)).collect()
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

impl Unit {
    fn at(host: &Host, group: PathBuf) -> Option<Self> {
        let name = group.file_name()?.to_str()?.to_owned();
        let link = host.path("run/systemd/units").join(format!("invocation:{name}"));
        let inode = group.metadata().ok().map(|metadata| metadata.ino());
        let start = (fs::read_link(link).ok(), inode);
        Some(Self { name, group, start, restarts: 0, missed: 0 })
    }

    /// How long the service runs: as long as its oldest process.
    pub(super) fn ran(&self, host: &Host, uptime: Option<Duration>) -> Option<Duration> {
        uptime?.checked_sub(started(host, &self.group)?)
    }

    /// The name that may be told: of a packaged service, without `.service` and instance.
    pub(super) fn told(&self, host: &Host) -> Option<String> {
        let bare = self.name.strip_suffix(".service")?;
        let bare = match bare.split_once('@') {
            Some((template, _)) => format!("{template}@"),
            None => bare.to_owned(),
        };
        let is_packaged = |directory| host.path(directory).join(format!("{bare}.service")).exists();
        PACKAGED.into_iter().any(is_packaged).then_some(bare)
    }
}

/// How long the host runs, which the ages of its services are counted from.
pub(super) fn uptime(host: &Host) -> Option<Duration> {
    crate::cpu::uptime(host)
}

/// When the oldest process of a control group started, since boot.
fn started(host: &Host, group: &Path) -> Option<Duration> {
    let text = host.head(&group.join("cgroup.procs"), 256)?;
    let pids = lines(text.as_bytes()).filter_map(number).take(MAX_PROCESSES);
    pids.filter_map(|pid| start(&host.content(&host.proc(&format!("{pid}/stat")))?)).min()
}

/// The 22nd field of `/proc/PID/stat`, ticks of 10 ms; the second stands in parentheses and may
/// hold any character.
fn start(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = words(fields.as_bytes()).nth(19).and_then(number)?;
    Some(Duration::from_millis(ticks.checked_mul(10)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::tests::Machine;

    #[test]
    fn the_bound_keeps_the_first_by_name() {
        let machine = Machine::new();
        for number in (0..20).rev() {
            machine.service(&format!("s{number:02}.service"), 100 + number, 1);
        }
        let names: Vec<_> = running(&machine.host, 2).into_iter().map(|unit| unit.name).collect();
        assert_eq!(names, ["s00.service", "s01.service"]);
    }

    #[test]
    fn the_oldest_process_counts_and_a_malformed_one_does_not() {
        let machine = Machine::new();
        machine.service("a.service", 10, 500);
        machine.service("b.service", 11, 300);
        let group = machine.host.sys("fs/cgroup/system.slice/a.service");
        fs::write(group.join("cgroup.procs"), "10\n11\nx\n999\n").unwrap();
        assert_eq!(started(&machine.host, &group), Some(Duration::from_mins(5)));
        for stat in ["", "1 (a", "1 (a) S 1 2", "1 (a) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 x"] {
            assert_eq!(start(stat), None, "{stat}");
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "services/unit::start",
            Says::Derived("ticks of ten milliseconds"),
            &["1 (a) b) S 0 1 1 0 -1 4194560 1 0 0 0 10 5 0 0 20 0 1 0 100 1000000 500 0"],
            start,
        );
    }
}
