//! How much of the processors is used, and for what: level 2, sampled. Also what stands in the same
//! table, the number of processes created, and the uptime.
//!
//! The per-OS file reads; the aggregation is here.
//!
//! # Invariants
//! - All logical CPUs together; one core's numbers are level 3.
//! - The modes of a utilisation add up to 1: it is a fraction of the counted CPU time, so a late
//!   sample cannot exceed it.
//! - A CPU that goes or comes ends the series, like every gap of [`crate::window`].
//!
//! A table that cannot be read or understood is the round's failure; single values that a host does
//! not tell are absent.

use std::time::Duration;

use candor_model::metrics::system::{
    CPU_BUSY, CPU_LOGICAL, CPU_MODES, CPU_PHYSICAL, CPU_TIME, CPU_UTILIZATION, PROCESS_CREATED,
    UPTIME,
};
use candor_model::{Level, Number, Record, UnixNanos};

use crate::histogram::Histogram;
use crate::points::{Sheet, during, last, ratio, share, whole, word};
use crate::window::{Continuity, Window};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(unix)]
mod cores;
#[cfg(unix)]
mod linux;
#[cfg(unix)]
pub(crate) use cores::Cores;
#[cfg(unix)]
use linux::Reader;
#[cfg(unix)]
pub(crate) use linux::uptime;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::Reader;

/// Number of modes.
const MODES: usize = CPU_MODES.len();
const IDLE: usize = 3;
const IOWAIT: usize = 4;

/// Less CPU time than this between two readings makes no utilisation: the kernel counts whole
/// ticks, and one tick of ten would be 10 %.
const FEWEST_TICKS: u64 = 10;

/// What a reading tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reading {
    /// Ticks of 10 ms of all CPUs together since boot, in the order of [`CPU_MODES`]; of a mode
    /// that the OS does not tell apart ([`Reader::TELLS`]), zero.
    ticks: Option<[u64; MODES]>,
    /// Logical CPUs online.
    logical: Option<u64>,
    /// Processes created since boot.
    created: Option<u64>,
}

/// The probe.
#[derive(Debug)]
pub(crate) struct Cpu {
    reader: Reader,
    continuity: Continuity,
    /// By the number of logical CPUs, so that another number is another series.
    ticks: Window<Option<u64>, MODES>,
    created: Window<(), 1>,
    busy: Histogram,
    busy_start: Option<UnixNanos>,
    /// The last interval's ticks, and when it ended.
    utilization: Option<(UnixNanos, [u64; MODES])>,
    logical: Option<u64>,
}

impl Cpu {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::default(),
            continuity: Continuity::default(),
            ticks: Window::new(2),
            created: Window::new(1),
            busy: Histogram::default(),
            busy_start: None,
            utilization: None,
            logical: None,
        }
    }

    fn take(&mut self, reading: Reading, now: Moment) {
        let after_gap = self.continuity.breaks_at(now);
        self.busy_start.get_or_insert(now.wall);
        self.logical = reading.logical;
        self.ticks.begin(after_gap);
        if let Some(ticks) = reading.ticks {
            self.take_ticks(ticks, reading.logical, now.wall);
        }
        self.ticks.finish();
        self.created.begin(after_gap);
        if let Some(created) = reading.created {
            self.created.observe((), [created], now.wall);
        }
        self.created.finish();
    }

    fn take_ticks(&mut self, ticks: [u64; MODES], logical: Option<u64>, at: UnixNanos) {
        let ticks = steady(ticks, self.ticks.last(logical));
        let Some(delta) = self.ticks.observe(logical, ticks, at) else {
            self.utilization = None;
            return;
        };
        let total: u64 = delta.iter().sum();
        let quiet = delta[IDLE] + delta[IOWAIT];
        if total >= FEWEST_TICKS {
            self.utilization = Some((at, delta));
            if let Some(busy) = ratio(total - quiet, total) {
                self.busy.add(busy);
            }
        }
    }

    fn write(&mut self, sheet: &mut Sheet, now: Moment) {
        let times = self.ticks.report().into_iter().flat_map(|span| {
            told(span.delta).map(move |(mode, ticks)| {
                let seconds = Some(Number::Double(seconds(ticks)));
                during((span.start, span.end), vec![word(mode)], seconds)
            })
        });
        sheet.add(&CPU_TIME, times);
        if let Some((at, delta)) = self.utilization {
            let total = delta.iter().sum();
            let of_mode = |(mode, ticks)| last(vec![word(mode)], at, share(ticks, total));
            sheet.add(&CPU_UTILIZATION, told(delta).map(of_mode));
        }
        let start = self.busy_start.replace(now.wall).unwrap_or(now.wall);
        let busy = self.busy.take().map(|taken| Number::Histogram(Box::new(taken)));
        sheet.add(&CPU_BUSY, [during((start, now.wall), vec![], busy)]);
        let created = self.created.report();
        sheet.add(
            &PROCESS_CREATED,
            created.iter().map(|s| during((s.start, s.end), vec![], whole(s.delta[0]))),
        );
    }
}

impl Probe for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        let reading = self.reader.read(host)?;
        self.take(reading, now);
        Ok(())
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        if !self.continuity.has_read_at(now) {
            self.sample(host, now)?;
        }
        let mut sheet = Sheet::default();
        self.write(&mut sheet, now);
        let physical = self.reader.physical(host).and_then(whole);
        sheet.add(&CPU_PHYSICAL, [last(vec![], now.wall, physical)]);
        sheet.add(&CPU_LOGICAL, [last(vec![], now.wall, self.logical.and_then(whole))]);
        let uptime = self.reader.uptime(host, now).map(|up| Number::Double(up.as_secs_f64()));
        sheet.add(&UPTIME, [last(vec![], now.wall, uptime)]);
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self { reader: std::mem::take(&mut self.reader), ..Self::new() };
    }
}

/// Each mode that the OS tells apart, with its ticks.
fn told(ticks: [u64; MODES]) -> impl Iterator<Item = (&'static str, u64)> {
    let modes = CPU_MODES.iter().copied().zip(ticks).zip(Reader::TELLS);
    modes.filter_map(|(mode, is_told)| is_told.then_some(mode))
}

/// `idle` and `iowait` may fall a little although nothing was reset (proc(5) says so of `iowait`;
/// both are estimated while a CPU sleeps). Where nothing else fell they stand still instead.
fn steady(mut ticks: [u64; MODES], before: Option<&[u64; MODES]>) -> [u64; MODES] {
    let Some(before) = before else { return ticks };
    let is_reset = (0..MODES).any(|at| at != IDLE && at != IOWAIT && ticks[at] < before[at]);
    if !is_reset {
        ticks[IDLE] = ticks[IDLE].max(before[IDLE]);
        ticks[IOWAIT] = ticks[IOWAIT].max(before[IOWAIT]);
    }
    ticks
}

/// Seconds of ticks of 10 ms.
fn seconds(ticks: u64) -> f64 {
    Duration::from_millis(ticks.saturating_mul(10)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, metric, values};

    fn ticks(user: u64, idle: u64) -> Reading {
        let ticks = Some([user, 0, 0, idle, 0, 0, 0]);
        Reading { ticks, logical: Some(2), created: Some(user) }
    }

    /// Of a mode.
    fn of(records: &[Record], name: &str, mode: &str) -> Vec<f64> {
        let all = values(records, name).into_iter();
        all.filter(|(word, _)| word == mode).map(|(_, number)| number).collect()
    }

    fn records(cpu: &mut Cpu, second: u64) -> Vec<Record> {
        let mut sheet = Sheet::default();
        cpu.write(&mut sheet, at(second));
        sheet.into_records()
    }

    #[test]
    fn time_is_the_windows_difference_and_utilisation_the_last_intervals_fraction() {
        let mut cpu = Cpu::new();
        cpu.take(ticks(1000, 5000), at(0));
        cpu.take(ticks(1500, 6500), at(10));
        cpu.take(ticks(1900, 8100), at(20));
        let records = records(&mut cpu, 20);
        // 900 ticks of 10 ms, 3100 of 10 ms.
        assert_eq!(of(&records, "system.cpu.time", "user"), [9.0]);
        assert_eq!(of(&records, "system.cpu.time", "idle"), [31.0]);
        // The last interval alone: 400 of 2000.
        assert_eq!(of(&records, "system.cpu.utilization", "user"), [0.2]);
        assert_eq!(of(&records, "system.cpu.utilization", "idle"), [0.8]);
        let Number::Histogram(busy) = &metric(&records, "candor.cpu.utilization").points()[0].value
        else {
            panic!("no histogram");
        };
        assert_eq!(busy.count, 2);
        assert!((busy.sum - 0.45).abs() < 1e-9, "0.25 + 0.2, not {}", busy.sum);
        assert_eq!(values(&records, "system.process.created"), [(String::new(), 900.0)]);
    }

    #[test]
    fn a_suspend_leaves_neither_time_nor_utilisation_over_it() {
        let mut cpu = Cpu::new();
        cpu.take(ticks(1000, 5000), at(0));
        let mut later = at(3600);
        later.monotonic = at(5).monotonic;
        cpu.take(ticks(9000, 9000), later);
        let records = records(&mut cpu, 3600);
        assert_eq!(values(&records, "system.cpu.time"), []);
        assert_eq!(values(&records, "system.cpu.utilization"), []);
        assert_eq!(values(&records, "candor.cpu.utilization"), []);
    }

    #[test]
    fn a_cpu_that_is_plugged_ends_the_series() {
        let mut cpu = Cpu::new();
        cpu.take(ticks(1000, 5000), at(0));
        cpu.take(Reading { logical: Some(4), ..ticks(1500, 6500) }, at(10));
        assert_eq!(values(&records(&mut cpu, 10), "system.cpu.time"), []);
        cpu.take(Reading { logical: Some(4), ..ticks(1600, 6900) }, at(20));
        assert_eq!(of(&records(&mut cpu, 20), "system.cpu.time", "user"), [1.0]);
    }

    #[test]
    fn a_host_that_does_not_list_its_cpus_still_tells_their_time() {
        let mut cpu = Cpu::new();
        cpu.take(Reading { logical: None, ..ticks(1000, 5000) }, at(0));
        cpu.take(Reading { logical: None, ..ticks(1100, 5900) }, at(10));
        assert_eq!(of(&records(&mut cpu, 10), "system.cpu.time", "user"), [1.0]);
    }

    #[test]
    fn idle_that_falls_alone_stands_still_and_a_reset_ends_the_series() {
        let mut cpu = Cpu::new();
        cpu.take(ticks(1000, 5000), at(0));
        cpu.take(ticks(1500, 4999), at(10));
        assert_eq!(of(&records(&mut cpu, 10), "system.cpu.time", "idle"), [0.0]);
        cpu.take(ticks(10, 90), at(20));
        assert_eq!(values(&records(&mut cpu, 20), "system.cpu.time"), []);
    }

    #[test]
    fn an_interval_of_few_ticks_keeps_the_last_utilisation() {
        let mut cpu = Cpu::new();
        cpu.take(ticks(1000, 5000), at(0));
        cpu.take(ticks(1500, 6500), at(10));
        cpu.take(ticks(1503, 6501), at(11));
        let records = records(&mut cpu, 11);
        assert_eq!(of(&records, "system.cpu.utilization", "user"), [0.25]);
        assert_eq!(of(&records, "system.cpu.time", "user"), [5.03]);
    }

    #[test]
    fn a_reset_forgets_the_window() {
        let mut cpu = Cpu::new();
        cpu.take(ticks(1000, 5000), at(0));
        cpu.take(ticks(1500, 6500), at(10));
        cpu.reset();
        assert_eq!(records(&mut cpu, 20), []);
    }
}
