//! How much left on each day, by level and by what it was about.
//!
//! # Invariants
//! - What left twice counts twice: this is what went over the wire, not what arrived.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};

use candor_control::protocol::{DayVolume, Volume};
use candor_journal::{Entry, Look, Mark, Reader};
use candor_otlp::{name_of, places};

use crate::ChronicleError;
use crate::body::unpack;
use crate::event::rfc3339;

type Days = BTreeMap<String, DayVolume>;

/// The volumes of segments that were unpacked before: what has left does not change. A line a day and segment.
#[derive(Debug, Default)]
pub struct Volumes(HashMap<Mark, Days>);

impl Volumes {
    /// The last days of the journal. Bodies are unpacked for the categories as long as `budget` lasts, those of the
    /// newest segment and of one more in any case; older ones then count as `other`, until a later question.
    ///
    /// # Errors
    /// [`ChronicleError::Journal`].
    pub fn last(
        &mut self,
        reader: &Reader,
        now: SystemTime,
        days: usize,
        budget: Duration,
    ) -> Result<Volume, ChronicleError> {
        let end = Instant::now() + budget;
        let back = u32::try_from(days.saturating_sub(1)).unwrap_or(u32::MAX);
        let first = now.checked_sub(Duration::from_hours(24).saturating_mul(back)).map(day);
        let segments = reader.by_segment();
        self.0.retain(|known, _| segments.iter().any(|(mark, _)| mark == known));
        let (mut sums, mut has_more) = (Days::new(), false);
        for (place, (mark, segment)) in segments.into_iter().enumerate() {
            if let Some(known) = self.0.get(&mark) {
                add_up(&mut sums, known);
                continue;
            }
            let until = (place > 0 && has_more).then_some(end);
            has_more |= place > 0;
            let found = of(&segment, until)?;
            add_up(&mut sums, &found);
            if until.is_none_or(is_ahead) {
                self.0.insert(mark, found);
            }
        }
        let is_asked = |day: &DayVolume| first.as_ref().is_none_or(|first| day.day >= *first);
        Ok(Volume { days: sums.into_values().filter(is_asked).collect() })
    }
}

fn is_ahead(end: Instant) -> bool {
    Instant::now() < end
}

/// The days of one segment.
fn of(segment: &Reader, until: Option<Instant>) -> Result<Days, ChronicleError> {
    let mut days = Days::new();
    segment.newest_first(|look| {
        if let Look::Entry(entry, body) = look {
            let day = day(entry.request.time);
            let volume = days.entry(day.clone()).or_insert_with(|| empty(day));
            add(volume, &entry, until.is_none_or(is_ahead).then_some(body));
        }
        ControlFlow::<()>::Continue(())
    })?;
    Ok(days)
}

fn add_up(sums: &mut Days, days: &Days) {
    for (day, more) in days {
        let sum = sums.entry(day.clone()).or_insert_with(|| empty(day.clone()));
        sum.requests += more.requests;
        sum.body_bytes += more.body_bytes;
        sum.records += more.records;
        for (level, more) in &more.by_level {
            let level = sum.by_level.entry(level.clone()).or_default();
            level.records += more.records;
            level.bytes += more.bytes;
        }
        for (category, more) in &more.by_category {
            *sum.by_category.entry(category.clone()).or_default() += more;
        }
    }
}

fn empty(day: String) -> DayVolume {
    DayVolume { day, ..DayVolume::default() }
}

fn day(time: SystemTime) -> String {
    rfc3339(time).chars().take(10).collect()
}

fn add(volume: &mut DayVolume, entry: &Entry, body: Option<&[u8]>) {
    volume.requests += 1;
    volume.body_bytes += entry.body_bytes;
    volume.records += entry.request.records();
    for run in &entry.request.runs {
        let level = volume.by_level.entry(run.level.number().to_string()).or_default();
        level.records += u64::from(run.records);
        level.bytes += run.bytes;
    }
    let known = body.and_then(|body| categories(entry, body));
    let other = || vec![("other".to_owned(), entry.request.raw_bytes())];
    for (category, bytes) in known.unwrap_or_else(other) {
        *volume.by_category.entry(category).or_default() += bytes;
    }
}

fn categories(entry: &Entry, body: &[u8]) -> Option<Vec<(String, u64)>> {
    let bytes = unpack(body, &entry.request.encoding).ok()?;
    let mut categories: Vec<(String, u64)> = Vec::new();
    for place in places(&bytes).ok()? {
        let record = bytes.get(place.record)?;
        let category = name_of(entry.request.kind, record).map_or("other", category);
        match categories.iter_mut().find(|(known, _)| known == category) {
            Some((_, sum)) => *sum += record.len() as u64,
            None => categories.push((category.to_owned(), record.len() as u64)),
        }
    }
    Some(categories)
}

/// The first word of a name; of Candor's own events the second.
fn category(name: &str) -> &str {
    let name = name.strip_prefix("candor.").unwrap_or(name);
    match name.split('.').next() {
        Some("") | None => "other",
        Some(word) => word,
    }
}

#[cfg(test)]
mod tests {
    use candor_journal::{Bounds, Ending, Journal, Outcome, Request, Run};
    use candor_model::events::agent::Change;
    use candor_model::{Kind, Level, UnixNanos};
    use candor_otlp::{Part, Stamp, encode, request_body, seal};

    use super::*;

    /// The body of a request with one event of the category `agent`.
    fn body(seq: u64) -> Vec<u8> {
        let (from, to) = (Some("1".repeat(300)), None);
        let event = Change { subject: "level", from, to, layer: None, role: None };
        let stamp = Stamp { uid: "u", observed: UnixNanos(1), level: Level::Basic };
        let mut row = Vec::new();
        seal(Kind::Log, &encode(&event.into(), &stamp), seq, &mut row);
        request_body(Kind::Log, &[], &[Part { boot: "b", rows: &[&row] }])
    }

    fn keep(journal: &Journal, seq: u64, time: SystemTime) {
        let (level, body) = (Level::Basic, body(seq));
        let request = Request {
            time,
            endpoint: "https://t.example/v1/logs".into(),
            pin: "sha256/pin".into(),
            tls: "1.3".into(),
            kind: Kind::Log,
            encoding: "identity".into(),
            runs: vec![Run { first: seq, records: 1, level, bytes: body.len() as u64 }],
        };
        let flight = journal.begin(&request, &body);
        let ending = Ending::Answered { status: 200 };
        journal.end(flight, Outcome { time, ending, answer: String::new(), rejected: 0 });
    }

    #[test]
    fn what_there_was_no_time_for_is_told_by_the_next_answers_and_what_is_known_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path(), Bounds { max_bytes: 30_000, ..Bounds::default() });
        let now = SystemTime::now();
        (1..=20).for_each(|seq| keep(&journal, seq, now));
        let ask = |volumes: &mut Volumes, budget| {
            let reader = journal.reader().unwrap();
            volumes.last(&reader, now, 30, budget).unwrap().days.remove(0)
        };
        let segments = journal.reader().unwrap().by_segment().len();
        assert!(segments >= 4, "{segments}");
        let whole = ask(&mut Volumes::default(), Duration::from_mins(1));
        assert_eq!((whole.requests, whole.records), (20, 20));
        assert_eq!(whole.by_category.keys().collect::<Vec<_>>(), ["agent"]);
        let mut volumes = Volumes::default();
        let first = ask(&mut volumes, Duration::ZERO);
        assert!(first.by_category["other"] > 0 && first.by_category["agent"] > 0, "{first:?}");
        assert_eq!((first.requests, first.by_level["1"]), (20, whole.by_level["1"]));
        (2..segments).for_each(|_| drop(ask(&mut volumes, Duration::ZERO)));
        assert_eq!(ask(&mut volumes, Duration::ZERO), whole, "each answer knows one more");
        keep(&journal, 21, now);
        assert_eq!(ask(&mut volumes, Duration::ZERO).requests, 21);
        assert!(volumes.0.len() <= segments + 1, "what is gone is forgotten");
    }

    #[test]
    fn a_category_is_the_first_word_that_says_something() {
        assert_eq!(category("candor.device.machine"), "device");
        assert_eq!(category("system.cpu.time"), "system");
        assert_eq!(category("candor.anomaly"), "anomaly");
        assert_eq!((category(""), category("plain")), ("other", "plain"));
    }
}
