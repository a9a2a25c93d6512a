//! How the drives are used and how fast they answer: level 2, sampled.
//!
//! The per-OS file reads; the aggregation is here.
//!
//! # Invariants
//! - Whole drives only: neither partitions nor what is stacked on drives (dm, md, loop, zram), so
//!   that the sum over devices counts every byte once.
//! - At most [`MAX_DISKS`] drives; later ones of the table are not followed.
//! - A latency is told only of an interval in which something completed.
//!
//! A table that cannot be read is the round's failure; a malformed line is a drive that is not told.

use std::time::Duration;

use candor_model::metrics::system::{
    DISK_DIRECTIONS, DISK_IO, DISK_IO_TIME, DISK_LATENCY, DISK_LIMIT, DISK_MERGED,
    DISK_OPERATION_TIME, DISK_OPERATIONS,
};
use candor_model::{Level, MetricEntry, Number, Record, UnixNanos};

use crate::histogram::Histogram;
use crate::name::Name;
use crate::points::{Sheet, during, last, ratio, text, whole, word};
use crate::window::{Continuity, Span, Window};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(unix)]
mod linux;
#[cfg(unix)]
use linux::Reader;
#[cfg(any(windows, test))]
mod performance;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::Reader;

/// The most drives that are followed.
const MAX_DISKS: usize = 24;

/// Counters of a drive.
const COUNTERS: usize = 9;
/// For reading and writing: operations, merged operations, bytes, milliseconds.
const OPERATIONS: [usize; 2] = [0, 4];
const MERGED: [usize; 2] = [1, 5];
const BYTES: [usize; 2] = [2, 6];
const MILLISECONDS: [usize; 2] = [3, 7];
/// Milliseconds in which it had something to do.
const BUSY: usize = 8;

/// One drive's counters since boot.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    name: Name,
    counters: [u64; COUNTERS],
}

/// What an OS tells beside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that do not depend on each other")]
struct Tells {
    operations: bool,
    merged: bool,
    times: bool,
    busy: bool,
}

/// The probe.
#[derive(Debug)]
pub(crate) struct Disk {
    reader: Reader,
    readings: Vec<Reading>,
    continuity: Continuity,
    window: Window<Name, COUNTERS>,
    latencies: Vec<Latency>,
}

/// How long a drive's operations took, reading and writing, since `start`.
#[derive(Debug)]
struct Latency {
    name: Name,
    start: UnixNanos,
    directions: [Histogram; 2],
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::default(),
            readings: Vec::new(),
            continuity: Continuity::default(),
            window: Window::new(MAX_DISKS),
            latencies: Vec::new(),
        }
    }

    fn take(&mut self, now: Moment) {
        self.window.begin(self.continuity.breaks_at(now));
        for reading in &self.readings {
            let delta = self.window.observe(reading.name, reading.counters, now.wall);
            let is_followed = self.window.last(reading.name).is_some();
            if Reader::TELLS.times && is_followed {
                add_latency(&mut self.latencies, reading.name, delta, now.wall);
            }
        }
        self.window.finish();
    }

    fn write(&mut self, sheet: &mut Sheet, now: Moment) {
        let spans = self.window.report();
        add_pairs(sheet, &DISK_IO, &spans, |span, way| whole(span.delta[BYTES[way]]));
        if Reader::TELLS.operations {
            let operations = |span: &DiskSpan, way| whole(span.delta[OPERATIONS[way]]);
            add_pairs(sheet, &DISK_OPERATIONS, &spans, operations);
        }
        if Reader::TELLS.merged {
            add_pairs(sheet, &DISK_MERGED, &spans, |span, way| whole(span.delta[MERGED[way]]));
        }
        if Reader::TELLS.times {
            let times = |span: &DiskSpan, way| seconds(span.delta[MILLISECONDS[way]]);
            add_pairs(sheet, &DISK_OPERATION_TIME, &spans, times);
        }
        if Reader::TELLS.busy {
            let busy = |span: &DiskSpan| {
                let attributes = vec![text(span.key.as_str())];
                during((span.start, span.end), attributes, seconds(span.delta[BUSY]))
            };
            sheet.add(&DISK_IO_TIME, spans.iter().map(busy));
        }
        self.write_latencies(sheet, now);
    }

    fn write_latencies(&mut self, sheet: &mut Sheet, now: Moment) {
        let points = self.latencies.iter_mut().flat_map(|latency| {
            let (name, times) = (latency.name, (latency.start, now.wall));
            DISK_DIRECTIONS.iter().zip(&mut latency.directions).map(move |(direction, taken)| {
                let value = taken.take().map(|taken| Number::Histogram(Box::new(taken)));
                during(times, vec![text(name.as_str()), word(direction)], value)
            })
        });
        sheet.add(&DISK_LATENCY, points);
        self.latencies.clear();
        let starts = self.window.keys().map(|name| Latency::new(name, now.wall));
        self.latencies.extend(starts);
    }
}

type DiskSpan = Span<Name, COUNTERS>;

impl Latency {
    fn new(name: Name, start: UnixNanos) -> Self {
        Self { name, start, directions: Default::default() }
    }
}

/// Notes the mean time of an interval's operations. A name that comes and goes keeps its line until
/// the report, so there are at most as many as names came: bounded like the window.
fn add_latency(
    latencies: &mut Vec<Latency>,
    name: Name,
    delta: Option<[u64; COUNTERS]>,
    at: UnixNanos,
) {
    let known = latencies.iter().position(|latency| latency.name == name);
    let Some(index) = known else {
        if latencies.len() < 2 * MAX_DISKS {
            latencies.push(Latency::new(name, at));
        }
        return;
    };
    let (Some(latency), Some(delta)) = (latencies.get_mut(index), delta) else { return };
    for (way, histogram) in latency.directions.iter_mut().enumerate() {
        let mean = ratio(delta[MILLISECONDS[way]], delta[OPERATIONS[way]]);
        if let Some(milliseconds) = mean {
            histogram.add(milliseconds / 1000.0);
        }
    }
}

/// A point for each drive and direction.
fn add_pairs(
    sheet: &mut Sheet,
    entry: &'static MetricEntry,
    spans: &[DiskSpan],
    value: impl Fn(&DiskSpan, usize) -> Option<Number>,
) {
    let value = &value;
    let points = spans.iter().flat_map(|span| {
        DISK_DIRECTIONS.iter().enumerate().map(move |(way, direction)| {
            let attributes = vec![text(span.key.as_str()), word(direction)];
            during((span.start, span.end), attributes, value(span, way))
        })
    });
    sheet.add(entry, points);
}

/// Seconds of milliseconds.
#[expect(clippy::unnecessary_wraps, reason = "the same shape as `whole`")]
fn seconds(milliseconds: u64) -> Option<Number> {
    Some(Number::Double(Duration::from_millis(milliseconds).as_secs_f64()))
}

impl Probe for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        self.readings.clear();
        self.reader.read(host, &mut self.readings)?;
        self.take(now);
        Ok(())
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        if !self.continuity.has_read_at(now) {
            self.sample(host, now)?;
        }
        let mut sheet = Sheet::default();
        self.write(&mut sheet, now);
        let reader = &self.reader;
        let limits = self.window.keys().map(|name| {
            let limit = reader.limit(host, name.as_str()).and_then(whole);
            last(vec![text(name.as_str())], now.wall, limit)
        });
        sheet.add(&DISK_LIMIT, limits);
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self { reader: std::mem::take(&mut self.reader), ..Self::new() };
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, metric, values};

    fn round(disk: &mut Disk, second: u64, drives: &[(&str, [u64; COUNTERS])]) {
        disk.readings = drives
            .iter()
            .map(|(name, counters)| Reading {
                name: Name::new(name.as_bytes()).unwrap(),
                counters: *counters,
            })
            .collect();
        disk.take(at(second));
    }

    fn report(disk: &mut Disk, second: u64) -> Vec<Record> {
        let mut sheet = Sheet::default();
        disk.write(&mut sheet, at(second));
        sheet.into_records()
    }

    #[test]
    fn each_direction_has_its_own_numbers_and_its_own_latency() {
        let mut disk = Disk::new();
        round(&mut disk, 0, &[("vda", [10, 1, 4096, 50, 20, 2, 8192, 90, 100])]);
        round(&mut disk, 10, &[("vda", [14, 1, 5120, 58, 20, 2, 8192, 90, 105])]);
        round(&mut disk, 20, &[("vda", [14, 1, 5120, 58, 30, 5, 9216, 190, 155])]);
        let records = report(&mut disk, 20);
        let pair = |read: f64, write: f64| [("vda read".into(), read), ("vda write".into(), write)];
        assert_eq!(values(&records, "system.disk.io"), pair(1024.0, 1024.0));
        assert_eq!(values(&records, "system.disk.operations"), pair(4.0, 10.0));
        assert_eq!(values(&records, "system.disk.merged"), pair(0.0, 3.0));
        assert_eq!(values(&records, "system.disk.operation_time"), pair(0.008, 0.1));
        assert_eq!(values(&records, "system.disk.io_time"), [("vda".into(), 0.055)]);
        // One interval read (8 ms / 4), one wrote (100 ms / 10).
        assert_eq!(values(&records, "candor.disk.latency"), pair(1.0, 1.0));
        let sums =
            metric(&records, "candor.disk.latency").points().iter().map(|p| match &p.value {
                Number::Histogram(histogram) => histogram.sum,
                _ => f64::NAN,
            });
        assert_eq!(sums.collect::<Vec<_>>(), [0.002, 0.01]);
    }

    #[test]
    fn a_drive_that_is_swapped_for_another_gives_no_number_over_the_swap() {
        let mut disk = Disk::new();
        round(&mut disk, 0, &[("sda", [10; 9]), ("sdb", [1000; 9])]);
        round(&mut disk, 10, &[("sda", [10; 9])]);
        round(&mut disk, 20, &[("sda", [10; 9]), ("sdb", [2000; 9])]);
        let records = report(&mut disk, 20);
        let expected = [("sda read".into(), 0.0), ("sda write".into(), 0.0)];
        assert_eq!(values(&records, "system.disk.io"), expected);
        assert_eq!(values(&records, "candor.disk.latency"), []);
    }

    #[test]
    fn a_host_with_a_thousand_drives_stays_within_the_bound() {
        let mut disk = Disk::new();
        let names: Vec<_> = (0..1000).map(|n| format!("sd{n}")).collect();
        for second in [0, 10] {
            let drives: Vec<_> = names.iter().map(|n| (n.as_str(), [second + 1; 9])).collect();
            round(&mut disk, second, &drives);
        }
        let records = report(&mut disk, 10);
        assert_eq!(values(&records, "system.disk.io").len(), 2 * MAX_DISKS);
        assert!(disk.latencies.len() <= 2 * MAX_DISKS);
    }
}
