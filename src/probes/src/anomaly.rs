//! Values that are far outside what this host usually shows: level 2, judged with each report.
//!
//! ```text
//! probe -> [`Noted`] -> records
//!             | one number for each watched metric and window
//!             v
//!           board -> [`Anomalies`] -> candor.anomaly
//! ```
//!
//! The score is the modified z-score of [`crate::robust`] against the windows before. Its authors
//! call 3.5 an outlier where values are normal; a host's values have longer tails, so that here it
//! takes [`THRESHOLD`]. There is no model of hours or weekdays; instead a value must also lie beyond
//! the outermost hundredth of the windows, so that what comes every night is told in the first two
//! nights at most. A lasting change is the new baseline after half of the history.
//!
//! # Invariants
//! - Bounded: [`MAX_WINDOWS`] numbers for each of [`WATCHED`], 4 bytes each.
//! - Nothing is judged before [`FEWEST_WINDOWS`], nor a window shorter than [`SHORTEST`].
//! - A value is told when it leaves the baseline, and again only after it was back.
//! - A distance below the metric's own floor is never told, however even the baseline is.
//!
//! A metric that a host does not have is not judged; nothing here fails.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candor_model::events::anomaly::{Anomaly, Measure};
use candor_model::{Level, Metric, Number, Point, Record};

use crate::robust::{NORMAL_MAD, median_and_deviation};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// What is watched: the metric, what is made of its points, and the distance that matters at all.
const WATCHED: [(&str, Measure, f64); 10] = [
    ("candor.cpu.utilization", Measure::Mean, 0.1),
    ("candor.memory.utilization", Measure::Mean, 0.1),
    ("candor.disk.latency", Measure::Mean, 0.01),
    ("system.disk.io", Measure::Rate, 5e6),
    ("system.network.io", Measure::Rate, 5e6),
    ("system.network.errors", Measure::Rate, 1.0),
    ("candor.tcp.retransmissions", Measure::Rate, 5.0),
    ("candor.pressure.stall_time", Measure::Rate, 0.1),
    ("system.paging.operations", Measure::Rate, 1000.0),
    ("system.process.created", Measure::Rate, 10.0),
];

/// A score from which on a value is far outside.
const THRESHOLD: f64 = 8.0;
/// Below this it is back.
const BACK: f64 = THRESHOLD / 2.0;
/// Seven days of windows of a quarter of an hour.
const MAX_WINDOWS: usize = 7 * 24 * 4;
/// One day.
const FEWEST_WINDOWS: usize = 24 * 4;
/// Shorter windows come from previews and last words.
const SHORTEST: Duration = Duration::from_mins(1);

/// Where the numbers of the present round stand: metric by its place in [`WATCHED`], and number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Vec<(usize, f64)>>>);

impl Board {
    fn note(&self, records: &[Record]) {
        let metrics = records.iter().filter_map(|record| match record {
            Record::Metric(metric) => Some(metric),
            Record::Event(_) | Record::Provided(_) => None,
        });
        for metric in metrics {
            let at = WATCHED.iter().position(|(name, ..)| *name == metric.entry().name);
            let number = at.and_then(|at| Some((at, measure(WATCHED[at].1, metric)?)));
            let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A round nobody judged leaves its numbers; they must not pile up.
            if board.len() < WATCHED.len() {
                board.extend(number);
            }
        }
    }

    fn take(&self) -> Vec<(usize, f64)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One number for a window.
fn measure(measure: Measure, metric: &Metric) -> Option<f64> {
    let points = metric.points();
    let time = covered(points).filter(|time| *time >= SHORTEST)?;
    match measure {
        Measure::Mean => {
            let histograms = points.iter().filter_map(|point| match &point.value {
                Number::Histogram(histogram) => Some((histogram.sum, histogram.count)),
                _ => None,
            });
            let (sum, count) = histograms.fold((0.0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
            #[expect(clippy::cast_precision_loss, reason = "a mean needs no 64 bits")]
            (count > 0).then(|| sum / count as f64)
        }
        Measure::Rate => {
            let total: f64 = points.iter().map(number).sum();
            Some(total / time.as_secs_f64())
        }
    }
}

fn number(point: &Point) -> f64 {
    match &point.value {
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no 64 bits")]
        Number::Int(number) => *number as f64,
        Number::Double(number) => *number,
        Number::Histogram(_) => 0.0,
    }
}

/// How much time the points' windows cover together; what several cover counts once.
fn covered(points: &[Point]) -> Option<Duration> {
    let windows = points.iter().map(|point| Some((point.start?.0, point.time.0)));
    let mut windows = windows.collect::<Option<Vec<_>>>()?;
    windows.sort_unstable();
    let (mut sum, mut until) = (0, 0);
    for (start, end) in windows {
        sum += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    Some(Duration::from_nanos(sum))
}

/// A probe whose watched metrics are noted.
pub(crate) struct Noted {
    probe: Box<dyn Probe>,
    board: Board,
}

impl Noted {
    pub(crate) fn new(probe: Box<dyn Probe>, board: &Board) -> Self {
        Self { probe, board: board.clone() }
    }
}

impl Probe for Noted {
    fn name(&self) -> &'static str {
        self.probe.name()
    }

    fn level(&self) -> Level {
        self.probe.level()
    }

    fn rhythm(&self) -> Rhythm {
        self.probe.rhythm()
    }

    fn deadline(&self) -> Duration {
        self.probe.deadline()
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        self.probe.sample(host, now)
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let records = self.probe.report(host, now)?;
        self.board.note(&records);
        Ok(records)
    }

    fn reset(&mut self) {
        self.probe.reset();
    }
}

/// What a metric showed before.
#[derive(Debug, Default)]
struct Baseline {
    /// The newest last. Half precision would do; no type of the standard library has it.
    windows: VecDeque<f32>,
    is_outside: bool,
}

impl Baseline {
    /// Judges a value against the windows before it, and keeps it.
    fn judge(&mut self, value: f64, floor: f64) -> Option<Judgement> {
        let judgement = self.score(value, floor);
        if self.windows.len() >= MAX_WINDOWS {
            self.windows.pop_front();
        }
        #[expect(clippy::cast_possible_truncation, reason = "seven digits do for a baseline")]
        self.windows.push_back(value as f32);
        let judgement = judgement?;
        let distance = judgement.score.abs();
        let was_outside = self.is_outside;
        self.is_outside = if was_outside { distance >= BACK } else { distance >= THRESHOLD };
        (self.is_outside && !was_outside).then_some(judgement)
    }

    fn score(&self, value: f64, floor: f64) -> Option<Judgement> {
        if self.windows.len() < FEWEST_WINDOWS {
            return None;
        }
        let mut windows: Vec<_> = self.windows.iter().copied().map(f64::from).collect();
        windows.sort_unstable_by(f64::total_cmp);
        let rare = windows.len() / 100;
        let usual = (*windows.get(rare)?, *windows.iter().nth_back(rare)?);
        if value >= usual.0 - floor && value <= usual.1 + floor {
            return Some(Judgement::default());
        }
        let (median, deviation) = median_and_deviation(&mut windows)?;
        // So that a distance of the floor, and no less, reaches the threshold.
        let deviation = deviation.max(NORMAL_MAD * floor / THRESHOLD);
        let score = NORMAL_MAD * (value - median) / deviation;
        Some(Judgement { median, score, windows: windows.len() as u64 })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Judgement {
    median: f64,
    score: f64,
    windows: u64,
}

/// The probe; it stands behind those that it judges.
#[derive(Debug)]
pub(crate) struct Anomalies {
    board: Board,
    baselines: [Baseline; WATCHED.len()],
}

impl Anomalies {
    pub(crate) fn new(board: &Board) -> Self {
        Self { board: board.clone(), baselines: Default::default() }
    }
}

impl Probe for Anomalies {
    fn name(&self) -> &'static str {
        "anomalies"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, _host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        let mut records = Vec::new();
        for (at, value) in self.board.take() {
            let (metric, measure, floor) = WATCHED[at];
            if let Some(judgement) = self.baselines[at].judge(value, floor) {
                let event = Anomaly {
                    metric: metric.to_owned(),
                    measure: Some(measure),
                    value: Some(value),
                    baseline: Some(judgement.median),
                    score: Some(judgement.score),
                    windows: Some(judgement.windows),
                };
                records.push(event.into());
            }
        }
        Ok(records)
    }

    fn reset(&mut self) {
        self.board.take();
        self.baselines = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use candor_model::metrics::system::{CPU_BUSY, PROCESS_CREATED};
    use candor_model::{CATALOG, ExponentialHistogram, UnixNanos};

    use super::*;
    use crate::samples::at;

    fn created(windows: &[(u64, u64, i64)]) -> Metric {
        let mut metric = Metric::new(&PROCESS_CREATED);
        for (start, end, count) in windows {
            let second = |second: u64| UnixNanos(second * 1_000_000_000);
            let (start, time) = (Some(second(*start)), second(*end));
            metric.push(Point { attributes: vec![], start, time, value: Number::Int(*count) });
        }
        metric
    }

    /// The probe after so many windows of a value, one after the other.
    fn judged(probe: &mut Anomalies, rates: impl IntoIterator<Item = i64>) -> Vec<String> {
        let mut told = Vec::new();
        for (number, rate) in (0..).zip(rates) {
            let from = number * 900;
            probe.board.note(&[created(&[(from, from + 900, rate * 900)]).into()]);
            for record in probe.report(&Host::live(), at(from)).unwrap() {
                let Record::Event(event) = record else { panic!("an event") };
                let value = event.fields().find(|(entry, _)| entry.name == "value").unwrap().1;
                told.push(format!("{number} {value:?}"));
            }
        }
        told
    }

    #[test]
    fn a_rate_is_taken_over_the_time_that_the_windows_cover_and_a_mean_over_all_values() {
        let told = measure(Measure::Rate, &created(&[(0, 100, 50), (0, 100, 30), (150, 200, 70)]));
        assert_eq!(told, Some(1.0));
        assert_eq!(measure(Measure::Rate, &created(&[(0, 59, 50)])), None, "too short");
        assert_eq!(measure(Measure::Rate, &created(&[])), None);
        let mut metric = Metric::new(&CPU_BUSY);
        for (sum, count) in [(3.0, 4), (1.0, 4)] {
            let histogram = ExponentialHistogram { sum, count, ..ExponentialHistogram::default() };
            let value = Number::Histogram(Box::new(histogram));
            let (start, time) = (Some(UnixNanos(0)), UnixNanos(900_000_000_000));
            metric.push(Point { attributes: vec![], start, time, value });
        }
        assert_eq!(measure(Measure::Mean, &metric), Some(0.5));
    }

    #[test]
    fn a_value_far_outside_is_told_once_until_it_was_back() {
        let mut probe = Anomalies::new(&Board::default());
        let usual = |n: usize| (0..n).map(|n| 20 + i64::try_from(n % 5).unwrap());
        let rates = usual(96).chain([500, 540, 22, 580]);
        assert_eq!(judged(&mut probe, rates), ["96 Double(500.0)", "99 Double(580.0)"]);
    }

    #[test]
    fn what_comes_every_night_is_told_in_the_first_nights_only() {
        let mut probe = Anomalies::new(&Board::default());
        let day = || [20; 92].into_iter().chain([300, 320, 310, 305]);
        let rates = (0..7).flat_map(|_| day());
        let told = judged(&mut probe, rates);
        // The first day has no baseline yet; its night is in it.
        assert_eq!(told, Vec::<String>::new());
        let mut probe = Anomalies::new(&Board::default());
        let told = judged(&mut probe, [20; 96].into_iter().chain((0..6).flat_map(|_| day())));
        assert_eq!(told, ["188 Double(300.0)", "285 Double(320.0)"]);
    }

    #[test]
    fn nothing_is_judged_before_a_day_and_no_small_distance_ever() {
        let mut probe = Anomalies::new(&Board::default());
        assert_eq!(judged(&mut probe, [20; 95].into_iter().chain([5000])), Vec::<String>::new());
        // An even baseline: 9 more each second are below the floor of 10, 11 are above.
        let mut probe = Anomalies::new(&Board::default());
        let rates = [20; 100].into_iter().chain([29, 20, 31]);
        assert_eq!(judged(&mut probe, rates), ["102 Double(31.0)"]);
    }

    #[test]
    fn the_score_is_that_of_the_formula() {
        let mut baseline = Baseline::default();
        for number in 0..100 {
            baseline.judge(f64::from(number), 0.0);
        }
        // 0 to 99: the median is 49.5, the median of the distances 25.
        let told = baseline.score(349.5, 0.0).unwrap();
        assert!((told.score - 0.6745 * 300.0 / 25.0).abs() < 1e-9, "{told:?}");
        assert_eq!((told.median, told.windows), (49.5, 100));
    }

    #[test]
    fn a_value_that_came_half_the_way_back_is_still_outside() {
        let mut baseline = Baseline::default();
        for number in 0..100 {
            baseline.judge(f64::from(number), 1.0);
        }
        // Scores of about 9.5, 6.8 and 10; below 4 it would be back.
        let told = [400.0, 300.0, 420.0].map(|value| baseline.judge(value, 1.0).is_some());
        assert_eq!(told, [true, false, false]);
    }

    #[test]
    fn a_lasting_change_becomes_the_baseline_and_memory_is_bounded() {
        let mut probe = Anomalies::new(&Board::default());
        let rates = [20; 700].into_iter().chain([400; 700]).chain([20]);
        assert_eq!(judged(&mut probe, rates), ["700 Double(400.0)", "1400 Double(20.0)"]);
        assert!(probe.baselines.iter().all(|baseline| baseline.windows.len() <= MAX_WINDOWS));
    }

    #[test]
    fn a_reset_begins_anew() {
        let mut probe = Anomalies::new(&Board::default());
        judged(&mut probe, [20; 96]);
        probe.reset();
        assert_eq!(judged(&mut probe, [5000]), Vec::<String>::new());
    }

    #[test]
    fn every_watched_metric_is_in_the_catalog_with_an_instrument_that_fits() {
        for (name, measure, floor) in WATCHED {
            let entry = CATALOG.metrics.iter().find(|entry| entry.name == name).unwrap();
            let expected = if measure == Measure::Mean { "histogram" } else { "counter" };
            assert_eq!(entry.instrument.name(), expected, "{name}");
            assert!(floor > 0.0);
        }
    }
}
