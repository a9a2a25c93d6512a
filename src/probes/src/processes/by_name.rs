//! What the processes of each name use: level 3, with each report.
//!
//! # Invariants
//! - Names as the kernel keeps them, and sums: no process id, no user, no command line.
//! - At most [`TOP`] names by CPU and as many by memory.
//! - CPU time is a difference of two looks at one process, known again by its id and its start, or
//!   all the time of one that is younger than the last look; never over a gap.
//!
//! Without the list of processes the round fails.

use std::collections::BTreeMap;
use std::time::Duration;

use candor_model::metrics::process::{CPU_MODES, CPU_TIME, DESCRIPTORS, MEMORY_USAGE, THREADS};
use candor_model::{Level, Number, Record, UnixNanos};

use super::{MAX_FOLLOWED, Reader, Seen, Snapshot};
use crate::points::{Sheet, during, last, text, whole, word};
use crate::window::Continuity;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// How many names are told by CPU, and how many by memory.
const TOP: usize = 32;

/// Of a name with more processes the descriptors are not counted: each takes a look.
const MAX_COUNTED: usize = 64;

/// What is remembered of a process.
#[derive(Clone, Copy, Debug)]
struct Before {
    pid: u32,
    started: u64,
    cpu: [Duration; 2],
}

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct ProcessUse {
    reader: Reader,
    continuity: Continuity,
    /// The last look, by process id, and when it was.
    last: Option<(Moment, Vec<Before>)>,
}

/// All processes of a name.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sum {
    /// In user and in system mode.
    cpu: [Duration; 2],
    memory: u64,
    threads: u64,
    pids: Vec<u32>,
}

impl Sum {
    fn total(&self) -> Duration {
        self.cpu[0] + self.cpu[1]
    }
}

impl ProcessUse {
    /// The sums by name, and since when CPU time is counted; `None` after a gap.
    fn sums(
        &mut self,
        snapshot: &Snapshot,
        now: Moment,
    ) -> (BTreeMap<String, Sum>, Option<UnixNanos>) {
        let is_gap = self.continuity.breaks_at(now);
        let last = self.last.take().filter(|_| !is_gap);
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        for seen in &snapshot.processes {
            let sum = sums.entry(seen.name.clone()).or_default();
            // What cannot be added is no number of bytes: beyond the bound it is not told.
            sum.memory = sum.memory.saturating_add(seen.memory.unwrap_or(0));
            sum.threads = sum.threads.saturating_add(seen.threads.unwrap_or(0));
            sum.pids.push(seen.pid);
            let used =
                last.as_ref().and_then(|(then, processes)| used(seen, *then, processes, now));
            for (sum, used) in sum.cpu.iter_mut().zip(used.unwrap_or_default()) {
                *sum = sum.saturating_add(used);
            }
        }
        self.last = Some((now, remember(snapshot)));
        (sums, last.map(|(then, _)| then.wall))
    }

    fn write(
        &self,
        host: &Host,
        now: Moment,
        sums: &[(String, Sum)],
        since: Option<UnixNanos>,
    ) -> Sheet {
        let mut sheet = Sheet::default();
        let times = sums.iter().flat_map(|(name, sum)| {
            CPU_MODES.iter().zip(sum.cpu).map(move |(mode, time)| {
                let time = Some(Number::Double(time.as_secs_f64()));
                during((since?, now.wall), vec![text(name), word(mode)], time)
            })
        });
        sheet.add(&CPU_TIME, times);
        let mut add = |entry, of: &dyn Fn(&Sum) -> Option<u64>| {
            let points = sums
                .iter()
                .map(|(name, sum)| last(vec![text(name)], now.wall, of(sum).and_then(whole)));
            sheet.add(entry, points);
        };
        // A kernel thread has no memory of its own.
        add(&MEMORY_USAGE, &|sum| Some(sum.memory).filter(|bytes| *bytes > 0));
        add(&THREADS, &|sum| Some(sum.threads).filter(|threads| *threads > 0));
        add(&DESCRIPTORS, &|sum| {
            let pids = Some(&sum.pids).filter(|pids| pids.len() <= MAX_COUNTED)?;
            pids.iter().map(|pid| self.reader.handles(host, *pid)).sum()
        });
        sheet
    }
}

/// What a process used since the last look.
fn used(seen: &Seen, then: Moment, processes: &[Before], now: Moment) -> Option<[Duration; 2]> {
    let cpu = modes(seen)?;
    let at = processes.binary_search_by_key(&seen.pid, |before| before.pid).ok();
    let before =
        at.and_then(|at| processes.get(at)).filter(|before| before.started == seen.started);
    let Some(before) = before else {
        let window = now.boot.checked_sub(then.boot)?;
        return seen.uptime.is_some_and(|uptime| uptime < window).then_some(cpu);
    };
    Some([cpu[0].checked_sub(before.cpu[0])?, cpu[1].checked_sub(before.cpu[1])?])
}

/// CPU time in user and in system mode.
fn modes(seen: &Seen) -> Option<[Duration; 2]> {
    let (all, user) = (seen.cpu?, seen.user?);
    Some([user, all.checked_sub(user)?])
}

fn remember(snapshot: &Snapshot) -> Vec<Before> {
    let before =
        |seen: &Seen| Some(Before { pid: seen.pid, started: seen.started, cpu: modes(seen)? });
    let mut all: Vec<_> = snapshot.processes.iter().filter_map(before).take(MAX_FOLLOWED).collect();
    all.sort_unstable_by_key(|before| before.pid);
    all
}

/// The names that use most CPU and most memory, in this order.
fn select(sums: BTreeMap<String, Sum>) -> Vec<(String, Sum)> {
    let mut all: Vec<_> = sums.into_iter().collect();
    let mut memory: Vec<_> = all.iter().map(|(_, sum)| sum.memory).collect();
    memory.sort_unstable_by(|a, b| b.cmp(a));
    let floor = memory.get(TOP - 1).copied().unwrap_or(0).max(1);
    all.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.total(), sum.memory)));
    let mut rank = 0;
    all.retain(|(_, sum)| {
        rank += 1;
        rank <= TOP || sum.memory >= floor
    });
    all.truncate(2 * TOP);
    all
}

impl Probe for ProcessUse {
    fn name(&self) -> &'static str {
        "process_use"
    }

    fn level(&self) -> Level {
        Level::Full
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let snapshot = self.reader.read(host, now)?;
        let (sums, since) = self.sums(&snapshot, now);
        Ok(self.write(host, now, &select(sums), since).into_records())
    }

    fn reset(&mut self) {
        *self = Self { reader: std::mem::take(&mut self.reader), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, values};

    fn seen(pid: u32, name: &str, user: u64, system: u64) -> Seen {
        Seen {
            pid,
            started: 7,
            name: name.to_owned(),
            cpu: Some(Duration::from_secs(user + system)),
            user: Some(Duration::from_secs(user)),
            memory: Some(100),
            threads: Some(2),
            uptime: Some(Duration::from_secs(100_000)),
            ..Seen::default()
        }
    }

    fn report(probe: &mut ProcessUse, second: u64, processes: Vec<Seen>) -> Vec<Record> {
        let snapshot = Snapshot { processes, ..Snapshot::default() };
        let (sums, since) = probe.sums(&snapshot, at(second));
        let nowhere = Host::new("/nonexistent");
        probe.write(&nowhere, at(second), &select(sums), since).into_records()
    }

    #[test]
    fn processes_of_a_name_are_added_up_and_time_is_what_they_used_since() {
        let mut probe = ProcessUse::default();
        let first = report(&mut probe, 0, vec![seen(1, "sh", 5, 1), seen(2, "sh", 1, 1)]);
        assert_eq!(values(&first, "process.cpu.time"), []);
        assert_eq!(values(&first, "process.memory.usage"), [("sh".into(), 200.0)]);
        assert_eq!(values(&first, "process.thread.count"), [("sh".into(), 4.0)]);
        assert_eq!(values(&first, "process.unix.file_descriptor.count"), []);
        let second = report(&mut probe, 100, vec![seen(1, "sh", 8, 1), seen(2, "sh", 2, 3)]);
        let expected = [("sh user".into(), 4.0), ("sh system".into(), 2.0)];
        assert_eq!(values(&second, "process.cpu.time"), expected);
    }

    #[test]
    fn a_reused_id_and_a_gap_tell_no_time_and_a_young_process_all_of_its() {
        let mut probe = ProcessUse::default();
        report(&mut probe, 0, vec![seen(1, "a", 5, 1)]);
        let other = Seen { started: 9, ..seen(1, "a", 50, 1) };
        let young = Seen { uptime: Some(Duration::from_secs(30)), ..seen(2, "b", 3, 1) };
        let records = report(&mut probe, 100, vec![other.clone(), young]);
        let told = values(&records, "process.cpu.time");
        assert_eq!(told[0], ("b user".into(), 3.0));
        assert_eq!(told[2], ("a user".into(), 0.0));
        let mut later = at(200);
        later.monotonic = at(110).monotonic;
        let snapshot = Snapshot { processes: vec![other], ..Snapshot::default() };
        assert_eq!(probe.sums(&snapshot, later).1, None);
    }

    #[test]
    fn the_names_are_bounded_and_lead_in_cpu_or_memory() {
        let sum = |n: u64| Sum {
            cpu: [Duration::from_secs(n), Duration::ZERO],
            memory: 1000 - n,
            ..Sum::default()
        };
        let told = select((0..1000).map(|n| (format!("p{n:03}"), sum(n))).collect());
        let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), 2 * TOP);
        assert_eq!((names[0], names[31], names[32], names[63]), ("p999", "p968", "p031", "p000"));
    }
}
