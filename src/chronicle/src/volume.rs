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
    /// The last days of the journal. Bodies are unpacked for the categories as long as `budget` lasts; older ones
    /// then count as `other`, until they were unpacked for a later question.
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
        let mut sums = Days::new();
        for (mark, segment) in segments {
            if let Some(known) = self.0.get(&mark) {
                add_up(&mut sums, known);
                continue;
            }
            let found = of(&segment, end)?;
            add_up(&mut sums, &found);
            if Instant::now() < end {
                self.0.insert(mark, found);
            }
        }
        let is_asked = |day: &DayVolume| first.as_ref().is_none_or(|first| day.day >= *first);
        Ok(Volume { days: sums.into_values().filter(is_asked).collect() })
    }
}

/// The days of one segment.
fn of(segment: &Reader, end: Instant) -> Result<Days, ChronicleError> {
    let mut days = Days::new();
    segment.newest_first(|look| {
        if let Look::Entry(entry, body) = look {
            let day = day(entry.request.time);
            let volume = days.entry(day.clone()).or_insert_with(|| empty(day));
            add(volume, &entry, (Instant::now() < end).then_some(body));
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
    use super::*;

    #[test]
    fn a_category_is_the_first_word_that_says_something() {
        assert_eq!(category("candor.device.machine"), "device");
        assert_eq!(category("system.cpu.time"), "system");
        assert_eq!(category("candor.anomaly"), "anomaly");
        assert_eq!((category(""), category("plain")), ("other", "plain"));
    }
}
