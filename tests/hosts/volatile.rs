//! What two looks at the same machine may tell differently although nothing of it changed: the one list of
//! volatile values. Everything else that `preview` shows is what a running agent sends.
//!
//! # Invariants
//! - Every entry names fields of the catalog: one that was renamed fails a test.
//! - What a field says may be volatile; that a record exists, its kind, its level and its unit never are.

use candor_model::CATALOG;
use serde_json::Value;

/// An event, and its fields that tell when, or how long, somebody looked, or what the agent itself did so far.
/// `[]` is each of a list.
const VOLATILE: &[(&str, &[&str])] = &[
    // How long the window was.
    ("candor.usage.applications", &["window", "applications[].running_time"]),
    ("candor.process.table", &["window"]),
    // The agent's own counters: they go on between two looks. Of failures only the daemon knows.
    (
        "candor.telemetry.health",
        &[
            "generated",
            "uploaded",
            "dropped",
            "pending",
            "percent_uploaded",
            "percent_dropped",
            "dropped_by_reason",
            "last_upload",
            "failed_probes",
            "rss_bytes",
            "cpu_ms",
            "bytes_uploaded",
        ],
    ),
];

/// When a point was measured, and since when: of every metric.
const TIMES: [&str; 2] = ["points[].time", "points[].start"];

/// Whether what `way` leads to in records of this name is volatile. A way is `attributes.a[].b` or
/// `points[].c`.
pub(crate) fn is_volatile(name: &str, way: &str) -> bool {
    let within = |field: &str, way: &str| {
        way.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let listed =
        VOLATILE.iter().filter(|(event, _)| *event == name).flat_map(|(_, fields)| *fields);
    TIMES.contains(&way)
        || way
            .strip_prefix("attributes.")
            .is_some_and(|way| listed.into_iter().any(|field| within(field, way)))
}

/// What is of this build and not of the machine: it differs between two versions and never between two
/// looks.
const OF_THE_BUILD: &[(&str, &[&str])] =
    &[("candor.agent.settings", &["agent_version", "catalog_hash"])];

/// A record as it stands in a machine's expected file: without when it was seen, and with [`VARIES`] in
/// place of every value that is volatile or of this build.
pub(crate) fn without(record: &Value) -> Value {
    let name = record["name"].as_str().expect("a name");
    let mut record = record.clone();
    let fields = record.as_object_mut().expect("an object");
    fields.remove("time").expect("when it was seen");
    for (key, value) in fields {
        *value = varying(name, key, value);
    }
    record
}

/// Stands for a value that is there and not compared.
const VARIES: &str = "(varies)";

fn varying(name: &str, way: &str, value: &Value) -> Value {
    let is_of_the_build = || {
        let listed = OF_THE_BUILD.iter().filter(|(event, _)| *event == name);
        let mut fields = listed.flat_map(|(_, fields)| *fields);
        fields.any(|field| way.strip_prefix("attributes.") == Some(*field))
    };
    match value {
        _ if is_volatile(name, way) || is_of_the_build() => Value::from(VARIES),
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| {
                (key.clone(), varying(name, &format!("{way}.{key}"), value))
            };
            map.iter().map(pair).collect()
        }
        Value::Array(items) => {
            let way = format!("{way}[]");
            items.iter().map(|item| varying(name, &way, item)).collect()
        }
        leaf => leaf.clone(),
    }
}

/// Every leaf of a record with its way, without what is volatile and without what only one side has: when
/// it was seen, and what the receiver adds.
pub(crate) fn leaves(record: &Value) -> Vec<(String, String)> {
    let name = record["name"].as_str().expect("a name");
    let mut found = Vec::new();
    for key in ["kind", "level", "unit", "attributes", "points"] {
        walk(key, &record[key], &mut found);
    }
    found.retain(|(way, _)| !is_volatile(name, way));
    found
}

fn walk(way: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| walk(&format!("{way}.{key}"), value, found));
        }
        Value::Array(items) => {
            let way = format!("{way}[]");
            for item in items {
                walk(&way, item, found);
            }
        }
        leaf => found.push((way.to_owned(), leaf.to_string())),
    }
}

#[test]
fn every_volatile_field_is_one_of_the_catalog() {
    for (name, fields) in VOLATILE.iter().chain(OF_THE_BUILD) {
        let event = CATALOG.events.iter().find(|event| event.name == *name);
        let event = event.unwrap_or_else(|| panic!("no {name} in the catalog"));
        for field in *fields {
            let first = field.split(['.', '[']).next().expect("a field");
            assert!(event.fields.iter().any(|entry| entry.name == first), "no {name}.{field}");
        }
    }
    let record = serde_json::json!({ "name": "candor.process.table", "time": "now", "attributes": { "window": 1, "total": 2 } });
    let expected = serde_json::json!({ "name": "candor.process.table", "attributes": { "window": VARIES, "total": 2 } });
    assert_eq!(without(&record), expected);
    assert!(is_volatile("candor.process.table", "attributes.window"));
    assert!(!is_volatile("candor.process.table", "attributes.windows"));
    assert!(!is_volatile("candor.process.table", "attributes.processes[].name"));
}
