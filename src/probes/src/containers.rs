//! How containers are used, by their control groups: level 2, with each report; their CPU time once
//! a minute. Linux only.
//!
//! ```text
//! containers/find.rs   which groups are containers
//! containers/group.rs  what a group tells, in version 1 and 2
//! this file            what that means over time, and under which id it is told
//! ```
//!
//! # Invariants
//! - A container is told by a keyed id made outside; neither its name nor its runtime's id leaves.
//! - A group that is another one under the same id was started anew: its series begins anew too,
//!   and the restart is counted.
//! - New containers are looked for with each report only, so that hosts without any pay nothing
//!   between: one that came and went between two reports is not seen.
//!
//! Where there are no control groups there are no records.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use candor_model::metrics::container::{
    CPU_LIMIT, CPU_MODES, CPU_TIME, MEMORY_LIMIT, MEMORY_RSS, MEMORY_USAGE, MEMORY_WORKING_SET,
    RESTARTS, SCOPES,
};
use candor_model::{Level, Number, Point, Record, UnixNanos, Value};

use crate::beat::Beat;
use crate::points::{Sheet, during, last, text, whole, word};
use crate::window::{Continuity, Window};
use crate::{Host, Moment, Probe, ProbeError, Pseudonym, Rhythm};

mod find;
mod group;

use find::{Found, find};
use group::{Hierarchy, Memory};

/// The most series: each container, and those that came after a restart.
const MAX_SERIES: usize = 256;

/// What the container that the agent runs in is called.
const OWN: &str = "self";

/// One container.
#[derive(Clone, Debug)]
struct Container {
    /// Its series; another one after each restart.
    series: u32,
    /// The series before the last restart, whose time is told with the next report.
    earlier: Option<u32>,
    path: PathBuf,
    /// The keyed id, and the runtime.
    told: (String, Option<&'static str>),
    /// The group's own number: another group has another.
    inode: u64,
    restarts: u64,
    /// How many looks did not find it.
    missed: u32,
}

/// The probe.
pub(crate) struct Containers {
    pseudonym: Pseudonym,
    hierarchy: Option<Hierarchy>,
    known: Vec<Container>,
    next_series: u32,
    beat: Beat,
    continuity: Continuity,
    window: Window<u32, 2>,
    /// Since when restarts are counted; `None` before the first look.
    since: Option<UnixNanos>,
}

impl Containers {
    pub(crate) fn new(pseudonym: Pseudonym) -> Self {
        Self {
            pseudonym,
            hierarchy: None,
            known: Vec::new(),
            next_series: 0,
            beat: Beat::default(),
            continuity: Continuity::default(),
            window: Window::new(MAX_SERIES),
            since: None,
        }
    }

    /// Looks which containers there are now.
    fn look(&mut self, host: &Host) {
        self.hierarchy = Hierarchy::of(host);
        let Some(hierarchy) = self.hierarchy.clone() else {
            self.known.clear();
            return;
        };
        self.known.iter_mut().for_each(|container| container.missed += 1);
        let mut found = find(hierarchy.tree());
        if hierarchy.is_inside(host) {
            found.push(Found { path: PathBuf::new(), id: OWN.to_owned(), runtime: None });
        }
        for found in found {
            let metadata = hierarchy.tree().join(&found.path).metadata();
            if let Ok(metadata) = metadata {
                self.note(found, metadata.ino());
            }
        }
        // A container that is down at one look may be back at the next.
        self.known.retain(|container| container.missed < 2);
    }

    fn note(&mut self, found: Found, inode: u64) {
        let id = if found.id == OWN { found.id } else { (self.pseudonym)("container", &found.id) };
        let told = (id, found.runtime);
        let series = self.next_series;
        let Some(known) = self.known.iter_mut().find(|known| known.told == told) else {
            self.next_series = series.wrapping_add(1);
            let (path, restarts, missed) = (found.path, 0, 0);
            self.known.push(Container {
                series,
                earlier: None,
                path,
                told,
                inode,
                restarts,
                missed,
            });
            return;
        };
        if known.inode != inode {
            self.next_series = series.wrapping_add(1);
            known.restarts += 1;
            known.earlier = Some(known.series);
            (known.inode, known.series) = (inode, series);
        }
        (known.path, known.missed) = (found.path, 0);
    }

    /// Reads the CPU time of those that are known.
    fn read(&mut self, host: &Host, now: Moment) {
        self.window.begin(self.continuity.breaks_at(now));
        if let Some(hierarchy) = &self.hierarchy {
            for container in self.known.iter().filter(|container| container.missed == 0) {
                if let Some(times) = hierarchy.cpu(host, &container.path) {
                    self.window.observe(container.series, times, now.wall);
                }
            }
        }
        self.window.finish();
    }

    fn write(&mut self, sheet: &mut Sheet, host: &Host, now: Moment) {
        self.write_times(sheet);
        let since = self.since.replace(now.wall);
        let restarts = self.known.iter_mut().map(|container| {
            let restarts = std::mem::take(&mut container.restarts);
            during((since?, now.wall), container.attributes().into(), whole(restarts))
        });
        sheet.add(&RESTARTS, restarts);
        let Some(hierarchy) = &self.hierarchy else { return };
        let present = || self.known.iter().filter(|container| container.missed == 0);
        let memories: Vec<_> = present().map(|c| (c, hierarchy.memory(host, &c.path))).collect();
        let mut add = |entry, of: fn(&Memory) -> Option<u64>| {
            let points = memories.iter().map(|(container, memory)| {
                last(container.attributes().into(), now.wall, of(memory).and_then(whole))
            });
            sheet.add(entry, points);
        };
        add(&MEMORY_USAGE, |memory| memory.usage);
        add(&MEMORY_WORKING_SET, |memory| memory.working_set);
        add(&MEMORY_RSS, |memory| memory.rss);
        let total = memory_total(host).and_then(whole);
        let limits = present().flat_map(|container| {
            let own = hierarchy.memory_limit(host, &container.path).and_then(whole);
            container.limits(now, [own, total.clone()])
        });
        sheet.add(&MEMORY_LIMIT, limits);
        let cpus = cpus(host).map(Number::Double);
        let limits = present().flat_map(|container| {
            let own = hierarchy.cpu_limit(host, &container.path).map(Number::Double);
            container.limits(now, [own, cpus.clone()])
        });
        sheet.add(&CPU_LIMIT, limits);
    }

    fn write_times(&mut self, sheet: &mut Sheet) {
        let spans = self.window.report();
        let points = spans.iter().flat_map(|span| {
            let is_its =
                |known: &&Container| known.series == span.key || known.earlier == Some(span.key);
            let container = self.known.iter().find(is_its);
            CPU_MODES.iter().zip(span.delta).map(move |(mode, micros)| {
                let [id, runtime] = container?.attributes();
                let seconds = Duration::from_micros(micros).as_secs_f64();
                let attributes = vec![id, runtime, word(mode)];
                during((span.start, span.end), attributes, Some(Number::Double(seconds)))
            })
        });
        sheet.add(&CPU_TIME, points);
    }
}

impl Container {
    /// Id and runtime.
    fn attributes(&self) -> [Option<Value>; 2] {
        [text(&self.told.0), self.told.1.and_then(word)]
    }

    /// A point for each scope.
    fn limits(&self, now: Moment, limits: [Option<Number>; 2]) -> [Option<Point>; 2] {
        let [id, runtime] = self.attributes();
        let [own, hosts] = limits;
        let point =
            |scope, limit| last(vec![id.clone(), runtime.clone(), word(scope)], now.wall, limit);
        [point(SCOPES[0], own), point(SCOPES[1], hosts)]
    }
}

/// Memory of the host.
fn memory_total(host: &Host) -> Option<u64> {
    let text = host.content(&host.proc("meminfo"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Logical CPUs of the host that are online.
fn cpus(host: &Host) -> Option<f64> {
    let text = host.content(&host.proc("stat"))?;
    let is_one = |line: &&str| {
        let rest = line.strip_prefix("cpu");
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let count = text.lines().filter(is_one).count();
    u32::try_from(count).ok().filter(|count| *count > 0).map(f64::from)
}

impl Probe for Containers {
    fn name(&self) -> &'static str {
        "containers"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        if self.since.is_none() {
            self.since = Some(now.wall);
            self.look(host);
        }
        if self.beat.is_due(now) {
            self.read(host, now);
        }
        Ok(())
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        // What ended since the last reading ends its series there.
        self.look(host);
        if !self.continuity.has_read_at(now) {
            self.read(host, now);
        }
        let mut sheet = Sheet::default();
        self.write(&mut sheet, host, now);
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self::new(self.pseudonym.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Settings;
    use crate::samples::{at, values};

    const ID: &str = "3f2b1c9d8e7a6f5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b";

    struct Machine {
        _root: tempfile::TempDir,
        host: Host,
    }

    impl Machine {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let host = Host::new(root.path());
            let machine = Self { _root: root, host };
            machine.file("sys/fs/cgroup/cgroup.controllers", "cpu memory");
            machine.file("proc/meminfo", "MemTotal:       2048 kB");
            machine.file("proc/stat", "cpu  1 1 1 1 1 1 1 1\ncpu0 1\ncpu1 1\nintr 5");
            machine
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.host.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }

        fn group(&self, user: u64) {
            let path = |name| format!("{}/{name}", Self::place());
            self.file(&path("cpu.stat"), &format!("user_usec {user}\nsystem_usec 10"));
            self.file(&path("cpu.max"), "50000 100000");
            self.file(&path("memory.max"), "max");
            self.file(&path("memory.current"), "4096");
            self.file(&path("memory.stat"), "anon 1000\ninactive_file 96");
        }

        fn place() -> String {
            format!("sys/fs/cgroup/system.slice/docker-{ID}.scope")
        }

        /// Another directory under the same name, as after a restart: the old one is kept beside
        /// it, so that the new one cannot have its inode.
        fn restart(&self) {
            let place = self.host.path(Self::place());
            fs::rename(&place, self.host.path("old")).unwrap();
        }
    }

    fn probe() -> Containers {
        Containers::new(std::sync::Arc::new(|domain, value| format!("{domain}:{}", &value[..4])))
    }

    #[test]
    fn a_container_is_told_by_its_id_its_use_and_both_limits() {
        let machine = Machine::new();
        machine.group(1_000_000);
        let mut probe = probe();
        probe.sample(&machine.host, at(0)).unwrap();
        machine.group(3_500_000);
        let records = probe.report(&machine.host, at(60)).unwrap();
        let key = |rest: &str| format!("container:3f2b docker {rest}").trim_end().to_owned();
        let times = [(key("user"), 2.5), (key("system"), 0.0)];
        assert_eq!(values(&records, "container.cpu.time"), times);
        assert_eq!(values(&records, "container.memory.usage"), [(key(""), 4096.0)]);
        assert_eq!(values(&records, "container.memory.working_set"), [(key(""), 4000.0)]);
        assert_eq!(values(&records, "container.memory.rss"), [(key(""), 1000.0)]);
        let limits = [(key("container"), 0.5), (key("host"), 2.0)];
        assert_eq!(values(&records, "candor.container.cpu.limit"), limits);
        // The container may have all that the host has.
        let limits = [(key("host"), 2048.0 * 1024.0)];
        assert_eq!(values(&records, "candor.container.memory.limit"), limits);
        assert_eq!(values(&records, "candor.container.restarts"), [(key(""), 0.0)]);
    }

    #[test]
    fn a_restart_is_counted_and_no_time_is_told_over_it() {
        let machine = Machine::new();
        machine.group(1_000_000);
        let mut probe = probe();
        probe.sample(&machine.host, at(0)).unwrap();
        machine.group(1_500_000);
        probe.sample(&machine.host, at(60)).unwrap();
        machine.restart();
        machine.group(9_000_000);
        let records = probe.report(&machine.host, at(90)).unwrap();
        let restarts = |records: &[Record]| values(records, "candor.container.restarts")[0].1;
        assert!((restarts(&records) - 1.0).abs() < 1e-9);
        // What it used until the last reading before, and nothing of the new one.
        let times = values(&records, "container.cpu.time");
        assert_eq!(times[0], ("container:3f2b docker user".into(), 0.5));
        assert_eq!(times.len(), 2);
        let records = probe.report(&machine.host, at(120)).unwrap();
        assert!(restarts(&records).abs() < 1e-9);
    }

    #[test]
    fn a_container_that_is_down_at_one_look_is_the_same_at_the_next() {
        let machine = Machine::new();
        machine.group(1);
        let mut probe = probe();
        probe.sample(&machine.host, at(0)).unwrap();
        machine.restart();
        let records = probe.report(&machine.host, at(60)).unwrap();
        assert_eq!(values(&records, "container.memory.usage"), []);
        machine.group(5);
        let records = probe.report(&machine.host, at(120)).unwrap();
        assert!((values(&records, "candor.container.restarts")[0].1 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn neither_name_nor_runtimes_id_leaves() {
        let machine = Machine::new();
        machine.group(1);
        machine.file("sys/fs/cgroup/machine.slice/machine-janes.scope/cpu.stat", "user_usec 1");
        let mut probe = Containers::new(Settings::default().pseudonym);
        let records = probe.report(&machine.host, at(0)).unwrap();
        assert_eq!(values(&records, "candor.container.cpu.limit").len(), 3);
        let text = format!("{records:?}");
        assert!(!text.contains("janes") && !text.contains(&ID[..12]), "{text}");
    }

    #[test]
    fn the_agents_own_container_is_told_as_self() {
        let machine = Machine::new();
        machine.file("sys/fs/cgroup/memory.max", "1048576");
        machine.file("sys/fs/cgroup/memory.current", "7");
        let records = probe().report(&machine.host, at(0)).unwrap();
        assert_eq!(values(&records, "container.memory.usage"), [("self".into(), 7.0)]);
        let limits = [("self container".into(), 1_048_576.0), ("self host".into(), 2_097_152.0)];
        assert_eq!(values(&records, "candor.container.memory.limit"), limits);
    }

    #[test]
    fn a_host_without_containers_or_control_groups_tells_nothing() {
        let machine = Machine::new();
        assert_eq!(probe().report(&machine.host, at(0)).unwrap(), []);
        assert_eq!(probe().report(&Host::new("/nonexistent"), at(0)).unwrap(), []);
    }
}
