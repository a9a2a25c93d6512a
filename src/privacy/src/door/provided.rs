//! A local program's record on its way through the door: its manifest has said what each field is,
//! and this acts on it.
//!
//! # Invariants
//! - A field above the level is taken away; a point that cannot be told from another one then goes
//!   as well.
//! - Every text of class *diagnostic text* is scrubbed, however deep it stands; so is every name and
//!   key that no manifest declares, and every name of what happened in a span.

use std::borrow::Cow;

use candor_model::{Class, Given, Kind, Provided, Value};

use super::Pass;

impl Pass<'_> {
    pub(super) fn provided(&mut self, record: &mut Provided) {
        if !record.is_declared {
            self.name(&mut record.name);
            self.name(&mut record.unit);
        }
        record.parts.iter_mut().for_each(|part| self.name(&mut part.name));
        record.body = record.body.take().filter(|body| self.may_pass(body));
        if let Some(body) = &mut record.body {
            self.given(body);
        }
        let (declared, mut stripped) = (record.is_declared, false);
        for set in &mut record.sets {
            let all = set.len();
            set.retain_mut(|given| self.may_pass(given) && (declared || self.is_clean(&given.key)));
            stripped |= set.len() < all;
            for given in set {
                self.given(given);
            }
        }
        if stripped && record.kind == Kind::Metric {
            remove_ambiguous(record);
        }
    }

    fn may_pass(&self, given: &Given) -> bool {
        given.level <= self.allowed
    }

    /// Whether a key that a program chose says nothing about a person.
    fn is_clean(&mut self, key: &str) -> bool {
        matches!(self.scrubber.clean(key, self.scrubbed), Cow::Borrowed(clean) if clean.len() == key.len())
    }

    fn given(&mut self, given: &mut Given) {
        self.highest = self.highest.max(given.level);
        if given.class == Class::DiagnosticText {
            self.texts(&mut given.value);
        }
    }

    fn texts(&mut self, value: &mut Value) {
        match value {
            Value::Text(text) => {
                let clean = self.scrubber.clean(text, self.scrubbed);
                if clean.len() != text.len() || matches!(clean, Cow::Owned(_)) {
                    *text = Cow::Owned(clean.into_owned());
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.texts(item)),
            Value::Map(pairs) => pairs.iter_mut().for_each(|(_, value)| self.texts(value)),
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
        }
    }

    fn name(&mut self, name: &mut String) {
        if !name.is_empty()
            && let Cow::Owned(clean) = self.scrubber.clean(name, self.scrubbed)
        {
            *name = clean;
        }
    }
}

/// Takes out the points whose attributes another point has too.
fn remove_ambiguous(record: &mut Provided) {
    let same = |a: &[Given], b: &[Given]| {
        a.len() == b.len() && a.iter().all(|one| b.iter().any(|other| one == other))
    };
    let is_alone: Vec<bool> = record
        .sets
        .iter()
        .map(|set| record.sets.iter().filter(|other| same(set, other)).count() == 1)
        .collect();
    let mut alone = is_alone.iter();
    record.parts.retain(|_| alone.next() == Some(&true));
    let mut alone = is_alone.iter();
    record.sets.retain(|_| alone.next() == Some(&true));
}

#[cfg(test)]
mod tests {
    use candor_model::{Level, Part, Record};

    use crate::{Door, Scrubber};

    use super::*;

    fn given(key: &'static str, value: &str, class: Class, level: Level) -> Given {
        Given { key: key.into(), value: Value::from(value.to_owned()), class, level }
    }

    fn admit(record: Provided, level: Level) -> Option<(Provided, Level)> {
        let mut door = Door::new(Scrubber::default());
        let admitted = door.admit(Record::Provided(Box::new(record)), level)?;
        let level = admitted.level();
        let Record::Provided(record) = admitted.into_inner() else { panic!("the same record") };
        Some((*record, level))
    }

    fn log() -> Provided {
        Provided {
            name: "backup.run".to_owned(),
            level: Level::Basic,
            is_declared: true,
            body: Some(given("body", "by a@example.org", Class::DiagnosticText, Level::Basic)),
            sets: vec![vec![
                given("plain", "b@example.org", Class::Software, Level::Basic),
                given("said", "to c@example.org", Class::DiagnosticText, Level::Enhanced),
                given("deep", "x", Class::System, Level::Full),
            ]],
            ..Provided::new(Kind::Log)
        }
    }

    #[test]
    fn a_record_and_its_fields_pass_at_their_levels_and_the_lane_is_the_highest_left() {
        assert_eq!(admit(log(), Level::Security), None);
        let keys = |level| {
            let (record, lane) = admit(log(), level).unwrap();
            (record.sets[0].iter().map(|given| given.key.to_string()).collect::<Vec<_>>(), lane)
        };
        assert_eq!(keys(Level::Basic), (vec!["plain".to_owned()], Level::Basic));
        assert_eq!(keys(Level::Enhanced).1, Level::Enhanced);
        assert_eq!(
            keys(Level::Full),
            (["plain", "said", "deep"].map(str::to_owned).into(), Level::Full)
        );
    }

    #[test]
    fn only_diagnostic_text_is_scrubbed_and_at_any_depth() {
        let mut record = log();
        let map = Value::Map(vec![("to".into(), Value::List(vec![Value::from("d@example.org")]))]);
        record.sets[0][1].value = map;
        let (record, _) = admit(record, Level::Full).unwrap();
        assert_eq!(record.body.unwrap().value, Value::from("by <email>"));
        assert_eq!(record.sets[0][0].value, Value::from("b@example.org"));
        let map = Value::Map(vec![("to".into(), Value::List(vec![Value::from("<email>")]))]);
        assert_eq!(record.sets[0][1].value, map);
    }

    #[test]
    fn names_and_keys_that_nobody_declared_are_text_too() {
        let mut record = log();
        record.is_declared = false;
        record.name = "of e@example.org".to_owned();
        record.sets[0].push(given("f@example.org", "x", Class::DiagnosticText, Level::Basic));
        let happened = Part { name: "mail to g@example.org".to_owned(), ..Part::default() };
        record.parts.push(happened);
        let (record, _) = admit(record, Level::Full).unwrap();
        assert_eq!((record.name.as_str(), record.sets[0].len()), ("of <email>", 3));
        assert_eq!(record.parts[0].name, "mail to <email>");
    }

    #[test]
    fn points_that_lose_what_told_them_apart_are_removed() {
        let mut metric = Provided {
            level: Level::Basic,
            is_declared: true,
            parts: vec![Part::default(); 3],
            ..Provided::new(Kind::Metric)
        };
        for (core, mode) in [("0", "a"), ("1", "a"), ("0", "b")] {
            metric.sets.push(vec![
                given("core", core, Class::System, Level::Full),
                given("mode", mode, Class::System, Level::Basic),
            ]);
        }
        let (full, _) = admit(metric.clone(), Level::Full).unwrap();
        assert_eq!((full.parts.len(), full.sets.len()), (3, 3));
        let (basic, _) = admit(metric, Level::Basic).unwrap();
        assert_eq!((basic.parts.len(), basic.sets.len()), (1, 1));
        assert_eq!(basic.sets[0][0].value, Value::from("b"));
    }
}
