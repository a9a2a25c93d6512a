//! What `emit` is told: one event on the command line, or one a line on standard input.
//!
//! # Invariants
//! - A value on the command line is of the type that the manifest declares.
//! - A line that is no event costs only itself, and keeps its number.
//!
//! On failure: what is wrong on the command line, or why standard input cannot be read.

use std::io::{BufRead as _, ErrorKind, IsTerminal as _};

use candor_control::protocol::EmitRecord;
use candor_model::Kind;
use candor_providers::{Event, FieldKind, Registry};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::declaring;
use crate::cli::EmitOptions;
use crate::failure::{FAILED, Failure, USAGE};

/// What stands for standard input.
const STDIN: &str = "-";

/// One event, or a line that is none.
pub(super) struct Entry {
    /// Its line on standard input, from 1.
    pub(super) line: Option<usize>,
    /// The event, or what is wrong with the line.
    pub(super) record: Result<EmitRecord, String>,
}

/// All that is told.
pub(super) fn entries<'a>(
    options: &'a EmitOptions,
    registry: &'a Registry,
) -> Result<Box<dyn Iterator<Item = Result<Entry, Failure>> + 'a>, Failure> {
    let is_from_input = options.event == STDIN || options.fields == [STDIN];
    if !is_from_input {
        let entry = one(options, registry).map(|record| Entry { line: None, record: Ok(record) });
        return Ok(Box::new(std::iter::once(entry)));
    }
    if options.event == STDIN && !options.fields.is_empty() {
        return Err(Failure::new(
            USAGE,
            "fields come from standard input with the events: leave them out",
        ));
    }
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("agentctl: reading JSON objects, one a line");
    }
    let lines = input.lock().lines().enumerate();
    let filled = lines.filter(|(_, line)| !line.as_ref().is_ok_and(|line| line.trim().is_empty()));
    Ok(Box::new(filled.map(|(at, line)| {
        let record = match line {
            Ok(line) => of_line(options, &line),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Err("is no UTF-8: write it so".to_owned())
            }
            Err(error) => {
                return Err(Failure::new(FAILED, format!("cannot read standard input: {error}")));
            }
        };
        Ok(Entry { line: Some(at + 1), record })
    })))
}

fn of_line(options: &EmitOptions, line: &str) -> Result<EmitRecord, String> {
    if options.event == STDIN {
        return read(line);
    }
    Ok(EmitRecord { attributes: read(line)?, ..bare(options) })
}

/// What a line holds; the reader's own word for its only line is left out.
fn read<T: DeserializeOwned>(line: &str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| {
        let words = error.to_string();
        let problem = words.split(" at line ").next().unwrap_or_default();
        format!("column {}: {problem}", error.column())
    })
}

fn bare(options: &EmitOptions) -> EmitRecord {
    EmitRecord {
        event: options.event.clone(),
        attributes: Map::new(),
        time: None,
        trace_id: options.trace_id.clone(),
        span_id: options.span_id.clone(),
    }
}

/// The event of the command line.
fn one(options: &EmitOptions, registry: &Registry) -> Result<EmitRecord, Failure> {
    let mut record = bare(options);
    let event = declaring(registry, &options.event)
        .and_then(|manifest| manifest.event(Kind::Log, &options.event));
    for field in &options.fields {
        let Some((key, text)) = field.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::new(USAGE, format!("`{field}` is no field: write key=value")));
        };
        record.attributes.insert(key.to_owned(), typed(event, key, text));
    }
    Ok(record)
}

/// A value as the manifest declares it; where it does not, what it looks like.
fn typed(event: Option<&Event>, key: &str, text: &str) -> Value {
    let kind = event.and_then(|event| event.fields.get(key)).map(|field| field.kind);
    let parsed = || serde_json::from_str::<Value>(text).ok();
    let value = match kind {
        Some(FieldKind::Text) => None,
        Some(FieldKind::Bool) => parsed().filter(Value::is_boolean),
        Some(FieldKind::Int) => parsed().filter(Value::is_i64),
        Some(FieldKind::Double) => parsed().filter(Value::is_number),
        Some(FieldKind::List) => parsed().filter(Value::is_array),
        Some(FieldKind::Map) => parsed().filter(Value::is_object),
        None => parsed().filter(|value| value.is_boolean() || value.is_number()),
    };
    value.unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    use candor_providers::SHIPPED;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_of_the_type_that_the_manifest_declares() {
        let (_, text) = SHIPPED.iter().find(|(name, _)| *name == "cli").unwrap();
        let manifest = candor_providers::read(text, "cli").unwrap();
        let event = manifest.event(Kind::Log, "cli.command");
        for (key, text, expected) in [
            ("success", "true", json!(true)),
            ("success", "yes", json!("yes")),
            ("sku", "2", json!("2")),
            ("parameters", r#"{"a":1}"#, json!({ "a": 1 })),
            ("unknown", "2.5", json!(2.5)),
            ("unknown", "[1]", json!("[1]")),
        ] {
            assert_eq!(typed(event, key, text), expected, "{key}={text}");
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_told_with_its_column() {
        let wrong = |line| read::<EmitRecord>(line).unwrap_err();
        let open = wrong(r#"{"event": "e", "#);
        assert!(open.starts_with("column 15: ") && !open.contains("line 1"), "{open}");
        let unknown = wrong(r#"{"event": "e", "fields": {}}"#);
        assert!(
            unknown.contains("unknown field `fields`") && !unknown.contains("line 1"),
            "{unknown}"
        );
        assert_eq!(read::<EmitRecord>(r#"{"event": "e"}"#).unwrap().event, "e");
    }
}
