//! From readings of counters to what happened in a window. Every level 2 probe puts its readings
//! in and takes [`Span`]s out, which become delta sums.
//!
//! ```text
//!  readings   r0 ---- r1 ---- r2  | gap |  r3 ---- r4 (report)
//!  spans      [ r2 - r0 ........]          [ r4 - r3 ]            the next window starts at r4
//! ```
//!
//! # Invariants
//! - A span never covers a gap. A gap is a suspend, a step of the wall clock, a counter that fell,
//!   a device that went or came.
//! - Windows adjoin: the last reading of one is the first of the next, so nothing is lost between.
//! - Bounded: so many keys, and [`CLOSED_PER_KEY`] spans for each that ended early; beyond that new
//!   keys are not followed, and the oldest ended span goes.
//!
//! Nothing here fails; what cannot be known is no span.

use std::time::Duration;

use candor_model::UnixNanos;

use crate::Moment;

/// How far two clocks may drift between two readings before it counts as a suspend or a step;
/// far above what NTP slews (500 ppm), below what any person would set.
const SLACK: Duration = Duration::from_secs(1);

/// How many spans that ended early are kept until the report.
const CLOSED_PER_KEY: usize = 4;

/// Whether time went on evenly between readings.
#[derive(Debug, Default)]
pub(crate) struct Continuity {
    last: Option<Moment>,
}

impl Continuity {
    /// Notes a reading; `true` when a gap lies before it.
    pub(crate) fn breaks_at(&mut self, now: Moment) -> bool {
        self.last.replace(now).is_some_and(|last| !is_even(last, now))
    }

    /// Whether the last reading was at this very moment.
    pub(crate) fn has_read_at(&self, now: Moment) -> bool {
        self.last == Some(now)
    }
}

/// Whether all three clocks went on by the same time, within [`SLACK`].
fn is_even(last: Moment, now: Moment) -> bool {
    let wall = now.wall.0.checked_sub(last.wall.0).map(Duration::from_nanos);
    let boot = now.boot.checked_sub(last.boot);
    let monotonic = now.monotonic.checked_sub(last.monotonic);
    match (wall, boot, monotonic) {
        (Some(wall), Some(boot), Some(monotonic)) => {
            boot.abs_diff(monotonic) <= SLACK && wall.abs_diff(boot) <= SLACK
        }
        _ => false,
    }
}

/// What `N` counters of one key did between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span<K, const N: usize> {
    pub(crate) key: K,
    pub(crate) start: UnixNanos,
    pub(crate) end: UnixNanos,
    pub(crate) delta: [u64; N],
}

/// The counters of all keys in the present window.
#[derive(Debug)]
pub(crate) struct Window<K, const N: usize> {
    open: Vec<Series<K, N>>,
    closed: Vec<Span<K, N>>,
    max_keys: usize,
}

#[derive(Debug)]
struct Series<K, const N: usize> {
    key: K,
    start: UnixNanos,
    end: UnixNanos,
    base: [u64; N],
    last: [u64; N],
    is_seen: bool,
    has_advanced: bool,
}

impl<K: Copy + PartialEq, const N: usize> Window<K, N> {
    /// A window that follows so many keys at most.
    pub(crate) const fn new(max_keys: usize) -> Self {
        Self { open: Vec::new(), closed: Vec::new(), max_keys }
    }

    /// Before the readings of a round; a gap ends every series.
    pub(crate) fn begin(&mut self, after_gap: bool) {
        if after_gap {
            for at in 0..self.open.len() {
                self.close(at);
            }
            self.open.clear();
        }
        for series in &mut self.open {
            series.is_seen = false;
        }
    }

    /// One reading of a key. Gives what it did since the last one, if they are comparable.
    pub(crate) fn observe(&mut self, key: K, values: [u64; N], at: UnixNanos) -> Option<[u64; N]> {
        let Some(index) = self.open.iter().position(|series| series.key == key) else {
            if self.open.len() < self.max_keys {
                self.open.push(Series::new(key, values, at));
            }
            return None;
        };
        let series = self.open.get_mut(index)?;
        let delta = difference(&series.last, &values);
        if delta.is_some() {
            (series.last, series.end) = (values, at);
            (series.is_seen, series.has_advanced) = (true, true);
        } else {
            self.close(index);
            *self.open.get_mut(index)? = Series::new(key, values, at);
        }
        delta
    }

    /// After the readings of a round: what was not seen has gone, and its series ends.
    pub(crate) fn finish(&mut self) {
        for at in (0..self.open.len()).rev() {
            if self.open.get(at).is_some_and(|series| !series.is_seen) {
                self.close(at);
                self.open.remove(at);
            }
        }
    }

    /// The last reading of a key.
    pub(crate) fn last(&self, key: K) -> Option<&[u64; N]> {
        self.open.iter().find(|series| series.key == key).map(|series| &series.last)
    }

    /// The keys that the last round saw.
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.open.iter().map(|series| series.key)
    }

    /// Every span of the window, oldest first; the next window starts at the last readings.
    pub(crate) fn report(&mut self) -> Vec<Span<K, N>> {
        let mut spans = std::mem::take(&mut self.closed);
        spans.extend(self.open.iter().filter_map(Series::span));
        for series in &mut self.open {
            (series.base, series.start) = (series.last, series.end);
            series.has_advanced = false;
        }
        spans
    }

    /// Keeps the span of a series that ends.
    fn close(&mut self, at: usize) {
        if let Some(span) = self.open.get(at).and_then(Series::span) {
            if self.closed.len() >= self.max_keys * CLOSED_PER_KEY {
                self.closed.remove(0);
            }
            self.closed.push(span);
        }
    }
}

impl<K: Copy, const N: usize> Series<K, N> {
    const fn new(key: K, values: [u64; N], at: UnixNanos) -> Self {
        Self {
            key,
            start: at,
            end: at,
            base: values,
            last: values,
            is_seen: true,
            has_advanced: false,
        }
    }

    /// What it did since its base; nothing when there was but one reading.
    fn span(&self) -> Option<Span<K, N>> {
        let delta = difference(&self.base, &self.last)?;
        let span = Span { key: self.key, start: self.start, end: self.end, delta };
        self.has_advanced.then_some(span)
    }
}

/// `now - before`, unless one of them fell.
fn difference<const N: usize>(before: &[u64; N], now: &[u64; N]) -> Option<[u64; N]> {
    let mut delta = [0; N];
    for (at, slot) in delta.iter_mut().enumerate() {
        *slot = now[at].checked_sub(before[at])?;
    }
    Some(delta)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall: u64, boot: u64, monotonic: u64) -> Moment {
        Moment {
            wall: UnixNanos(wall * 1_000_000_000),
            boot: Duration::from_secs(boot),
            monotonic: Duration::from_secs(monotonic),
        }
    }

    fn round(window: &mut Window<u8, 1>, readings: &[(u8, u64)], at: u64, after_gap: bool) {
        window.begin(after_gap);
        for (key, value) in readings {
            window.observe(*key, [*value], UnixNanos(at));
        }
        window.finish();
    }

    fn spans(window: &mut Window<u8, 1>) -> Vec<(u8, u64, u64, u64)> {
        let spans = window.report();
        spans.iter().map(|s| (s.key, s.start.0, s.end.0, s.delta[0])).collect()
    }

    #[test]
    fn a_suspend_a_step_either_way_and_a_clock_that_runs_back_are_gaps() {
        let first = moment(100, 50, 40);
        for (now, is_gap) in [
            (moment(110, 60, 50), false),
            (moment(110, 60, 45), true),
            (moment(140, 60, 50), true),
            (moment(90, 60, 50), true),
            (moment(110, 49, 50), true),
            (moment(110, 60, 39), true),
            (moment(100, 50, 40), false),
        ] {
            let mut continuity = Continuity::default();
            assert!(!continuity.breaks_at(first));
            assert_eq!(continuity.breaks_at(now), is_gap, "{now:?}");
        }
    }

    #[test]
    fn windows_adjoin_and_lose_nothing_between_them() {
        let mut window = Window::new(2);
        round(&mut window, &[(1, 100)], 10, false);
        assert_eq!(spans(&mut window), [], "one reading is no window");
        round(&mut window, &[(1, 130)], 20, false);
        round(&mut window, &[(1, 131)], 30, false);
        assert_eq!(spans(&mut window), [(1, 10, 30, 31)]);
        round(&mut window, &[(1, 140)], 40, false);
        assert_eq!(spans(&mut window), [(1, 30, 40, 9)]);
    }

    #[test]
    fn a_counter_that_falls_ends_its_span_before_the_fall() {
        let mut window = Window::new(2);
        for (at, value) in [(10, 100), (20, 150), (30, 5), (40, 8)] {
            round(&mut window, &[(1, value)], at, false);
        }
        assert_eq!(spans(&mut window), [(1, 10, 20, 50), (1, 30, 40, 3)]);
    }

    #[test]
    fn a_gap_is_covered_by_no_span() {
        let mut window = Window::new(2);
        round(&mut window, &[(1, 100)], 10, false);
        round(&mut window, &[(1, 150)], 20, false);
        round(&mut window, &[(1, 9_000)], 30, true);
        round(&mut window, &[(1, 9_001)], 40, false);
        assert_eq!(spans(&mut window), [(1, 10, 20, 50), (1, 30, 40, 1)]);
    }

    #[test]
    fn a_device_that_goes_and_comes_back_is_a_new_series() {
        let mut window = Window::new(2);
        round(&mut window, &[(1, 100), (2, 7)], 10, false);
        round(&mut window, &[(1, 150), (2, 9)], 20, false);
        round(&mut window, &[(2, 10)], 30, false);
        round(&mut window, &[(1, 160), (2, 10)], 40, false);
        round(&mut window, &[(1, 161), (2, 10)], 50, false);
        assert_eq!(spans(&mut window), [(1, 10, 20, 50), (2, 10, 50, 3), (1, 40, 50, 1)]);
    }

    #[test]
    fn keys_and_ended_spans_are_bounded() {
        let mut window = Window::new(2);
        for at in 0..100 {
            let value = if at % 3 == 0 { 0 } else { at };
            round(&mut window, &[(1, value), (2, value), (3, value)], at, false);
        }
        assert_eq!(window.keys().count(), 2);
        assert!(spans(&mut window).len() <= 2 * CLOSED_PER_KEY + 2);
    }

    /// Any sequence of readings and gaps: what the spans add up to is what the readings rose by
    /// where they may be compared, and no span contains a gap or a fall.
    #[test]
    fn spans_add_up_to_every_comparable_rise_and_to_nothing_else() {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..300 {
            let mut window = Window::new(1);
            let (mut value, mut expected, mut cuts) = (500, 0, Vec::new());
            let mut total = 0;
            let mut check = |window: &mut Window<u8, 1>, cuts: &[u64]| {
                for (_, start, end, delta) in spans(window) {
                    assert!(cuts.iter().all(|cut| *cut <= start || *cut > end), "{start}..{end}");
                    total += delta;
                }
                total
            };
            round(&mut window, &[(1, value)], 0, false);
            for at in 1..CLOSED_PER_KEY as u64 * 2 {
                let (gap, falls, step) = (random(4) == 0, random(5) == 0, random(100));
                let next = if falls { value / 2 } else { value + step };
                if gap || next < value {
                    cuts.push(at);
                } else {
                    expected += next - value;
                }
                value = next;
                round(&mut window, &[(1, value)], at, gap);
                if random(3) == 0 {
                    check(&mut window, &cuts);
                }
            }
            assert_eq!(check(&mut window, &cuts), expected);
        }
    }
}
