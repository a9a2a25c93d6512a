//! The catalog: every event, metric and field that can ever leave, each with its level, class and
//! published description. Entries are written by the macros that define the events themselves,
//! so that table, JSON, Markdown and enforcement cannot drift apart.

use crate::{Level, MetricEntry, events, metrics};

/// What kind of fact a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// What the machine is.
    System,
    /// Which programs, versions and settings it has.
    Software,
    /// How it performs and how much it is used.
    Performance,
    /// An id that can be joined but not read: a keyed hash or a random id.
    Pseudonym,
    /// Text that a program wrote: the only class that is scrubbed as free text.
    DiagnosticText,
}

impl Class {
    /// The word in the published catalog.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Software => "software",
            Self::Performance => "performance",
            Self::Pseudonym => "pseudonym",
            Self::DiagnosticText => "diagnostic text",
        }
    }
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldType {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Double,
    /// Text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of one type.
    List(&'static FieldType),
    /// Named fields.
    Map(&'static [FieldEntry]),
}

/// One field of an event, or one attribute of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldEntry {
    /// The attribute key on the wire.
    pub name: &'static str,
    /// The lowest level at which it may be sent; never below its event's.
    pub level: Level,
    /// What kind of fact it is.
    pub class: Class,
    /// UCUM unit, where it is a number with one.
    pub unit: Option<&'static str>,
    /// The published description.
    pub doc: &'static str,
    /// Its type.
    pub kind: FieldType,
}

/// One event.
#[derive(Debug, PartialEq)]
pub struct EventEntry {
    /// The `event_name` on the wire.
    pub name: &'static str,
    /// The lowest level at which it may exist.
    pub level: Level,
    /// Why it is collected.
    pub purpose: &'static str,
    /// The published description.
    pub doc: &'static str,
    /// Its fields.
    pub fields: &'static [FieldEntry],
}

/// All entries.
#[derive(Debug)]
pub struct Catalog {
    /// Events, by level and then as documented.
    pub events: &'static [&'static EventEntry],
    /// Metrics, by subject.
    pub metrics: &'static [&'static MetricEntry],
}

/// The catalog of this build.
pub static CATALOG: Catalog = Catalog { events: events::ALL, metrics: metrics::ALL };

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn walk(fields: &[FieldEntry], floor: Level, owner: &str) {
        let mut names = BTreeSet::new();
        for field in fields {
            assert!(names.insert(field.name), "{owner}.{} is defined twice", field.name);
            assert!(!field.doc.trim().is_empty(), "{owner}.{} has no description", field.name);
            assert!(field.level >= floor, "{owner}.{} stands below its owner", field.name);
            assert!(
                !field.name.starts_with("candor."),
                "{owner}.{} takes a reserved name",
                field.name
            );
            let mut kind = &field.kind;
            while let FieldType::List(inner) = kind {
                kind = inner;
            }
            if let FieldType::Map(inner) = kind {
                walk(inner, Level::Security, field.name);
            }
        }
    }

    #[test]
    fn every_entry_is_named_once_described_and_not_below_its_owner() {
        let mut names = BTreeSet::new();
        for event in CATALOG.events {
            assert!(names.insert(event.name), "{} is defined twice", event.name);
            assert!(!event.doc.trim().is_empty() && !event.purpose.is_empty(), "{}", event.name);
            assert!(event.name.starts_with("candor."), "{}", event.name);
            walk(event.fields, event.level, event.name);
        }
        for metric in CATALOG.metrics {
            assert!(names.insert(metric.name), "{} is defined twice", metric.name);
            assert!(!metric.doc.trim().is_empty() && !metric.unit.is_empty(), "{}", metric.name);
            walk(metric.attributes, Level::Security, metric.name);
        }
    }
}
