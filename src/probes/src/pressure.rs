//! How long work stood still because a resource was short: level 2, `/proc/pressure/*` once a
//! minute. Linux only; a kernel without pressure-stall information tells nothing.
//!
//! The totals are read, not the kernel's averages: a difference of totals is exact for any window.
//! Format: kernel, `Documentation/accounting/psi.rst`; times in microseconds.
//!
//! # Invariants
//! - `full` of `cpu` is left out: the kernel documents it as undefined for the whole system.
//! - A total is never compared over a gap; see [`crate::window`].
//!
//! A file that is missing or not as documented is a resource that is not told.

use std::time::Duration;

use candor_model::metrics::pressure::{KINDS, RESOURCES, STALL_TIME};
use candor_model::{Level, Number, Record};

use crate::beat::Beat;
use crate::kept::Kept;
use crate::points::{Sheet, during, word};
use crate::scan::{lines, number, words};
use crate::window::{Continuity, Window};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// Of a resource, a kind: their places in [`RESOURCES`] and [`KINDS`].
type Key = (usize, usize);

/// The place of `cpu` and of `full`.
const UNDEFINED: Key = (0, 1);

/// The probe.
#[derive(Debug)]
pub(crate) struct Pressure {
    files: Vec<Kept>,
    beat: Beat,
    continuity: Continuity,
    window: Window<Key, 1>,
}

impl Pressure {
    pub(crate) fn new() -> Self {
        Self {
            files: Vec::new(),
            beat: Beat::default(),
            continuity: Continuity::default(),
            window: Window::new(RESOURCES.len() * KINDS.len()),
        }
    }

    fn read(&mut self, host: &Host, now: Moment) {
        if self.files.is_empty() {
            let open = |name: &&str| Kept::new(host.proc(&format!("pressure/{name}")));
            self.files = RESOURCES.iter().map(open).collect();
        }
        self.window.begin(self.continuity.breaks_at(now));
        for (resource, file) in self.files.iter_mut().enumerate() {
            let Ok(text) = file.read() else { continue };
            for (kind, total) in lines(text).filter_map(parse) {
                let key = (resource, kind);
                if key != UNDEFINED {
                    self.window.observe(key, [total], now.wall);
                }
            }
        }
        self.window.finish();
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`: the place of the kind, and the total.
fn parse(line: &[u8]) -> Option<(usize, u64)> {
    let mut words = words(line);
    let first = words.next()?;
    let kind = KINDS.iter().position(|kind| kind.as_bytes() == first)?;
    Some((kind, words.find_map(|word| number(word.strip_prefix(b"total=")?))?))
}

impl Probe for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        if self.beat.is_due(now) {
            self.read(host, now);
        }
        Ok(())
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        if !self.continuity.has_read_at(now) {
            self.read(host, now);
        }
        let mut sheet = Sheet::default();
        let points = self.window.report().into_iter().map(|span| {
            let (resource, kind) = span.key;
            let stalled = Duration::from_micros(span.delta[0]).as_secs_f64();
            let attributes = vec![word(RESOURCES[resource]), word(KINDS[kind])];
            during((span.start, span.end), attributes, Some(Number::Double(stalled)))
        });
        sheet.add(&STALL_TIME, points);
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self { files: std::mem::take(&mut self.files), ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::samples::{at, values};

    fn write(host: &Host, resource: &str, some: u64, full: u64) {
        let rest = "avg10=2.41 avg60=1.41 avg300=1.86";
        let text = format!("some {rest} total={some}\nfull {rest} total={full}\n");
        fs::create_dir_all(host.proc("pressure")).unwrap();
        fs::write(host.proc("pressure").join(resource), text).unwrap();
    }

    fn machine() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        write(&host, "cpu", 1_000_000, 7);
        write(&host, "memory", 81_892_476, 14_137_878);
        (root, host)
    }

    #[test]
    fn what_stood_still_is_the_difference_of_two_totals() {
        let (_root, host) = machine();
        let mut probe = Pressure::new();
        probe.sample(&host, at(0)).unwrap();
        write(&host, "cpu", 3_500_000, 9);
        write(&host, "memory", 81_892_476, 14_387_878);
        // Not due: the file is looked at once a minute, and with the report.
        probe.sample(&host, at(10)).unwrap();
        let records = probe.report(&host, at(20)).unwrap();
        let told = values(&records, "candor.pressure.stall_time");
        let expected =
            [("cpu some".into(), 2.5), ("memory some".into(), 0.0), ("memory full".into(), 0.25)];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_suspend_between_two_readings_tells_nothing_over_it() {
        let (_root, host) = machine();
        let mut probe = Pressure::new();
        probe.sample(&host, at(0)).unwrap();
        write(&host, "cpu", 3_500_000, 9);
        let mut later = at(3600);
        later.monotonic = at(30).monotonic;
        assert_eq!(probe.report(&host, later).unwrap(), []);
    }

    #[test]
    fn a_kernel_without_it_and_a_malformed_file_tell_nothing() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        assert_eq!(Pressure::new().report(&host, at(0)).unwrap(), []);
        for line in ["", "some", "some total=", "some total=-1", "most total=1", "total=1"] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
        assert_eq!(parse(b"full avg10=0.00 total=12"), Some((1, 12)));
    }

    #[test]
    fn a_reset_forgets_the_window() {
        let (_root, host) = machine();
        let mut probe = Pressure::new();
        probe.sample(&host, at(0)).unwrap();
        write(&host, "cpu", 3_500_000, 9);
        probe.reset();
        assert_eq!(probe.report(&host, at(20)).unwrap(), []);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "pressure::parse",
            Says::Stands,
            &[b"some avg10=0.00 avg60=0.00 avg300=0.00 total=12345".to_vec()],
            |line: &[u8]| parse(line).map(|(_, total)| total),
        );
    }
}
