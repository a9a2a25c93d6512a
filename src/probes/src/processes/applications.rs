//! `candor.usage.applications`: which programs are started how often, and how much they use.
//!
//! ```text
//! sample (10 s)   ids of /proc; of each new id, its name          -> starts
//! report          all processes, compared with the last report    -> time, CPU, memory
//! ```
//!
//! # Invariants
//! - A sample opens only what is new, and at most [`MAX_LOOKS`] of it.
//! - What was there when the agent first looked is in use, but was not started in its sight.
//! - Kernel threads and processes that have ended are no programs.
//! - A version is that of the package that brought the program's file ([`packages`](super::packages)).
//! - At most [`MAX_NAMES`] names are remembered; starts of further ones are counted without a name.
//!
//! A process that ends before it is looked at is counted without a name.

use std::collections::BTreeMap;
use std::time::Duration;

use candor_model::events::application::{Application, Usage};
use candor_model::{Level, Record};

use super::packages::Packages;
use super::{Last, Reader, Seen, Snapshot, remember};
use crate::points::ratio;
use crate::window::Continuity;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// How many programs are listed.
const TOP: usize = 64;
const MAX_NAMES: usize = 512;
/// How many new processes one sample opens.
const MAX_LOOKS: usize = 32;

/// What a process is for this probe.
enum Look {
    Program(String),
    NoProgram,
    Gone,
}

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct Applications {
    reader: Reader,
    continuity: Continuity,
    starts: Starts,
    last: Option<Last>,
    /// When the window began, by the boot clock.
    begun: Option<Duration>,
    packages: Packages,
}

/// Starts since the last report.
#[derive(Debug, Default)]
struct Starts {
    /// Ids at the last look, ascending; `None` before the first.
    known: Option<Vec<u32>>,
    runs: BTreeMap<String, u64>,
    unnamed: u64,
}

impl Starts {
    fn note(&mut self, mut ids: Vec<u32>, max_looks: usize, look: impl Fn(u32) -> Look) {
        ids.sort_unstable();
        if let Some(known) = self.known.take() {
            let is_new = |id: &&u32| known.binary_search(id).is_err();
            for (rank, id) in ids.iter().filter(is_new).enumerate() {
                match if rank < max_looks { look(*id) } else { Look::Gone } {
                    Look::Program(name) => self.add(name),
                    Look::NoProgram => {}
                    Look::Gone => self.unnamed += 1,
                }
            }
        }
        self.known = Some(ids);
    }

    fn add(&mut self, name: String) {
        if self.runs.len() < MAX_NAMES || self.runs.contains_key(&name) {
            *self.runs.entry(name).or_default() += 1;
        } else {
            self.unnamed += 1;
        }
    }
}

/// What the processes of one name use together.
#[derive(Debug, Default)]
struct Sum {
    runs: u64,
    running: Option<Duration>,
    cpu: Option<Duration>,
    memory: Option<u64>,
}

impl Applications {
    fn usage(&mut self, snapshot: Snapshot, memory: Option<u64>, now: Moment) -> Usage {
        let is_gap = self.continuity.breaks_at(now);
        let last = self.last.take().filter(|_| !is_gap);
        self.last = Some(remember(&snapshot, now));
        let begun = self.begun.replace(now.boot);
        let window = begun.filter(|_| !is_gap).and_then(|begun| now.boot.checked_sub(begun));
        let capacity =
            last.as_ref().and_then(|last| snapshot.capacity?.checked_sub(last.capacity?));
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        for (name, runs) in std::mem::take(&mut self.starts.runs) {
            sums.entry(name).or_default().runs = runs;
        }
        for seen in snapshot.processes.into_iter().filter(is_program) {
            let cpu = last.as_ref().and_then(|last| last.used(&seen, window?));
            let sum = sums.entry(seen.name).or_default();
            let running = seen.uptime.zip(window).map(|(uptime, window)| uptime.min(window));
            sum.running = plus(sum.running, running, Duration::checked_add);
            sum.cpu = plus(sum.cpu, cpu, Duration::checked_add);
            sum.memory = plus(sum.memory, seen.memory, u64::checked_add);
        }
        let unnamed = std::mem::take(&mut self.starts.unnamed);
        told(sums, &Whole { window, capacity, memory, unnamed })
    }
}

fn plus<T>(sum: Option<T>, more: Option<T>, add: fn(T, T) -> Option<T>) -> Option<T> {
    match (sum, more) {
        (Some(sum), Some(more)) => add(sum, more),
        (sum, more) => sum.or(more),
    }
}

fn is_program(seen: &Seen) -> bool {
    seen.memory != Some(0)
}

/// What the parts are compared with.
struct Whole {
    window: Option<Duration>,
    capacity: Option<Duration>,
    memory: Option<u64>,
    unnamed: u64,
}

fn told(sums: BTreeMap<String, Sum>, whole: &Whole) -> Usage {
    let total = sums.len() as u64;
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.runs, sum.cpu, sum.memory)));
    rows.truncate(TOP);
    Usage {
        window: whole.window.map(|window| window.as_secs_f64()),
        total: Some(total),
        left_out: total.checked_sub(rows.len() as u64),
        unnamed_runs: Some(whole.unnamed),
        applications: rows.into_iter().map(|(name, sum)| application(name, &sum, whole)).collect(),
    }
}

fn application(name: String, sum: &Sum, whole: &Whole) -> Application {
    let millis = |time: Duration| u64::try_from(time.as_millis()).ok();
    let share = |part: Option<u64>, all: Option<u64>| {
        ratio(part?, all.filter(|all| *all > 0)?).filter(|share| *share <= 1.0)
    };
    Application {
        name,
        version: None,
        run_count: sum.runs,
        running_time: sum.running.map(|running| running.as_secs_f64()),
        cpu_share: share(sum.cpu.and_then(millis), whole.capacity.and_then(millis)),
        memory_share: share(sum.memory, whole.memory),
    }
}

impl Probe for Applications {
    fn name(&self) -> &'static str {
        "applications"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        self.begun.get_or_insert(now.boot);
        let Some(ids) = self.reader.ids(host)? else { return Ok(()) };
        let reader = &self.reader;
        self.starts.note(ids, MAX_LOOKS, |id| match reader.glimpse(host, id) {
            Some(seen) if is_program(&seen) => Look::Program(seen.name),
            Some(_) => Look::NoProgram,
            None => Look::Gone,
        });
        Ok(())
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let snapshot = self.reader.read(host, now)?;
        if snapshot.processes.is_empty() {
            return Ok(Vec::new());
        }
        let ids = snapshot.processes.iter().map(|seen| seen.pid).collect();
        // Everything is read already: a look costs nothing.
        self.starts.note(ids, usize::MAX, |id| {
            match snapshot.processes.iter().find(|seen| seen.pid == id) {
                Some(seen) if is_program(seen) => Look::Program(seen.name.clone()),
                _ => Look::NoProgram,
            }
        });
        let memory = self.reader.memory(host);
        let programs = snapshot.processes.iter().filter(|seen| is_program(seen));
        let programs = programs.map(|seen| (seen.name.clone(), seen.pid)).collect();
        self.packages.learn(host, now, &programs);
        let mut usage = self.usage(snapshot, memory, now);
        for application in &mut usage.applications {
            application.version = self.packages.version(&application.name);
        }
        Ok(vec![usage.into()])
    }

    fn reset(&mut self) {
        *self = Self { reader: std::mem::take(&mut self.reader), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    fn look(id: u32) -> Look {
        match id {
            2 => Look::NoProgram,
            9 => Look::Gone,
            id => Look::Program(format!("p{}", id % 10)),
        }
    }

    #[test]
    fn only_what_came_after_the_first_look_is_a_start() {
        let mut starts = Starts::default();
        starts.note(vec![5, 1], 32, look);
        assert_eq!((starts.runs.len(), starts.unnamed), (0, 0));
        starts.note(vec![1, 15, 5, 25, 2, 9], 32, look);
        starts.note(vec![1, 15], 32, look);
        starts.note(vec![1, 15, 5], 32, look);
        assert_eq!((starts.runs["p5"], starts.runs.len(), starts.unnamed), (3, 1, 1));
    }

    #[test]
    fn a_storm_of_starts_is_counted_and_not_opened() {
        let mut starts = Starts::default();
        starts.note(vec![], 32, look);
        let ids: Vec<u32> = (100..1100).collect();
        starts.note(ids, 32, look);
        assert_eq!((starts.runs.values().sum::<u64>(), starts.unnamed), (32, 968));
        for name in 0..2000 {
            starts.add(format!("n{name}"));
        }
        assert_eq!(starts.runs.len(), MAX_NAMES);
    }

    fn seen(pid: u32, name: &str, cpu: u64) -> Seen {
        Seen {
            pid,
            started: 7,
            name: name.to_owned(),
            cpu: Some(Duration::from_secs(cpu)),
            memory: Some(1 << 20),
            uptime: Some(Duration::from_secs(100_000)),
            ..Seen::default()
        }
    }

    fn snapshot(capacity: u64, processes: Vec<Seen>) -> Snapshot {
        let total = processes.len() as u64;
        Snapshot { processes, total, capacity: Some(Duration::from_secs(capacity)) }
    }

    #[test]
    fn processes_of_one_name_are_one_program() {
        let mut probe = Applications { begun: Some(at(0).boot), ..Applications::default() };
        let memory = Some(8 << 20);
        let first =
            probe.usage(snapshot(0, vec![seen(1, "a", 0), seen(2, "a", 10)]), memory, at(10));
        let [a] = first.applications.as_slice() else { panic!("one program") };
        assert_eq!((first.window, a.running_time, a.cpu_share), (Some(10.0), Some(20.0), None));
        assert_eq!((a.run_count, a.memory_share), (0, Some(0.25)));

        probe.starts.add("b".to_owned());
        let kernel_thread = Seen { memory: Some(0), ..seen(3, "kworker", 50) };
        let now = vec![seen(1, "a", 4), seen(2, "a", 16), kernel_thread];
        let second = probe.usage(snapshot(200, now), memory, at(110));
        let names: Vec<_> = second.applications.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["b", "a"], "most starts first");
        let (b, a) = (&second.applications[0], &second.applications[1]);
        assert_eq!((b.run_count, b.running_time, b.cpu_share), (1, None, None));
        // 10 s of 200 s of CPU time.
        assert_eq!((a.running_time, a.cpu_share), (Some(200.0), Some(0.05)));
    }

    #[test]
    fn a_suspend_tells_no_window_and_no_share() {
        let mut probe = Applications::default();
        probe.usage(snapshot(0, vec![seen(1, "a", 0)]), None, at(10));
        let mut later = at(110);
        later.monotonic = at(20).monotonic;
        let usage = probe.usage(snapshot(200, vec![seen(1, "a", 5)]), None, later);
        let [a] = usage.applications.as_slice() else { panic!("one program") };
        assert_eq!(
            (usage.window, a.running_time, a.cpu_share, a.memory_share),
            (None, None, None, None)
        );
    }

    #[test]
    fn this_hosts_programs_are_told_with_this_one_among_them() {
        let mut probe = Applications::default();
        probe.sample(&Host::live(), at(0)).unwrap();
        let records = probe.report(&Host::live(), at(10)).unwrap();
        assert_eq!(records.len(), 1);
        assert!(format!("{records:?}").contains("candor_probes"), "{records:?}");
    }
}
