//! Which probe is due when: a pure function of the boot clock, the level and two intervals.
//! [`crate::runner`] asks it and does what it says.
//!
//! # Invariants
//! - Only the boot clock counts; a step of the wall clock moves nothing.
//! - All probes of one rhythm are due at the same instants, so that one wake-up serves them all.
//! - Instants that were slept through are not caught up: one round, then the next instant.
//! - What the level does not allow is never due; what it newly allows is due at once.

use std::time::Duration;

use candor_model::Level;

use crate::{Probe, Rhythm};

/// How often inventory goes on although nothing changed.
pub const DAY: Duration = Duration::from_hours(24);

/// No interval is shorter, whatever is asked for.
const SHORTEST: Duration = Duration::from_millis(10);

/// The two intervals that drive all probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Between two samples.
    pub sample: Duration,
    /// Between two reports; the upload interval.
    pub report: Duration,
}

/// What a probe has to do in one round; both may be due at once, the sample first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Take a sample.
    pub sample: bool,
    /// Report and start a new window.
    pub report: bool,
}

/// The timetable.
#[derive(Debug)]
pub struct Schedule {
    intervals: Intervals,
    lines: Vec<Line>,
}

/// One probe's line; `None` is due as soon as it is allowed.
#[derive(Debug)]
struct Line {
    level: Level,
    rhythm: Rhythm,
    sample: Option<Duration>,
    report: Option<Duration>,
}

impl Schedule {
    /// A timetable in which everything is due as soon as it is allowed.
    #[must_use]
    pub fn new(probes: &[Box<dyn Probe>], intervals: Intervals) -> Self {
        let lines = probes.iter().map(|probe| Line::new(probe.level(), probe.rhythm())).collect();
        Self { intervals: floor(intervals), lines }
    }

    /// Takes over changed intervals; what is due keeps its instant unless the new one is earlier.
    pub fn set_intervals(&mut self, intervals: Intervals, now: Duration) {
        self.intervals = floor(intervals);
        for line in &mut self.lines {
            line.sample = line.sample.map(|due| due.min(next(now, self.intervals.sample)));
            line.report = line.report.map(|due| due.min(next(now, self.intervals.report)));
        }
    }

    /// Makes a probe due as if it had never run.
    pub fn forget(&mut self, probe: usize) {
        if let Some(line) = self.lines.get_mut(probe) {
            (line.sample, line.report) = (None, None);
        }
    }

    /// Makes a probe look at the next round; one that samples goes on as it was.
    pub fn hasten(&mut self, probe: usize) {
        let line = self.lines.get_mut(probe);
        if let Some(line) = line.filter(|line| line.rhythm == Rhythm::Inventory) {
            line.report = None;
        }
    }

    /// What is due at `now` (boot clock), by the probe's index; it counts as begun.
    pub fn due(&mut self, now: Duration, level: Level) -> Vec<(usize, Work)> {
        let intervals = self.intervals;
        let lines = self.lines.iter_mut().enumerate().filter(|(_, line)| line.level <= level);
        lines.filter_map(|(probe, line)| Some((probe, line.begin(now, intervals)?))).collect()
    }

    /// The boot-clock instant at which a probe is due next; `None` when there is no such probe.
    #[must_use]
    pub fn next_of(&self, probe: usize) -> Option<Duration> {
        self.lines.get(probe).map(Line::earliest)
    }

    /// The boot-clock instant at which something is due next; `None` when the level allows nothing.
    /// An instant in the past means at once.
    #[must_use]
    pub fn next_due(&self, level: Level) -> Option<Duration> {
        let lines = self.lines.iter().filter(|line| line.level <= level);
        lines.map(Line::earliest).min()
    }
}

impl Line {
    fn new(level: Level, rhythm: Rhythm) -> Self {
        Self { level, rhythm, sample: None, report: None }
    }

    fn begin(&mut self, now: Duration, intervals: Intervals) -> Option<Work> {
        let sampled = self.rhythm == Rhythm::Sampled;
        let first = self.report.is_none();
        let sample = sampled && self.sample.is_none_or(|due| due <= now);
        let report = self.report.is_none_or(|due| due <= now);
        if sample {
            self.sample = Some(next(now, intervals.sample));
        }
        if report {
            self.report = Some(next(now, intervals.report));
        }
        // A window that has just opened has nothing to report.
        let work = Work { sample, report: report && !(first && sampled) };
        (work != Work::default()).then_some(work)
    }

    fn earliest(&self) -> Duration {
        let report = self.report.unwrap_or_default();
        match self.rhythm {
            Rhythm::Sampled => report.min(self.sample.unwrap_or_default()),
            Rhythm::Inventory | Rhythm::EachReport => report,
        }
    }
}

fn floor(intervals: Intervals) -> Intervals {
    Intervals { sample: intervals.sample.max(SHORTEST), report: intervals.report.max(SHORTEST) }
}

/// The first multiple of `interval` after `now`: the same instants for everyone.
fn next(now: Duration, interval: Duration) -> Duration {
    let past = now.as_nanos() % interval.as_nanos();
    now.saturating_sub(Duration::from_nanos_u128(past)) + interval
}

#[cfg(test)]
mod tests {
    use candor_model::Record;

    use super::*;
    use crate::{Host, Moment, ProbeError};

    struct Idle(Level, Rhythm);

    impl Probe for Idle {
        fn name(&self) -> &'static str {
            "idle"
        }
        fn level(&self) -> Level {
            self.0
        }
        fn rhythm(&self) -> Rhythm {
            self.1
        }
        fn report(&mut self, _: &Host, _: Moment) -> Result<Vec<Record>, ProbeError> {
            Ok(vec![])
        }
    }

    const SAMPLE: Work = Work { sample: true, report: false };
    const REPORT: Work = Work { sample: false, report: true };
    const BOTH: Work = Work { sample: true, report: true };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn schedule() -> Schedule {
        let probes: [Box<dyn Probe>; 3] = [
            Box::new(Idle(Level::Basic, Rhythm::Inventory)),
            Box::new(Idle(Level::Enhanced, Rhythm::Sampled)),
            Box::new(Idle(Level::Full, Rhythm::EachReport)),
        ];
        Schedule::new(&probes, Intervals { sample: seconds(10), report: seconds(60) })
    }

    #[test]
    fn everything_allowed_starts_at_once_but_an_empty_window_is_not_reported() {
        let mut schedule = schedule();
        assert_eq!(schedule.next_due(Level::Full), Some(Duration::ZERO));
        assert_eq!(
            schedule.due(seconds(1003), Level::Full),
            [(0, REPORT), (1, SAMPLE), (2, REPORT)]
        );
        assert_eq!(schedule.due(seconds(1003), Level::Full), []);
    }

    #[test]
    fn all_are_due_at_the_same_instants() {
        let mut schedule = schedule();
        schedule.due(seconds(1003), Level::Full);
        assert_eq!(schedule.next_due(Level::Full), Some(seconds(1010)));
        assert_eq!(schedule.due(seconds(1010), Level::Full), [(1, SAMPLE)]);
        schedule.due(seconds(1015), Level::Full);
        assert_eq!(schedule.due(seconds(1020), Level::Full), [(0, REPORT), (1, BOTH), (2, REPORT)]);
        assert_eq!(schedule.next_due(Level::Full), Some(seconds(1030)));
        let next = [0, 1, 2, 3].map(|probe| schedule.next_of(probe));
        assert_eq!(next, [Some(seconds(1080)), Some(seconds(1030)), Some(seconds(1080)), None]);
    }

    #[test]
    fn instants_that_were_slept_through_are_not_caught_up() {
        let mut schedule = schedule();
        schedule.due(seconds(1003), Level::Full);
        let late = seconds(9_999);
        assert_eq!(schedule.due(late, Level::Full), [(0, REPORT), (1, BOTH), (2, REPORT)]);
        assert_eq!(schedule.due(late, Level::Full), []);
        assert_eq!(schedule.next_due(Level::Full), Some(seconds(10_000)));
    }

    #[test]
    fn the_level_holds_probes_back_and_a_raise_lets_them_start_at_once() {
        let mut schedule = schedule();
        assert_eq!(schedule.next_due(Level::Security), None);
        assert_eq!(schedule.due(seconds(1003), Level::Security), []);
        assert_eq!(schedule.due(seconds(1003), Level::Basic), [(0, REPORT)]);
        assert_eq!(schedule.next_due(Level::Basic), Some(seconds(1020)));
        assert_eq!(schedule.due(seconds(1004), Level::Enhanced), [(1, SAMPLE)]);
    }

    #[test]
    fn shorter_intervals_count_at_once_and_none_is_zero() {
        let mut schedule = schedule();
        schedule.due(seconds(1003), Level::Full);
        let intervals = Intervals { sample: Duration::ZERO, report: seconds(2) };
        schedule.set_intervals(intervals, seconds(1003));
        assert_eq!(schedule.next_due(Level::Basic), Some(seconds(1004)));
        assert_eq!(schedule.next_due(Level::Full), Some(seconds(1003) + SHORTEST));
    }
}
