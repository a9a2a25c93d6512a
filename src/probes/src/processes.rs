//! The process table: level 3, with each report.
//!
//! The per-OS file reads; selection and comparison with the last table are here.
//!
//! # Invariants
//! - Names as the kernel keeps them; never a command line, a user, a path or a process id.
//! - At most [`TOP`] processes by CPU and as many by memory; the others are counted.
//! - CPU use is a difference of two tables of one process without a gap between them; a process is
//!   known again by its id and its start, so that a reused id is another process.
//! - At most [`MAX_FOLLOWED`] processes are remembered until the next table.
//!
//! A process that ends while it is read is left out; without the list of processes the round fails.

use std::time::Duration;

use candor_model::events::process::{Process, State, Table};
use candor_model::{Level, Record};

use crate::points::ratio;
use crate::window::Continuity;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

mod applications;
mod by_name;
mod count;
#[cfg(unix)]
mod linux;
mod packages;
#[cfg(unix)]
use linux::Reader;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::Reader;
#[cfg(windows)]
pub(crate) use windows::program_names;

pub(crate) use applications::Applications;
pub(crate) use by_name::ProcessUse;
pub(crate) use count::ProcessCount;

/// How many are told by CPU, and how many by memory.
const TOP: usize = 32;

/// How many are compared with the last table: 24 bytes each.
const MAX_FOLLOWED: usize = 8192;

/// The host's processes at one moment.
#[derive(Debug, Default)]
struct Snapshot {
    processes: Vec<Seen>,
    /// Processes there were, those that could not be read included.
    total: u64,
    /// CPU time of all logical CPUs since some fixed moment, idle time included.
    capacity: Option<Duration>,
}

/// One process.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    pid: u32,
    /// When it started, in the OS' own unit: with the id it names a process.
    started: u64,
    name: String,
    state: Option<State>,
    cpu: Option<Duration>,
    /// Of this, the time in user mode.
    user: Option<Duration>,
    memory: Option<u64>,
    threads: Option<u64>,
    handles: Option<u64>,
    uptime: Option<Duration>,
}

/// What is remembered of a process.
#[derive(Clone, Copy, Debug)]
struct Before {
    pid: u32,
    started: u64,
    cpu: Duration,
}

/// The last table.
#[derive(Debug)]
struct Last {
    boot: Duration,
    capacity: Option<Duration>,
    /// By process id.
    processes: Vec<Before>,
}

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    reader: Reader,
    continuity: Continuity,
    last: Option<Last>,
}

impl Processes {
    /// The table of a snapshot, and whose rows they are.
    fn table(&mut self, snapshot: Snapshot, now: Moment) -> (Table, Vec<u32>) {
        let is_gap = self.continuity.breaks_at(now);
        let last = self.last.take().filter(|_| !is_gap);
        let window = last.as_ref().and_then(|last| now.boot.checked_sub(last.boot));
        self.last = Some(remember(&snapshot, now));
        let capacity =
            last.as_ref().and_then(|last| snapshot.capacity?.checked_sub(last.capacity?));
        let used = |seen: &Seen| last.as_ref()?.used(seen, window?);
        let mut rows: Vec<(Option<Duration>, Seen)> =
            snapshot.processes.into_iter().map(|seen| (used(&seen), seen)).collect();
        select(&mut rows);
        let left_out = snapshot.total.checked_sub(rows.len() as u64);
        let pids = rows.iter().map(|(_, seen)| seen.pid).collect();
        let processes = rows.into_iter().map(|(used, seen)| row(used, seen, capacity)).collect();
        let window = window.map(|window| window.as_secs_f64());
        (Table { window, total: Some(snapshot.total), left_out, processes }, pids)
    }
}

impl Last {
    /// CPU time since the last table; of a process that is younger than the table, all of it.
    fn used(&self, seen: &Seen, window: Duration) -> Option<Duration> {
        let at = self.processes.binary_search_by_key(&seen.pid, |before| before.pid).ok();
        let before = at.and_then(|at| self.processes.get(at));
        match before.filter(|before| before.started == seen.started) {
            Some(before) => seen.cpu?.checked_sub(before.cpu),
            None => seen.cpu.filter(|_| seen.uptime.is_some_and(|uptime| uptime < window)),
        }
    }
}

fn remember(snapshot: &Snapshot, now: Moment) -> Last {
    let before =
        |seen: &Seen| Some(Before { pid: seen.pid, started: seen.started, cpu: seen.cpu? });
    let mut processes: Vec<_> =
        snapshot.processes.iter().filter_map(before).take(MAX_FOLLOWED).collect();
    processes.sort_unstable_by_key(|before| before.pid);
    Last { boot: now.boot, capacity: snapshot.capacity, processes }
}

/// Keeps the [`TOP`] by CPU and the [`TOP`] by memory, ordered by CPU and then by memory. What has
/// no memory of its own (a kernel thread) is never in the latter.
fn select(rows: &mut Vec<(Option<Duration>, Seen)>) {
    let mut memory: Vec<_> = rows.iter().map(|(_, seen)| seen.memory).collect();
    memory.sort_unstable_by(|a, b| b.cmp(a));
    let floor = memory.get(TOP - 1).copied().flatten().max(Some(1));
    rows.sort_by_key(|(used, seen)| std::cmp::Reverse((*used, seen.cpu, seen.memory)));
    let mut rank = 0;
    rows.retain(|(_, seen)| {
        rank += 1;
        rank <= TOP || seen.memory >= floor
    });
    rows.truncate(2 * TOP);
}

fn row(used: Option<Duration>, seen: Seen, capacity: Option<Duration>) -> Process {
    let millis = |time: Duration| u64::try_from(time.as_millis()).ok();
    let share =
        |used: Duration| ratio(millis(used)?, millis(capacity?)?).filter(|share| *share <= 1.0);
    Process {
        name: seen.name,
        state: seen.state,
        cpu_time: seen.cpu.map(|cpu| cpu.as_secs_f64()),
        cpu_utilization: used.and_then(share),
        memory: seen.memory,
        threads: seen.threads,
        handles: seen.handles,
        uptime: seen.uptime.map(|uptime| uptime.as_secs_f64()),
    }
}

impl Probe for Processes {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn level(&self) -> Level {
        Level::Full
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let snapshot = self.reader.read(host, now)?;
        let (mut table, pids) = self.table(snapshot, now);
        for (process, pid) in table.processes.iter_mut().zip(pids) {
            process.handles = process.handles.or_else(|| self.reader.handles(host, pid));
        }
        Ok(vec![table.into()])
    }

    fn reset(&mut self) {
        *self = Self { reader: std::mem::take(&mut self.reader), ..Self::default() };
    }
}

/// A name in which no control character can play tricks on a terminal.
fn clean(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    fn seen(pid: u32, cpu: u64, memory: u64) -> Seen {
        Seen {
            pid,
            started: 7,
            name: format!("p{pid}"),
            cpu: Some(Duration::from_secs(cpu)),
            memory: Some(memory),
            uptime: Some(Duration::from_secs(100_000)),
            ..Seen::default()
        }
    }

    fn snapshot(capacity: u64, processes: Vec<Seen>) -> Snapshot {
        let total = processes.len() as u64;
        Snapshot { processes, total, capacity: Some(Duration::from_secs(capacity)) }
    }

    #[test]
    fn use_is_the_difference_of_two_tables_as_a_fraction_of_all_cpus() {
        let mut probe = Processes::default();
        let (first, _) = probe.table(snapshot(2000, vec![seen(1, 50, 10)]), at(0));
        assert_eq!((first.window, first.processes[0].cpu_utilization), (None, None));
        let (second, _) = probe.table(snapshot(2200, vec![seen(1, 60, 10)]), at(100));
        // 10 s of 200 s of CPU time.
        assert_eq!((second.window, second.processes[0].cpu_utilization), (Some(100.0), Some(0.05)));
        assert_eq!(second.processes[0].cpu_time, Some(60.0));
    }

    #[test]
    fn a_reused_id_and_a_gap_tell_no_use() {
        let mut probe = Processes::default();
        probe.table(snapshot(0, vec![seen(1, 50, 10), seen(2, 5, 5)]), at(0));
        let other = Seen { started: 9, ..seen(1, 60, 10) };
        let (table, _) = probe.table(snapshot(200, vec![other, seen(2, 4, 5)]), at(100));
        assert!(table.processes.iter().all(|process| process.cpu_utilization.is_none()));
        let mut later = at(200);
        later.monotonic = at(110).monotonic;
        let (table, _) = probe.table(snapshot(400, vec![seen(2, 40, 5)]), later);
        assert_eq!((table.window, table.processes[0].cpu_utilization), (None, None));
    }

    #[test]
    fn a_process_younger_than_the_last_table_used_all_its_time_since() {
        let mut probe = Processes::default();
        probe.table(snapshot(0, vec![]), at(0));
        let young = Seen { uptime: Some(Duration::from_secs(30)), ..seen(1, 20, 10) };
        let (table, _) = probe.table(snapshot(200, vec![young, seen(2, 20, 10)]), at(100));
        let of =
            |name: &str| table.processes.iter().find(|p| p.name == name).unwrap().cpu_utilization;
        assert_eq!((of("p1"), of("p2")), (Some(0.1), None));
    }

    #[test]
    fn the_table_is_bounded_has_the_top_of_both_and_counts_the_rest() {
        // Process n uses n of CPU and 1000 - n of memory.
        let all: Vec<_> = (0..1000).map(|n| seen(n, u64::from(n), 1000 - u64::from(n))).collect();
        let (table, pids) = Processes::default().table(snapshot(0, all), at(0));
        assert_eq!(table.processes.len(), 2 * TOP);
        assert_eq!((table.total, table.left_out), (Some(1000), Some(1000 - 2 * TOP as u64)));
        let mut expected: Vec<u32> = (1000 - 32..1000).rev().chain((0..32).rev()).collect();
        assert_eq!(pids, expected);
        // The same ones lead in both: no more than those.
        let all: Vec<_> = (0..1000).map(|n| seen(n, u64::from(n), u64::from(n))).collect();
        let (_, pids) = Processes::default().table(snapshot(0, all), at(0));
        expected.truncate(TOP);
        assert_eq!(pids, expected);
    }

    #[test]
    fn a_name_holds_no_control_character() {
        assert_eq!(clean(b"a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(clean(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes("processes::clean", Says::Stands, &[b"nginx: w1".to_vec()], clean);
    }
}
