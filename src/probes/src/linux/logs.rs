//! `candor.log.record`: what the kernel and the services logged as a warning or worse.
//!
//! ```text
//! journal there?  journalctl -o json -p warning --after-cursor … -> records
//! else            dev/kmsg                                       -> records
//! records -> hide what follows `serial` -> at most so many of each source -> events
//! ```
//!
//! # Invariants
//! - Nothing is read while policy says `LimitDiagnosticLogCollection`, nor below level 3; what was
//!   logged meanwhile is not caught up on, and neither is what was logged before the first look:
//!   raising the level tells nothing from before.
//! - At most [`PER_SOURCE`] records of a source and [`MAX_RECORDS`] in all; the others are counted.
//! - The message is scrubbed at the door, as every diagnostic text; a line's serial numbers, which
//!   no scrubber can tell from other words, are hidden here.
//! - The agent's own records are left out: its trouble must not feed itself.
//!
//! A journal that does not answer in time is a lost round.

use std::collections::BTreeMap;

use candor_model::events::log::{Entry, Severity};
use candor_model::{EventDef as _, Level, Record, UnixNanos};

use super::kmsg::Kmsg;
use crate::{Host, Moment, Probe, ProbeError, Rhythm, Settings, Switch};

mod journal;

use journal::Journal;

/// Of one source in a window.
const PER_SOURCE: usize = 20;
/// Of all sources in a window.
const MAX_RECORDS: usize = 300;
/// Severities go from 0 to 7; 4 is a warning.
const WARNING: u8 = 4;
/// The longest source.
const SOURCE_CHARS: usize = 64;

/// A record of either log.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    source: String,
    severity: u8,
    time: UnixNanos,
    message: String,
}

/// The probe.
pub(super) struct Logs {
    limit: Switch,
    journal: Journal,
    kmsg: Kmsg,
    has_looked: bool,
}

impl Logs {
    pub(super) fn new(settings: &Settings) -> Self {
        let limit = settings.limit_logs.clone();
        Self { limit, journal: Journal::default(), kmsg: Kmsg::default(), has_looked: false }
    }

    fn lines(&mut self, host: &Host, now: Moment) -> Result<Vec<Line>, ProbeError> {
        let since = now.wall.0;
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        if let Some(program) = Journal::program(host) {
            return self.journal.read(&program, UnixNanos(since));
        }
        let entries = self.kmsg.read(host, now).into_iter();
        let entries = entries.filter(|entry| !is_first || entry.time.0 >= since);
        let line = |entry: super::kmsg::Entry| Line {
            source: if entry.is_kernel { "kernel".to_owned() } else { identifier(&entry.message) },
            severity: entry.severity,
            time: entry.time,
            message: entry.message,
        };
        Ok(entries.map(line).collect())
    }
}

/// `systemd[1]: …`: who wrote into the kernel's log.
fn identifier(message: &str) -> String {
    let name = message.split([':', '[', ' ']).next().unwrap_or_default();
    if name.is_empty() { "user".to_owned() } else { name.to_owned() }
}

impl Probe for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn level(&self) -> Level {
        Level::Full
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        if self.limit.is_on() {
            self.reset();
            return Ok(Vec::new());
        }
        Ok(limited(self.lines(host, now)?))
    }

    fn reset(&mut self) {
        (self.journal, self.kmsg, self.has_looked) = (Journal::default(), Kmsg::default(), false);
    }
}

/// The first records of each source; the last of them says how many more there were.
fn limited(lines: Vec<Line>) -> Vec<Record> {
    let mut told: Vec<(UnixNanos, Entry)> = Vec::new();
    // For each source: how many were told, the place of the last one, and how many were not.
    let mut sources: BTreeMap<String, (usize, usize, u64)> = BTreeMap::new();
    for line in lines.into_iter().filter(|line| line.severity <= WARNING) {
        let source: String = line.source.chars().take(SOURCE_CHARS).collect();
        let (count, last, left) = sources.entry(source.clone()).or_default();
        if *count < PER_SOURCE && told.len() < MAX_RECORDS {
            (*count, *last) = (*count + 1, told.len());
            told.push((line.time, entry(source, line.severity, &line.message)));
        } else {
            *left += 1;
        }
    }
    for (_, last, left) in sources.into_values().filter(|(count, _, left)| *count > 0 && *left > 0)
    {
        if let Some((_, entry)) = told.get_mut(last) {
            entry.suppressed = Some(left);
        }
    }
    told.into_iter().map(|(time, entry)| entry.into_event().at(time).into()).collect()
}

fn entry(source: String, severity: u8, message: &str) -> Entry {
    let severity = match severity {
        0 => Severity::Emergency,
        1 => Severity::Alert,
        2 => Severity::Critical,
        3 => Severity::Error,
        _ => Severity::Warning,
    };
    let message = hide_serials(message);
    Entry {
        source: Some(source),
        severity: Some(severity),
        message: Some(message),
        suppressed: None,
    }
}

/// Hides the word after `serial`, `SerialNumber:`, `serial number`, `S/N`, `SN:`.
fn hide_serials(message: &str) -> String {
    let mut hides = false;
    let words = message.split(' ').map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
        let key = bare.split(['=', ':']).next().unwrap_or_default();
        let announces = key.starts_with("serial") || key == "s/n" || key == "sn";
        if announces {
            hides = true;
            // `serial=XYZ` and `S/N:XYZ` carry it in the same word.
            let value = word.find(['=', ':']).filter(|at| at + 1 < word.len());
            return match value {
                Some(at) => {
                    hides = false;
                    format!("{}***", word.get(..=at).unwrap_or_default())
                }
                None => word.to_owned(),
            };
        }
        let is_filler = matches!(bare.as_str(), "" | "number" | "no" | "nr" | "is");
        let is_value = hides && !is_filler;
        hides &= is_filler;
        if is_value { "***".to_owned() } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use candor_model::Value;

    use super::*;
    use crate::samples::at;

    fn line(source: &str, severity: u8) -> Line {
        Line { source: source.to_owned(), severity, time: at(0).wall, message: "m".to_owned() }
    }

    fn suppressed(records: &[Record]) -> Vec<Option<i64>> {
        let of = |record: &Record| match record {
            Record::Event(event) => event.fields().find_map(|(entry, value)| match value {
                Value::Int(left) if entry.name == "suppressed" => Some(*left),
                _ => None,
            }),
            Record::Metric(_) | Record::Provided(_) => None,
        };
        records.iter().map(of).collect()
    }

    #[test]
    fn a_chatty_source_is_cut_off_counted_and_takes_nothing_from_the_others() {
        let mut lines = vec![line("chatty", 4); 1000];
        lines.push(line("quiet", 3));
        lines.push(line("quiet", 6));
        let records = limited(lines);
        assert_eq!(records.len(), PER_SOURCE + 1);
        let expected: Vec<_> =
            (0..=PER_SOURCE).map(|n| (n == PER_SOURCE - 1).then_some(980)).collect();
        assert_eq!(suppressed(&records), expected);
        let many = (0..1000).map(|n| line(&n.to_string(), 4)).collect();
        assert_eq!(limited(many).len(), MAX_RECORDS);
    }

    #[test]
    fn the_kernels_log_is_told_where_there_is_no_journal_and_not_where_policy_limits_it() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        std::fs::create_dir_all(host.path("dev")).unwrap();
        let micros = at(0).monotonic.as_micros();
        let old = at(0).monotonic.as_micros() - 16 * 60 * 1_000_000;
        let log = format!(
            "4,1,{old},-;old\n3,2,{micros},-;I/O error\n6,3,{micros},-;fine\n12,4,{micros},-;systemd[1]: odd\n"
        );
        std::fs::write(host.path("dev/kmsg"), log).unwrap();
        let settings = Settings::default();
        let mut probe = Logs::new(&settings);
        settings.limit_logs.set(true);
        assert_eq!(probe.report(&host, at(0)).unwrap(), []);
        settings.limit_logs.set(false);
        let records = probe.report(&host, at(0)).unwrap();
        let Record::Event(first) = &records[0] else { panic!("an event") };
        let fields: Vec<_> =
            first.fields().map(|(entry, value)| (entry.name, value.clone())).collect();
        let expected = [("source", "kernel"), ("severity", "error"), ("message", "I/O error")]
            .map(|(name, value)| (name, Value::from(value)));
        assert_eq!((records.len(), fields), (2, expected.to_vec()));
        assert_eq!(first.time(), Some(at(0).wall));
        assert_eq!(probe.report(&host, at(10)).unwrap(), [], "read once");
    }

    #[test]
    fn serial_numbers_are_hidden_in_every_common_form() {
        for (text, hidden) in [
            ("usb 1-1: SerialNumber: 4C530001 ok", "usb 1-1: SerialNumber: *** ok"),
            ("serial number is X1-2, failing", "serial number is *** failing"),
            ("drive serial=X1 gone", "drive serial=*** gone"),
            ("WDC (S/N: WD-1) failing", "WDC (S/N: *** failing"),
            ("S/N:WD-1", "S/N:***"),
            ("serial", "serial"),
            ("no such thing", "no such thing"),
        ] {
            assert_eq!(hide_serials(text), hidden);
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("linux/logs::identifier", Says::Stands, &["systemd[1]: x"], identifier);
        text(
            "linux/logs::entry",
            Says::Stands,
            &["usb 1-1: SerialNumber: ABC123", "drive S/N:XYZ is old"],
            |message| entry(identifier(message), 3, message).message,
        );
    }
}
