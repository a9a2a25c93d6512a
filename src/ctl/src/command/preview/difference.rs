//! `preview --diff`: what a higher level tells of this host beside what a lower one tells.
//!
//! # Invariants
//! - Both sides are previews, made by the sender's own code; this only compares them.
//! - A field is told apart by its way into the record: `drives[].serial` is one, whichever drive has it.
//!
//! On failure: nothing fails; equal sides have no difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::shown::Shown;

/// Ways into records of one name, each with a value of this host.
type Fields = BTreeMap<String, Value>;

/// What is told of one name, and by which kind of record.
#[derive(Default)]
struct Told {
    kind: Value,
    level: Value,
    fields: Fields,
}

/// What `higher` tells beside `lower`.
pub(super) fn difference(lower: &[Value], higher: &[Value]) -> Shown {
    let (lower, higher) = (by_name(lower), by_name(higher));
    let (mut text, mut facts) = (String::new(), Vec::new());
    for (name, told) in &higher {
        let known = lower.get(name);
        let is_known = |way: &String| known.is_some_and(|known| known.fields.contains_key(way));
        let added: Map<String, Value> =
            told.fields.iter().filter(|(way, _)| !is_known(way)).map(pair).collect();
        if known.is_some() && added.is_empty() {
            continue;
        }
        let what = if known.is_some() { "fields" } else { "record" };
        text.push_str(&head(name, told, known.is_some()));
        for (way, value) in &added {
            // writing to a String cannot fail
            let _ = writeln!(text, "    {way} = {}", shortened(value));
        }
        facts.push(json!({
            "name": name, "kind": told.kind, "level": told.level, "adds": what, "fields": added,
        }));
    }
    if facts.is_empty() {
        "the higher level adds nothing on this host now".clone_into(&mut text);
    }
    Shown { text, json: facts, exit_code: 0 }
}

fn pair((way, value): (&String, &Value)) -> (String, Value) {
    (way.clone(), value.clone())
}

fn head(name: &str, told: &Told, is_known: bool) -> String {
    let kind = told.kind.as_str().unwrap_or_default();
    if is_known {
        format!("~ {name} ({kind}) tells more:\n")
    } else {
        format!("+ {name} ({kind}, level {}):\n", told.level)
    }
}

fn by_name(records: &[Value]) -> BTreeMap<String, Told> {
    let mut names: BTreeMap<String, Told> = BTreeMap::new();
    for record in records {
        let told = names.entry(record["name"].as_str().unwrap_or_default().to_owned()).or_default();
        (told.kind, told.level) = (record["kind"].clone(), record["level"].clone());
        walk("", &record["attributes"], &mut told.fields);
        for point in record["points"].as_array().into_iter().flatten() {
            walk("", &point["attributes"], &mut told.fields);
            told.fields.entry("value".to_owned()).or_insert_with(|| point["value"].clone());
        }
    }
    names
}

/// Every leaf below a value; the first value of each way is kept.
fn walk(way: &str, value: &Value, fields: &mut Fields) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let way = if way.is_empty() { key.clone() } else { format!("{way}.{key}") };
                walk(&way, value, fields);
            }
        }
        Value::Array(items) => {
            let way = format!("{way}[]");
            for item in items {
                walk(&way, item, fields);
            }
        }
        leaf => {
            fields.entry(way.to_owned()).or_insert_with(|| leaf.clone());
        }
    }
}

fn shortened(value: &Value) -> String {
    const WIDTH: usize = 100;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= WIDTH {
        return text;
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_named_with_a_value_and_what_is_known_is_not() {
        let lower = [json!({ "name": "a", "kind": "log", "level": 1,
                             "attributes": { "x": 1, "list": [{ "y": 2 }] } })];
        let higher = [
            json!({ "name": "a", "kind": "log", "level": 2,
                    "attributes": { "x": 9, "list": [{ "y": 3 }, { "y": 4, "z": "new" }] } }),
            json!({ "name": "m", "kind": "metric", "level": 2, "attributes": {},
                    "points": [{ "attributes": { "state": "used" }, "value": 7 }] }),
        ];
        let shown = difference(&lower, &higher);
        assert_eq!(
            shown.json,
            [
                json!({ "name": "a", "kind": "log", "level": 2, "adds": "fields",
                        "fields": { "list[].z": "new" } }),
                json!({ "name": "m", "kind": "metric", "level": 2, "adds": "record",
                        "fields": { "state": "used", "value": 7 } }),
            ]
        );
        assert!(
            shown
                .text
                .contains("~ a (log) tells more:\n    list[].z = new\n+ m (metric, level 2):")
        );
        assert_eq!(difference(&higher, &higher).json, Vec::<Value>::new());
    }
}
