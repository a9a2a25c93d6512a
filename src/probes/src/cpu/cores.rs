//! Each logical CPU by itself: level 3, once a minute and with each report. Linux only.
//!
//! ```text
//! proc/stat                                              cpuN user nice system idle …
//! sys/devices/system/cpu/cpuN/cpufreq/scaling_cur_freq   kHz
//! ```
//!
//! # Invariants
//! - At most [`MAX_CPUS`]; further ones are not followed.
//! - A CPU that goes and comes is a new series.
//!
//! A `/proc/stat` that cannot be read is the round's failure; a machine without `cpufreq` (most
//! virtual ones) tells no frequency.

use candor_model::metrics::core::{FREQUENCY, TIME};
use candor_model::metrics::system::CPU_MODES;
use candor_model::{Level, Number, Record, Value};

use super::linux::modes;
use super::{MODES, seconds, steady};
use crate::beat::Beat;
use crate::kept::Kept;
use crate::points::{Sheet, during, last, whole, word};
use crate::scan::{lines, number, numbers, words};
use crate::window::{Continuity, Window};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// The most CPUs that are followed.
const MAX_CPUS: usize = 256;

/// The probe.
#[derive(Debug)]
pub(crate) struct Cores {
    stat: Option<Kept>,
    beat: Beat,
    continuity: Continuity,
    window: Window<u32, MODES>,
}

impl Cores {
    pub(crate) fn new() -> Self {
        let (beat, continuity) = (Beat::default(), Continuity::default());
        Self { stat: None, beat, continuity, window: Window::new(MAX_CPUS) }
    }

    fn read(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        let stat = self.stat.get_or_insert_with(|| Kept::new(host.proc("stat")));
        let text = stat.read()?;
        self.window.begin(self.continuity.breaks_at(now));
        for (cpu, ticks) in lines(text).filter_map(parse) {
            let ticks = steady(ticks, self.window.last(cpu));
            self.window.observe(cpu, ticks, now.wall);
        }
        self.window.finish();
        Ok(())
    }
}

/// `cpuN` and its ticks.
fn parse(line: &[u8]) -> Option<(u32, [u64; MODES])> {
    let mut words = words(line);
    let cpu = number(words.next()?.strip_prefix(b"cpu")?)?;
    Some((u32::try_from(cpu).ok()?, modes(numbers(&mut words)?)?))
}

impl Probe for Cores {
    fn name(&self) -> &'static str {
        "cores"
    }

    fn level(&self) -> Level {
        Level::Full
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        if self.beat.is_due(now) { self.read(host, now) } else { Ok(()) }
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        if !self.continuity.has_read_at(now) {
            self.read(host, now)?;
        }
        let mut sheet = Sheet::default();
        let number = |cpu: u32| Some(Value::Int(i64::from(cpu)));
        let times = self.window.report().into_iter().flat_map(|span| {
            CPU_MODES.iter().zip(span.delta).map(move |(mode, ticks)| {
                let time = Some(Number::Double(seconds(ticks)));
                during((span.start, span.end), vec![number(span.key), word(mode)], time)
            })
        });
        sheet.add(&TIME, times);
        let frequencies = self.window.keys().map(|cpu| {
            let path = format!("devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq");
            let hertz = host.number(&host.sys(&path)).and_then(|khz| khz.checked_mul(1000));
            last(vec![number(cpu)], now.wall, hertz.and_then(whole))
        });
        sheet.add(&FREQUENCY, frequencies);
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self { stat: self.stat.take(), ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::samples::{at, metric};

    fn machine(table: &str) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("")).unwrap();
        fs::write(host.proc("stat"), table).unwrap();
        (root, host)
    }

    /// CPU, mode and seconds of each point that is not zero.
    fn times(records: &[Record]) -> Vec<(i64, String, f64)> {
        let points = metric(records, "candor.cpu.core.time").points().iter();
        points
            .filter_map(|point| match (&point.attributes[..], &point.value) {
                ([Some(Value::Int(cpu)), Some(Value::Text(mode))], Number::Double(time)) => {
                    (*time > 0.0).then(|| (*cpu, mode.to_string(), *time))
                }
                _ => panic!("{point:?}"),
            })
            .collect()
    }

    #[test]
    fn each_cpu_has_its_own_times_and_its_own_frequency() {
        let (_root, host) = machine(
            "cpu  30 0 0 70 0 0 0 0 0 0\ncpu0 10 0 0 40 0 0 0 0 0 0\ncpu5 20 0 0 30 9 0 0 0 0 0\n",
        );
        let frequency = host.sys("devices/system/cpu/cpu5/cpufreq");
        fs::create_dir_all(&frequency).unwrap();
        fs::write(frequency.join("scaling_cur_freq"), "2400000\n").unwrap();
        let mut probe = Cores::new();
        probe.sample(&host, at(0)).unwrap();
        // The second waits less than before: an estimate that fell, no reset.
        let later =
            "cpu  1 0 0 1 0 0 0 0\ncpu0 110 0 0 40 0 0 0 0 0 0\ncpu5 20 0 0 230 8 7 3 0 0 0\n";
        fs::write(host.proc("stat"), later).unwrap();
        let records = probe.report(&host, at(10)).unwrap();
        let expected =
            [(0, "user".into(), 1.0), (5, "idle".into(), 2.0), (5, "interrupt".into(), 0.1)];
        assert_eq!(times(&records), expected);
        let points = metric(&records, "system.cpu.frequency").points();
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].attributes, [Some(Value::Int(5))]);
        assert_eq!(points[0].value, Number::Int(2_400_000_000));
    }

    #[test]
    fn a_cpu_that_is_switched_off_and_on_again_tells_nothing_over_it() {
        let (_root, host) = machine("cpu0 10 0 0 40 0 0 0 0\ncpu1 10 0 0 40 0 0 0 0\n");
        let mut probe = Cores::new();
        probe.report(&host, at(0)).unwrap();
        fs::write(host.proc("stat"), "cpu0 11 0 0 40 0 0 0 0\n").unwrap();
        probe.report(&host, at(10)).unwrap();
        fs::write(host.proc("stat"), "cpu0 12 0 0 40 0 0 0 0\ncpu1 99 0 0 99 0 0 0 0\n").unwrap();
        let records = probe.report(&host, at(20)).unwrap();
        assert_eq!(times(&records), [(0, "user".into(), 0.01)]);
    }

    #[test]
    fn a_malformed_line_is_left_out_and_does_not_panic() {
        for line in [
            "",
            "cpu",
            "cpu 1 1 1 1 1 1 1 1",
            "cpux 1 1 1 1 1 1 1 1",
            "cpu1 1 2",
            "cpu99999999999 1 1 1 1 1 1 1 1",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
        assert!(Cores::new().report(&Host::new("/nonexistent"), at(0)).is_err());
    }

    #[test]
    fn very_many_cpus_stay_within_the_bound() {
        let lines: Vec<_> = (0..1000).map(|n| format!("cpu{n} 1 0 0 1 0 0 0 0")).collect();
        let (_root, host) = machine(&lines.join("\n"));
        let mut probe = Cores::new();
        probe.report(&host, at(0)).unwrap();
        let records = probe.report(&host, at(10)).unwrap();
        assert_eq!(metric(&records, "candor.cpu.core.time").points().len(), MAX_CPUS * MODES);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "cpu/cores::parse",
            Says::Derived("interrupts of both kinds are added"),
            &[b"cpu0 100 0 50 800 0 3 4 50 0 0\ncpu17 1 2 3 4 5 6 7 8\n".to_vec()],
            |text: &[u8]| lines(text).filter_map(parse).collect::<Vec<_>>(),
        );
    }
}
