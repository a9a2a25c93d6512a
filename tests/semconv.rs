//! Every name of the catalog in a namespace of the OpenTelemetry semantic conventions must be one
//! that they publish, with its unit, its instrument and its values. The list is
//! `semconv/semconv-1.44.txt`, made by `semconv/list.py` from `PyPI`'s package.
//!
//! # Invariants
//! - What is deprecated is not in the list, so a name that is withdrawn fails here.
//! - An attribute with published values has at least these among its words; one that the host tells
//!   and nobody published may stand beside them, as the conventions allow.

use std::collections::BTreeMap;

use candor_model::{CATALOG, FieldEntry, FieldType};

const LIST: &str = include_str!("semconv/semconv-1.44.txt");

/// The namespaces that are the conventions' own.
const NAMESPACES: [&str; 12] = [
    "system.",
    "process.",
    "host.",
    "os.",
    "device.",
    "hw.",
    "container.",
    "k8s.",
    "network.",
    "disk.",
    "cpu.",
    "exception.",
];

/// Words beside the published ones: attribute, words.
const OURS: &[(&str, &[&str])] = &[
    // Linux tells these two apart from `sleeping`; ps(1) does too.
    ("process.state", &["uninterruptible", "idle"]),
];

/// Attributes that are numbers; the package tells no types, the registry's `type:` does.
const WHOLE_NUMBERS: [&str; 1] = ["cpu.logical_number"];

fn is_published(name: &str) -> bool {
    NAMESPACES.iter().any(|namespace| name.starts_with(namespace))
}

/// The lines of a kind, by name.
fn lines(kind: &str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let rows = LIST.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    rows.filter(|row| row[0] == kind).map(|row| (row[1], row[2..].to_vec())).collect()
}

fn check_field(owner: &str, field: &FieldEntry, attributes: &BTreeMap<&str, Vec<&str>>) {
    if is_published(field.name) {
        let what = format!("{owner}: {}", field.name);
        let values =
            attributes.get(field.name).unwrap_or_else(|| unreachable!("{what} is not published"));
        check_type(&what, field, values);
    }
    let mut kind = &field.kind;
    while let FieldType::List(inner) = kind {
        kind = inner;
    }
    if let FieldType::Map(inner) = kind {
        inner.iter().for_each(|field| check_field(owner, field, attributes));
    }
}

fn check_type(what: &str, field: &FieldEntry, values: &[&str]) {
    let ours =
        OURS.iter().find(|(name, _)| *name == field.name).map_or(&[][..], |(_, words)| words);
    match field.kind {
        FieldType::Choice(words) if !values.is_empty() => {
            for word in words {
                assert!(
                    values.contains(word) || ours.contains(word),
                    "{what}: `{word}` is no published value"
                );
            }
        }
        FieldType::Int => assert!(WHOLE_NUMBERS.contains(&field.name), "{what} is no number"),
        FieldType::Text | FieldType::Choice(_) => {
            assert!(!WHOLE_NUMBERS.contains(&field.name), "{what} is a number");
        }
        _ => unreachable!("{what} has a type that no attribute of these namespaces has"),
    }
}

#[test]
fn the_list_is_that_of_the_version_in_its_name() {
    assert!(
        LIST.starts_with("# https://opentelemetry.io/schemas/1.44.0,"),
        "{}",
        LIST.lines().next().unwrap()
    );
    assert_eq!(lines("metric")["system.cpu.time"], ["counter", "s"]);
    assert!(lines("attribute")["disk.io.direction"].contains(&"read"));
}

#[test]
fn every_metric_in_a_published_namespace_is_as_published() {
    let metrics = lines("metric");
    for metric in CATALOG.metrics.iter().filter(|metric| is_published(metric.name)) {
        let published = metrics.get(metric.name);
        let published =
            published.unwrap_or_else(|| unreachable!("{} is not published", metric.name));
        assert_eq!([metric.instrument.name(), metric.unit], published[..], "{}", metric.name);
    }
}

#[test]
fn every_attribute_in_a_published_namespace_is_as_published() {
    let attributes = lines("attribute");
    for metric in CATALOG.metrics {
        metric.attributes.iter().for_each(|field| check_field(metric.name, field, &attributes));
    }
    for event in CATALOG.events {
        event.fields.iter().for_each(|field| check_field(event.name, field, &attributes));
    }
}
