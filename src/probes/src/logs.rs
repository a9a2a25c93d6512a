//! `candor.log.record`: what the kernel and the services logged as a warning or worse.
//!
//! ```text
//! Linux    journal there?  journalctl -o json -p warning --after-cursor … -> records
//!          else            dev/kmsg                                       -> records
//! Windows  the channels System and Application, critical to warning        -> records
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
//! A log that does not answer in time is a lost round; one that may not be read tells nothing.

use std::collections::BTreeMap;

use candor_model::events::log::{Entry, Severity};
use candor_model::{EventDef as _, Level, Record, UnixNanos};

use crate::{Host, Moment, Probe, ProbeError, Rhythm, Settings, Switch};

#[cfg(unix)]
mod journal;
#[cfg(unix)]
mod linux;
#[cfg(unix)]
use linux::Source;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::Source;

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

/// The longest message of Windows that is told: some are reports of several pages.
#[cfg(any(windows, test))]
const MESSAGE_CHARS: usize = 2048;

#[cfg(any(windows, test))]
impl Line {
    /// A record of Windows' event log, by its publisher's words or its own values; its number in front, since
    /// that is what is looked up.
    fn of_windows(entry: crate::windows::entry::Entry, words: Option<&str>) -> Self {
        let words = words.map(|words| words.split_whitespace().collect::<Vec<_>>().join(" "));
        let words = words.filter(|words| !words.is_empty());
        let message =
            format!("event {}: {}", entry.id, words.unwrap_or_else(|| entry.values.join(", ")));
        Self {
            // Levels of Windows go from 1, critical, to 3, a warning.
            severity: entry.level.saturating_add(1),
            message: message.chars().take(MESSAGE_CHARS).collect(),
            source: entry.provider,
            time: entry.time,
        }
    }
}

/// The probe.
pub(crate) struct Logs {
    limit: Switch,
    source: Source,
}

impl Logs {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { limit: settings.limit_logs.clone(), source: Source::default() }
    }
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
        Ok(limited(self.source.lines(host, now)?))
    }

    fn reset(&mut self) {
        self.source = Source::default();
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
    fn a_record_of_windows_is_told_by_its_number_and_words_and_keeps_its_severity() {
        use crate::windows::entry::{Entry, tests::xml};
        let entry =
            |level| Entry::parse(&xml("disk", 7, level, "2023-11-07T08:21:40Z", 1)).unwrap();
        let line = Line::of_windows(entry(2), Some("The device has\r\n a bad block."));
        assert_eq!((line.source.as_str(), line.severity), ("disk", 3));
        assert_eq!(line.message, "event 7: The device has a bad block.");
        let severities = [1, 2, 3].map(|level| {
            let line = Line::of_windows(entry(level), None);
            super::entry(line.source, line.severity, &line.message).severity
        });
        assert_eq!(severities, [Severity::Critical, Severity::Error, Severity::Warning].map(Some));
        assert_eq!(Line::of_windows(entry(3), None).message, "event 7: 0, A & B <c> AB &odd;");
        let long = Line::of_windows(entry(3), Some(&"x".repeat(9000)));
        assert_eq!(long.message.len(), MESSAGE_CHARS);
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

        text(
            "logs::entry",
            Says::Stands,
            &["usb 1-1: SerialNumber: ABC123", "drive S/N:XYZ is old"],
            |message| entry("a".to_owned(), 3, message).message,
        );
    }
}
