//! The catalog for people and programs: every event, metric and field that can ever leave, and the
//! hash by which two builds are told apart.
//!
//! # Invariants
//! - Rendered from [`CATALOG`], which the definitions of the events make: nothing is repeated here.
//! - The hash covers names, levels, types, classes and units; not the wording of descriptions, nor
//!   the order of entries.

use std::fmt::Write;
use std::sync::LazyLock;

use candor_model::{CATALOG, EventEntry, FieldEntry, FieldType, Level, MetricEntry};
use sha2::{Digest, Sha256};

mod difference;
mod json;
mod markdown;
mod table;

pub use difference::{Difference, NoCatalog, difference};

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns for a terminal.
    Table,
    /// One JSON object.
    Json,
    /// Markdown with one section for each event.
    Markdown,
}

/// What can leave at `level`, in the given form; ends with a line break.
#[must_use]
pub fn render(level: Level, format: Format) -> String {
    match format {
        Format::Table => table::render(level),
        Format::Json => json::render(level),
        Format::Markdown => markdown::render(level),
    }
}

/// SHA-256 of the catalog in its canonical form, first 16 hexadecimal digits.
#[must_use]
pub fn hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| {
        let digest = Sha256::digest(canonical(CATALOG.events, CATALOG.metrics));
        digest[..8].iter().fold(String::new(), |mut hash, byte| {
            // Writing to a `String` does not fail.
            let _ = write!(hash, "{byte:02x}");
            hash
        })
    });
    &HASH
}

/// One line for each entry and field, sorted.
fn canonical(events: &[&EventEntry], metrics: &[&MetricEntry]) -> String {
    let mut lines = Vec::new();
    for event in events {
        lines.push(format!("event {} {}", event.name, event.level.number()));
        lines.extend(
            flat(event.fields, event.level, Level::Full).iter().map(|row| row.line(event.name)),
        );
    }
    for metric in metrics {
        let (level, instrument) = (metric.level.number(), metric.instrument.name());
        let (unit, class) = (metric.unit, metric.class.name());
        lines.push(format!("metric {} {level} {instrument} {unit} {class}", metric.name));
        let rows = flat(metric.attributes, metric.level, Level::Full);
        lines.extend(rows.iter().map(|row| row.line(metric.name)));
    }
    lines.sort_unstable();
    lines.join("\n")
}

/// A field with its place: `drives[].size_bytes`.
struct Row {
    path: String,
    /// The field's own level, or its owner's where that is higher: a nested field states none.
    level: Level,
    entry: &'static FieldEntry,
}

impl Row {
    fn line(&self, owner: &str) -> String {
        let FieldEntry { class, unit, kind, .. } = self.entry;
        let (level, class, kind) = (self.level.number(), class.name(), kind_text(kind));
        format!("field {owner} {} {level} {class} {} {kind}", self.path, unit.unwrap_or("-"))
    }
}

/// The fields up to `allowed` of an entry of level `owner`, nested ones after their owner.
fn flat(fields: &'static [FieldEntry], owner: Level, allowed: Level) -> Vec<Row> {
    let mut rows = Vec::new();
    descend(fields, ("", owner), allowed, &mut rows);
    rows
}

fn descend(
    fields: &'static [FieldEntry],
    (prefix, owner): (&str, Level),
    allowed: Level,
    rows: &mut Vec<Row>,
) {
    for entry in fields.iter().filter(|entry| entry.level <= allowed) {
        let level = entry.level.max(owner);
        let mut path = format!("{prefix}{}", entry.name);
        let mut kind = &entry.kind;
        rows.push(Row { path: path.clone(), level, entry });
        while let FieldType::List(inner) = kind {
            path.push_str("[]");
            kind = inner;
        }
        if let FieldType::Map(inner) = kind {
            path.push('.');
            descend(inner, (&path, level), allowed, rows);
        }
    }
}

fn kind_text(kind: &FieldType) -> String {
    match kind {
        FieldType::Bool => "bool".to_owned(),
        FieldType::Int => "int".to_owned(),
        FieldType::Double => "double".to_owned(),
        FieldType::Text => "text".to_owned(),
        FieldType::Choice(words) => words.join("|"),
        FieldType::List(inner) => format!("list of {}", kind_text(inner)),
        FieldType::Map(_) => "map".to_owned(),
    }
}

/// A doc comment as one line.
fn prose(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn events(level: Level) -> impl Iterator<Item = &'static EventEntry> {
    CATALOG.events.iter().copied().filter(move |event| event.level <= level)
}

fn metrics(level: Level) -> impl Iterator<Item = &'static MetricEntry> {
    CATALOG.metrics.iter().copied().filter(move |metric| metric.level <= level)
}

#[cfg(test)]
mod tests {
    use candor_model::{Class, Instrument};

    use super::*;

    static INNER: &[FieldEntry] = &[
        NO_LEVEL_OF_ITS_OWN,
        FieldEntry {
            name: "size",
            level: Level::Enhanced,
            class: Class::System,
            unit: Some("By"),
            doc: " Its\n size.\n",
            kind: FieldType::Int,
        },
    ];
    const NO_LEVEL_OF_ITS_OWN: FieldEntry = FieldEntry {
        name: "kind",
        level: Level::Security,
        class: Class::System,
        unit: None,
        doc: "Its kind.",
        kind: FieldType::Choice(&["hdd", "ssd"]),
    };
    static LISTED: FieldType = FieldType::Map(INNER);
    static EVENT: EventEntry = EventEntry {
        name: "candor.test",
        level: Level::Basic,
        purpose: "to test",
        doc: " A test.\n",
        fields: &[FieldEntry {
            name: "drives",
            level: Level::Basic,
            class: Class::System,
            unit: None,
            doc: "Drives.",
            kind: FieldType::List(&LISTED),
        }],
    };

    #[test]
    fn the_canonical_form_covers_what_a_receiver_relies_on() {
        let metric = MetricEntry {
            name: "system.test",
            level: Level::Enhanced,
            instrument: Instrument::Gauge,
            unit: "1",
            class: Class::Performance,
            purpose: "to test",
            doc: "A test.",
            attributes: &[],
        };
        assert_eq!(
            canonical(&[&EVENT], &[&metric]),
            "event candor.test 1\n\
             field candor.test drives 1 system - list of map\n\
             field candor.test drives[].kind 1 system - hdd|ssd\n\
             field candor.test drives[].size 2 system By int\n\
             metric system.test 2 gauge 1 performance"
        );
        assert_eq!(hash().len(), 16);
        assert!(hash().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn nested_fields_have_a_path_and_a_level() {
        let paths = |level| flat(EVENT.fields, EVENT.level, level).into_iter().map(|row| row.path);
        assert_eq!(paths(Level::Basic).collect::<Vec<_>>(), ["drives", "drives[].kind"]);
        let all = ["drives", "drives[].kind", "drives[].size"];
        assert_eq!(paths(Level::Full).collect::<Vec<_>>(), all);
        assert_eq!(prose(INNER[1].doc), "Its size.");
    }

    #[test]
    fn every_form_names_each_entry_of_its_level_and_none_above() {
        for level in Level::ALL {
            for format in [Format::Table, Format::Json, Format::Markdown] {
                let text = render(level, format);
                let names = CATALOG.events.iter().map(|event| (event.name, event.level));
                let metrics = CATALOG.metrics.iter().map(|metric| (metric.name, metric.level));
                for (name, at) in names.chain(metrics) {
                    let is_there = text.split([' ', '"', '`', '\n']).any(|word| word == name);
                    assert_eq!(is_there, at <= level, "{name} at {level} in {format:?}");
                }
                assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
            }
        }
        let json: serde_json::Value =
            serde_json::from_str(&render(Level::Full, Format::Json)).unwrap();
        assert_eq!(json["catalog_hash"], hash());
        assert_eq!(json["events"].as_array().map(Vec::len), Some(CATALOG.events.len()));
    }
}
