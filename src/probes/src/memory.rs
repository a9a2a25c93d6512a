//! How much memory and swap is used: level 2, sampled.
//!
//! The per-OS file reads; the aggregation is here.
//!
//! # Invariants
//! - The states of a usage add up to its limit: `used` is what is neither free nor buffers nor
//!   cache, and where that would be negative no usage is told.
//! - No utilisation of what does not exist: a host without swap has no `system.paging.utilization`.
//!
//! A table that cannot be read or understood is the round's failure; single values that a host does
//! not tell are absent.

use candor_model::metrics::system::{
    FAULT_TYPES, MEMORY_AVAILABLE, MEMORY_LIMIT, MEMORY_PRESSURE, MEMORY_SHARED, MEMORY_STATES,
    MEMORY_USAGE, MEMORY_UTILIZATION, PAGING_DIRECTIONS, PAGING_FAULTS, PAGING_OPERATIONS,
    PAGING_STATES, PAGING_USAGE, PAGING_UTILIZATION, SLAB_STATES, SLAB_USAGE,
};
use candor_model::{Level, MetricEntry, Number, Point, Record, UnixNanos};

use crate::histogram::Histogram;
use crate::points::{Sheet, during, last, ratio, share, whole, word};
use crate::window::{Continuity, Window};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(unix)]
mod linux;
#[cfg(unix)]
use linux::Reader;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::Reader;

/// What a reading tells; sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reading {
    total: Option<u64>,
    free: Option<u64>,
    available: Option<u64>,
    buffers: Option<u64>,
    /// Page cache and the slabs that can be given back, as `free` counts it.
    cached: Option<u64>,
    shared: Option<u64>,
    slab_reclaimable: Option<u64>,
    slab_unreclaimable: Option<u64>,
    swap_total: Option<u64>,
    swap_free: Option<u64>,
    /// Faults since boot: major, minor.
    faults: Option<[u64; 2]>,
    /// Pages since boot: from swap, to swap.
    swapped: Option<[u64; 2]>,
}

impl Reading {
    /// Memory by state, in the order of [`MEMORY_STATES`].
    ///
    /// Windows tells neither buffers nor cache; there used is what is not free.
    fn states(&self) -> [Option<u64>; 4] {
        let used = || {
            let rest = self.total?.checked_sub(self.free?)?;
            rest.checked_sub(self.buffers.unwrap_or(0))?.checked_sub(self.cached.unwrap_or(0))
        };
        match used() {
            Some(used) => [Some(used), self.free, self.buffers, self.cached],
            None => [None; 4],
        }
    }

    /// Swap by state, in the order of [`PAGING_STATES`].
    fn swap_states(&self) -> [Option<u64>; 2] {
        let used =
            self.swap_total.zip(self.swap_free).and_then(|(all, free)| all.checked_sub(free));
        [used, used.and(self.swap_free)]
    }

    /// The fraction that programs cannot have.
    fn pressure(&self) -> Option<f64> {
        let total = self.total?;
        ratio(total.checked_sub(self.available?)?, total)
    }
}

/// The probe.
#[derive(Debug)]
pub(crate) struct Memory {
    reader: Reader,
    continuity: Continuity,
    faults: Window<(), 2>,
    swapped: Window<(), 2>,
    pressure: Histogram,
    pressure_start: Option<UnixNanos>,
    latest: Reading,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::default(),
            continuity: Continuity::default(),
            faults: Window::new(1),
            swapped: Window::new(1),
            pressure: Histogram::default(),
            pressure_start: None,
            latest: Reading::default(),
        }
    }

    fn take(&mut self, reading: Reading, now: Moment) {
        let after_gap = self.continuity.breaks_at(now);
        self.pressure_start.get_or_insert(now.wall);
        if let Some(pressure) = reading.pressure() {
            self.pressure.add(pressure);
        }
        for (window, values) in
            [(&mut self.faults, reading.faults), (&mut self.swapped, reading.swapped)]
        {
            window.begin(after_gap);
            if let Some(values) = values {
                window.observe((), values, now.wall);
            }
            window.finish();
        }
        self.latest = reading;
    }

    fn write(&mut self, sheet: &mut Sheet, now: Moment) {
        let reading = self.latest;
        let states = reading.states();
        let shares = |parts: &[Option<u64>], of: Option<u64>| -> Vec<Option<Number>> {
            parts.iter().map(|part| share((*part)?, of?)).collect()
        };
        let by_state =
            |words: &[&'static str], values: Vec<Option<Number>>| -> Vec<Option<Point>> {
                words.iter().zip(values).map(|(w, v)| last(vec![word(w)], now.wall, v)).collect()
            };
        let wholes = |parts: &[Option<u64>]| -> Vec<Option<Number>> {
            parts.iter().map(|part| part.and_then(whole)).collect()
        };
        sheet.add(&MEMORY_USAGE, by_state(MEMORY_STATES, wholes(&states)));
        sheet.add(&MEMORY_UTILIZATION, by_state(MEMORY_STATES, shares(&states, reading.total)));
        let swap = reading.swap_states();
        sheet.add(&PAGING_USAGE, by_state(PAGING_STATES, wholes(&swap)));
        sheet.add(&PAGING_UTILIZATION, by_state(PAGING_STATES, shares(&swap, reading.swap_total)));
        let slab = [reading.slab_reclaimable, reading.slab_unreclaimable];
        sheet.add(&SLAB_USAGE, by_state(SLAB_STATES, wholes(&slab)));
        for (entry, value) in [
            (&MEMORY_LIMIT, reading.total),
            (&MEMORY_AVAILABLE, reading.available),
            (&MEMORY_SHARED, reading.shared),
        ] {
            sheet.add(entry, [last(vec![], now.wall, value.and_then(whole))]);
        }
        self.write_windows(sheet, now);
    }

    fn write_windows(&mut self, sheet: &mut Sheet, now: Moment) {
        let start = self.pressure_start.replace(now.wall).unwrap_or(now.wall);
        let pressure = self.pressure.take().map(|taken| Number::Histogram(Box::new(taken)));
        sheet.add(&MEMORY_PRESSURE, [during((start, now.wall), vec![], pressure)]);
        add_pairs(sheet, &PAGING_FAULTS, FAULT_TYPES, &mut self.faults);
        add_pairs(sheet, &PAGING_OPERATIONS, PAGING_DIRECTIONS, &mut self.swapped);
    }
}

/// The spans of two counters, each with its word.
fn add_pairs(
    sheet: &mut Sheet,
    entry: &'static MetricEntry,
    words: &[&'static str],
    window: &mut Window<(), 2>,
) {
    let spans = window.report();
    let points = spans.iter().flat_map(|span| {
        let of_word = |(w, count): (&&'static str, u64)| {
            during((span.start, span.end), vec![word(w)], whole(count))
        };
        words.iter().zip(span.delta).map(of_word)
    });
    sheet.add(entry, points);
}

impl Probe for Memory {
    fn name(&self) -> &'static str {
        "memory"
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
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self { reader: std::mem::take(&mut self.reader), ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, values};

    fn report(reading: Reading) -> Vec<Record> {
        let mut memory = Memory::new();
        memory.take(reading, at(0));
        let mut sheet = Sheet::default();
        memory.write(&mut sheet, at(0));
        sheet.into_records()
    }

    #[test]
    fn the_states_add_up_to_the_limit() {
        let records = report(Reading {
            total: Some(1000),
            free: Some(300),
            buffers: Some(50),
            cached: Some(250),
            available: Some(600),
            ..Reading::default()
        });
        let usage = values(&records, "system.memory.usage");
        assert_eq!(usage[0], ("used".into(), 400.0));
        assert!((usage.iter().map(|(_, bytes)| bytes).sum::<f64>() - 1000.0).abs() < 1e-9);
        assert_eq!(values(&records, "system.memory.utilization")[0], ("used".into(), 0.4));
        assert_eq!(values(&records, "candor.memory.utilization"), [(String::new(), 1.0)]);
    }

    #[test]
    fn numbers_that_contradict_each_other_give_no_usage() {
        let records = report(Reading {
            total: Some(1000),
            free: Some(900),
            cached: Some(250),
            available: Some(1001),
            ..Reading::default()
        });
        assert_eq!(values(&records, "system.memory.usage"), []);
        assert_eq!(values(&records, "candor.memory.utilization"), []);
        assert_eq!(values(&records, "system.memory.limit"), [(String::new(), 1000.0)]);
    }

    #[test]
    fn a_host_without_swap_has_a_usage_of_nothing_and_no_utilisation() {
        let records =
            report(Reading { swap_total: Some(0), swap_free: Some(0), ..Reading::default() });
        let expected = [("used".into(), 0.0), ("free".into(), 0.0)];
        assert_eq!(values(&records, "system.paging.usage"), expected);
        assert_eq!(values(&records, "system.paging.utilization"), []);
    }

    #[test]
    fn what_is_not_told_is_absent() {
        assert_eq!(report(Reading::default()), []);
    }
}
