//! What differs between a catalog that was published as JSON and the one of this build: for a receiver
//! that was written against the older one, and for an owner who wants to know what an update adds.
//!
//! # Invariants
//! - Compared up to the level that the older one was published for; wording is not compared.
//!
//! A JSON that is no catalog is an error.

use std::collections::BTreeMap;

use candor_model::Level;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

/// Not a catalog as `catalog --format json` prints it.
#[derive(Debug, Error)]
#[error("this is no catalog: it has no `{0}`; write one with `agentctl catalog --format json`")]
pub struct NoCatalog(&'static str);

/// What differs. Each entry is `event NAME`, `metric NAME`, or one of these with a field's path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In this build only, with what it is.
    pub added: BTreeMap<String, String>,
    /// In the older one only, with what it was.
    pub removed: BTreeMap<String, String>,
    /// In both, and not the same: before and after.
    pub changed: BTreeMap<String, (String, String)>,
}

/// Compares the older catalog with this build's.
///
/// # Errors
/// It is none.
pub fn difference(old: &Value) -> Result<Difference, NoCatalog> {
    let level = old.get("level").and_then(Value::as_u64).ok_or(NoCatalog("level"))?;
    let level = u8::try_from(level).ok().and_then(|level| Level::from_number(level.into()));
    let new = super::json::object(level.ok_or(NoCatalog("level"))?);
    Ok(compare(&entries(old)?, &entries(&new)?))
}

type Entries = BTreeMap<String, String>;

fn compare(old: &Entries, new: &Entries) -> Difference {
    let only = |one: &Entries, other: &Entries| {
        let missing = one.iter().filter(|(name, _)| !other.contains_key(*name));
        missing.map(|(name, what)| (name.clone(), what.clone())).collect()
    };
    let changed = old.iter().filter_map(|(name, before)| {
        let after = new.get(name).filter(|after| *after != before)?;
        Some((name.clone(), (before.clone(), after.clone())))
    });
    Difference { added: only(new, old), removed: only(old, new), changed: changed.collect() }
}

/// Every entry and field by its name, with what a receiver relies on.
fn entries(catalog: &Value) -> Result<Entries, NoCatalog> {
    let mut entries = Entries::new();
    for (list, kind, fields) in [("events", "event", "fields"), ("metrics", "metric", "attributes")]
    {
        for entry in catalog.get(list).and_then(Value::as_array).ok_or(NoCatalog(list))? {
            let name = format!("{kind} {}", word(entry, "name"));
            let facts = facts(entry, &["level", "instrument", "unit", "class"]);
            descend(&mut entries, &format!("{name} "), entry.get(fields));
            entries.insert(name, facts);
        }
    }
    Ok(entries)
}

fn descend(entries: &mut Entries, prefix: &str, fields: Option<&Value>) {
    for field in fields.and_then(Value::as_array).into_iter().flatten() {
        let mut path = format!("{prefix}{}", word(field, "name"));
        let mut kind = field;
        let mut what = facts(field, &["level", "class", "unit"]);
        let place = path.clone();
        while let Some(items) = kind.get("items") {
            path.push_str("[]");
            what.push_str(" list of");
            kind = items;
        }
        what = format!("{what} {}", facts(kind, &["type", "choices"]));
        descend(entries, &format!("{path}."), kind.get("fields"));
        entries.insert(place, what);
    }
}

fn word<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn facts(object: &Value, keys: &[&str]) -> String {
    let fact = |key: &&str| {
        let value = object.get(*key)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(if *key == "level" { format!("level {text}") } else { text })
    };
    keys.iter().filter_map(fact).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(level: Level) -> Value {
        super::super::json::object(level)
    }

    #[test]
    fn a_catalog_does_not_differ_from_itself_at_any_level_nor_by_wording() {
        for level in Level::ALL {
            let mut old = catalog(level);
            old["events"][0]["description"] = "other words".into();
            assert_eq!(difference(&old).unwrap(), Difference::default());
        }
    }

    #[test]
    fn what_came_went_and_changed_is_named_with_its_place() {
        let mut old = catalog(Level::Full);
        let gone = old["events"].as_array_mut().unwrap().pop().unwrap();
        old["events"][0]["level"] = 1.into();
        let events = old["events"].as_array_mut().unwrap();
        let storage =
            events.iter_mut().find(|event| event["name"] == "candor.device.storage").unwrap();
        let drives = storage["fields"].as_array_mut().unwrap();
        let drives = drives.iter_mut().find(|field| field["name"] == "drives").unwrap();
        drives["items"]["fields"].as_array_mut().unwrap().push(
            serde_json::json!({ "name": "serial", "type": "text", "level": 1, "class": "system" }),
        );
        let difference = difference(&old).unwrap();
        let event = format!("event {}", gone["name"].as_str().unwrap());
        assert_eq!(difference.added[&event], "level 3");
        assert!(difference.added.keys().all(|name| name.starts_with(&event)));
        assert_eq!(difference.removed.len(), 1);
        assert_eq!(
            difference.removed["event candor.device.storage drives[].serial"],
            "level 1 system text"
        );
        assert_eq!(difference.changed.len(), 1);
        assert_eq!(
            difference.changed["event candor.agent.settings"],
            ("level 1".to_owned(), "level 0".to_owned())
        );
    }

    #[test]
    fn what_is_no_catalog_is_refused() {
        for (old, lacks) in [
            ("{}", "level"),
            ("[]", "level"),
            ("{\"level\":9}", "level"),
            ("{\"level\":1,\"events\":1}", "events"),
        ] {
            let error = difference(&serde_json::from_str(old).unwrap()).unwrap_err();
            assert!(error.to_string().contains(lacks), "{error}");
        }
    }
}
