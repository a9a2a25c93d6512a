//! The gate and the scrubber in one step: the only way to make an [`Admitted`].
//!
//! # Invariants
//! - A record above the level, or one that is switched off by its name, does not pass and is counted
//!   under its own level.
//! - Fields and attributes above the level are taken away, in nested maps too, as is a value whose
//!   type or word the catalog does not know.
//! - Points that cannot be told from another one once an attribute was taken away go as well: a
//!   number without its meaning would be a wrong number.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use candor_model::{Class, Event, FieldEntry, FieldType, Level, Metric, Point, Record, Value};

use crate::{Counts, Scrubber};

mod plain;
mod provided;

/// A record that may be kept and sent: made only by [`Door::admit`].
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    record: Record,
    level: Level,
}

impl Admitted {
    /// The record.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The highest level of anything that the record still holds: the lane in which it waits, so
    /// that lowering the level takes it back.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The record, for who needs it whole.
    #[must_use]
    pub fn into_inner(self) -> Record {
        self.record
    }
}

/// The gate with its counts.
#[derive(Debug, Default)]
pub struct Door {
    scrubber: Scrubber,
    off: Arc<BTreeSet<String>>,
    withheld: [u64; Level::ALL.len()],
    unknown: u64,
    scrubbed: Counts,
}

impl Door {
    /// A door that cleans text with `scrubber`.
    #[must_use]
    pub fn new(scrubber: Scrubber) -> Self {
        Self { scrubber, ..Self::default() }
    }

    /// From now on records of these names do not pass; those of other names do again.
    pub fn set_off(&mut self, names: Arc<BTreeSet<String>>) {
        self.off = names;
    }

    /// What of `record` may be kept and sent at `level`; `None` when nothing is.
    pub fn admit(&mut self, mut record: Record, level: Level) -> Option<Admitted> {
        if record.level() > level || self.off.contains(record.name()) {
            self.withheld[usize::from(record.level().number())] += 1;
            return None;
        }
        let mut pass = Pass {
            allowed: level,
            highest: record.level(),
            scrubber: &self.scrubber,
            scrubbed: &mut self.scrubbed,
            unknown: &mut self.unknown,
        };
        match &mut record {
            Record::Event(event) => pass.event(event),
            Record::Metric(metric) => pass.metric(metric),
            Record::Provided(record) => pass.provided(record),
        }
        let level = pass.highest;
        Some(Admitted { record, level })
    }

    /// A text that stands beside records, such as a program's name, as it may be sent.
    pub fn clean<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        self.scrubber.clean(text, &mut self.scrubbed)
    }

    /// Records that did not pass, by their own level.
    #[must_use]
    pub const fn withheld(&self) -> [u64; Level::ALL.len()] {
        self.withheld
    }

    /// Values taken away because the catalog does not know their type or word: a fault of a probe.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// What was replaced in free text.
    #[must_use]
    pub const fn scrubbed(&self) -> Counts {
        self.scrubbed
    }
}

/// One record's way through the door.
struct Pass<'a> {
    allowed: Level,
    highest: Level,
    scrubber: &'a Scrubber,
    scrubbed: &'a mut Counts,
    unknown: &'a mut u64,
}

impl Pass<'_> {
    fn event(&mut self, event: &mut Event) {
        for (entry, slot) in event.slots_mut() {
            self.slot(entry, slot);
        }
    }

    fn metric(&mut self, metric: &mut Metric) {
        let entries = metric.entry().attributes;
        let mut stripped = vec![false; metric.points().len()];
        for (point, stripped) in metric.points_mut().iter_mut().zip(&mut stripped) {
            for (entry, slot) in entries.iter().zip(&mut point.attributes) {
                let was = slot.is_some();
                self.slot(entry, slot);
                *stripped |= was && slot.is_none();
            }
        }
        if stripped.contains(&true) {
            remove_ambiguous(metric, &stripped);
        }
    }

    fn slot(&mut self, entry: &FieldEntry, slot: &mut Option<Value>) {
        if let Some(value) = slot
            && !self.passes(entry, value)
        {
            *slot = None;
        }
    }

    /// Whether a field passes; cleans what is inside it.
    fn passes(&mut self, entry: &FieldEntry, value: &mut Value) -> bool {
        if entry.level > self.allowed {
            return false;
        }
        if !self.fits(&entry.kind, entry.class, value) {
            *self.unknown += 1;
            return false;
        }
        self.highest = self.highest.max(entry.level);
        true
    }

    fn fits(&mut self, kind: &FieldType, class: Class, value: &mut Value) -> bool {
        match (kind, value) {
            (FieldType::Bool, Value::Bool(_))
            | (FieldType::Int, Value::Int(_))
            | (FieldType::Double, Value::Double(_)) => true,
            (FieldType::Choice(words), Value::Text(word)) => words.contains(&word.as_ref()),
            (FieldType::Text, Value::Text(text)) => {
                if class == Class::DiagnosticText {
                    *text = self.scrubber.clean(text, self.scrubbed).into_owned().into();
                }
                true
            }
            (FieldType::List(kind), Value::List(items)) => {
                let all = items.len();
                items.retain_mut(|item| self.fits(kind, class, item));
                *self.unknown += (all - items.len()) as u64;
                true
            }
            (FieldType::Map(entries), Value::Map(pairs)) => {
                pairs.retain_mut(|(key, value)| self.pair(entries, key, value));
                true
            }
            _ => false,
        }
    }

    fn pair(&mut self, entries: &[FieldEntry], key: &str, value: &mut Value) -> bool {
        if let Some(entry) = entries.iter().find(|entry| entry.name == key) {
            return self.passes(entry, value);
        }
        *self.unknown += 1;
        false
    }
}

/// Rebuilds the metric without the stripped points whose attributes another point has too.
fn remove_ambiguous(metric: &mut Metric, stripped: &[bool]) {
    let points = metric.points();
    let is_alone = |point: &Point| {
        points.iter().filter(|other| other.attributes == point.attributes).count() == 1
    };
    let mut kept = Metric::new(metric.entry());
    for (point, stripped) in points.iter().zip(stripped) {
        if !stripped || is_alone(point) {
            kept.push(point.clone());
        }
    }
    *metric = kept;
}

#[cfg(test)]
mod tests {
    use candor_model::{EventDef, Number, UnixNanos, event, metric, nested};

    use super::*;

    nested! {
        /// A part.
        pub struct Piece {
            /// Its kind.
            kind: Option<&'static str>, System;
            /// Told at level 2.
            hours: Option<u64>, Performance, level = Enhanced;
            /// What it said.
            said: Option<String>, DiagnosticText;
        }
    }

    event! {
        /// A test event.
        pub struct Sample = "candor.test.sample", Basic, "to test" {
            /// Told at its own level.
            name: Option<String>, System;
            /// Told at level 3.
            detail: Option<String>, System, level = Full;
            /// What a program said.
            error: Option<String>, DiagnosticText;
            /// Parts.
            pieces: Vec<Piece>, System;
        }
    }

    metric! {
        /// A test metric.
        pub LOAD = "candor.test.load", Enhanced, Gauge, "1", "to test" {
            /// The mode.
            "mode": FieldType::Choice(&["user", "idle"]);
            /// The core.
            "core": FieldType::Int, level = Full;
        }
    }

    fn fields(admitted: &Admitted) -> Vec<(&'static str, Value)> {
        let Record::Event(event) = admitted.record() else { panic!("an event") };
        event.fields().map(|(entry, value)| (entry.name, value.clone())).collect()
    }

    fn point(mode: &'static str, core: Option<i64>, value: i64) -> Point {
        Point {
            attributes: vec![Some(mode.into()), core.map(Value::Int)],
            start: None,
            time: UnixNanos(1),
            value: Number::Int(value),
        }
    }

    fn load(points: Vec<Point>) -> Record {
        let mut metric = Metric::new(&LOAD);
        for point in points {
            metric.push(point);
        }
        metric.into()
    }

    fn values(admitted: &Admitted) -> Vec<i64> {
        let Record::Metric(metric) = admitted.record() else { panic!("a metric") };
        let number = |point: &Point| match point.value {
            Number::Int(number) => number,
            _ => panic!("whole numbers only"),
        };
        metric.points().iter().map(number).collect()
    }

    #[test]
    fn a_record_above_the_level_is_withheld_and_counted() {
        let mut door = Door::default();
        assert_eq!(door.admit(Sample::default().into(), Level::Security), None);
        assert_eq!(door.admit(load(vec![]), Level::Basic), None);
        assert!(door.admit(Sample::default().into(), Level::Basic).is_some());
        assert_eq!(door.withheld(), [0, 1, 1, 0]);
    }

    #[test]
    fn a_record_that_is_switched_off_is_withheld_and_counted_until_it_is_switched_on() {
        let mut door = Door::default();
        door.set_off(Arc::new(["candor.test.load".to_owned()].into()));
        assert_eq!(door.admit(load(vec![point("user", None, 1)]), Level::Full), None);
        assert!(door.admit(Sample::default().into(), Level::Full).is_some());
        assert_eq!(door.withheld(), [0, 0, 1, 0]);
        door.set_off(Arc::default());
        assert!(door.admit(load(vec![point("user", None, 1)]), Level::Full).is_some());
    }

    #[test]
    fn a_field_above_the_level_is_taken_away_and_the_lane_is_the_highest_level_left() {
        let piece = Piece { kind: Some("disk"), hours: Some(5), said: None };
        let sample = Sample {
            name: Some("n".to_owned()),
            detail: Some("d".to_owned()),
            pieces: vec![piece],
            ..Sample::default()
        };
        let kind = (std::borrow::Cow::Borrowed("kind"), Value::from("disk"));
        let hours = (std::borrow::Cow::Borrowed("hours"), Value::Int(5));
        let name = ("name", Value::from("n"));
        let at = |level| Door::default().admit(sample.clone().into(), level).unwrap();

        let basic = at(Level::Basic);
        let pieces = Value::List(vec![Value::Map(vec![kind.clone()])]);
        assert_eq!(
            (basic.level(), fields(&basic)),
            (Level::Basic, vec![name.clone(), ("pieces", pieces)])
        );
        let pieces = Value::List(vec![Value::Map(vec![kind, hours])]);
        let enhanced = at(Level::Enhanced);
        assert_eq!(fields(&enhanced), [name, ("pieces", pieces)]);
        assert_eq!((enhanced.level(), at(Level::Full).level()), (Level::Enhanced, Level::Full));
    }

    #[test]
    fn only_diagnostic_text_is_scrubbed_in_nested_fields_too() {
        let mut door = Door::new(Scrubber::default());
        let sample = Sample {
            name: Some("a@example.org".to_owned()),
            error: Some("from a@example.org".to_owned()),
            pieces: vec![Piece { said: Some("at 10.0.0.1".to_owned()), ..Piece::default() }],
            ..Sample::default()
        };
        let admitted = door.admit(sample.into(), Level::Basic).unwrap();
        let said = (std::borrow::Cow::Borrowed("said"), Value::from("at <address>"));
        assert_eq!(
            fields(&admitted),
            [
                ("name", Value::from("a@example.org")),
                ("error", Value::from("from <email>")),
                ("pieces", Value::List(vec![Value::Map(vec![said])])),
            ]
        );
        let scrubbed = door.scrubbed();
        assert_eq!(scrubbed.of(crate::Finding::Email), 1);
        assert_eq!((scrubbed.of(crate::Finding::Address), scrubbed.total()), (1, 2));
    }

    #[test]
    fn points_that_lose_what_told_them_apart_are_removed() {
        let cores = vec![point("user", Some(0), 1), point("user", Some(1), 2)];
        let mixed =
            vec![point("user", None, 3), point("user", Some(1), 2), point("idle", Some(0), 4)];
        let mut door = Door::default();
        let mut at =
            |points: &[Point], level| values(&door.admit(load(points.to_vec()), level).unwrap());
        assert_eq!(at(&cores, Level::Full), [1, 2]);
        assert_eq!(at(&cores, Level::Enhanced), [0; 0]);
        assert_eq!(at(&mixed, Level::Enhanced), [3, 4]);
    }

    #[test]
    fn a_word_or_type_that_the_catalog_does_not_know_is_taken_away_and_counted() {
        let mut door = Door::default();
        let admitted = door.admit(load(vec![point("sleep", Some(0), 1)]), Level::Full).unwrap();
        let Record::Metric(metric) = admitted.record() else { panic!("a metric") };
        assert_eq!(metric.points()[0].attributes, [None, Some(Value::Int(0))]);

        let mut event = Sample { name: Some("n".to_owned()), ..Sample::default() }.into_event();
        for (entry, slot) in event.slots_mut() {
            match entry.name {
                "name" => *slot = Some(Value::Int(1)),
                "pieces" => {
                    let unknown = Value::Map(vec![("path".into(), Value::from("p"))]);
                    *slot = Some(Value::List(vec![unknown, Value::Bool(true)]));
                }
                _ => {}
            }
        }
        let admitted = door.admit(event.into(), Level::Full).unwrap();
        assert_eq!(fields(&admitted), [("pieces", Value::List(vec![Value::Map(vec![])]))]);
        assert_eq!(door.unknown(), 4);
    }
}
