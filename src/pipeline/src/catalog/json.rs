//! The catalog as one JSON object: `catalog_hash`, `level`, `events`, `metrics`.

use candor_model::{EventEntry, FieldEntry, FieldType, Level, MetricEntry};
use serde_json::{Value, json};

use super::prose;

pub(super) fn render(level: Level) -> String {
    format!("{:#}\n", object(level))
}

pub(super) fn object(level: Level) -> Value {
    json!({
        "catalog_hash": super::hash(),
        "level": level.number(),
        "events": super::events(level).map(|entry| event(entry, level)).collect::<Value>(),
        "metrics": super::metrics(level).map(|entry| metric(entry, level)).collect::<Value>(),
    })
}

fn event(event: &EventEntry, level: Level) -> Value {
    json!({
        "name": event.name,
        "level": event.level.number(),
        "purpose": event.purpose,
        "description": prose(event.doc),
        "fields": fields(event.fields, event.level, level),
    })
}

fn metric(metric: &MetricEntry, level: Level) -> Value {
    json!({
        "name": metric.name,
        "level": metric.level.number(),
        "instrument": metric.instrument.name(),
        "unit": metric.unit,
        "class": metric.class.name(),
        "purpose": metric.purpose,
        "description": prose(metric.doc),
        "attributes": fields(metric.attributes, metric.level, level),
    })
}

/// The fields up to `allowed`; a nested field's level is its owner's unless it states a higher one.
fn fields(fields: &[FieldEntry], owner: Level, allowed: Level) -> Value {
    let allowed_ones = fields.iter().filter(|field| field.level <= allowed);
    allowed_ones.map(|entry| field(entry, entry.level.max(owner), allowed)).collect()
}

fn field(field: &FieldEntry, level: Level, allowed: Level) -> Value {
    let mut object = kind(&field.kind, level, allowed);
    object["name"] = field.name.into();
    object["level"] = level.number().into();
    object["class"] = field.class.name().into();
    object["description"] = prose(field.doc).into();
    if let Some(unit) = field.unit {
        object["unit"] = unit.into();
    }
    object
}

fn kind(kind: &FieldType, owner: Level, allowed: Level) -> Value {
    match kind {
        FieldType::Bool => json!({ "type": "bool" }),
        FieldType::Int => json!({ "type": "int" }),
        FieldType::Double => json!({ "type": "double" }),
        FieldType::Text => json!({ "type": "text" }),
        FieldType::Choice(words) => json!({ "type": "choice", "choices": words }),
        FieldType::List(inner) => {
            json!({ "type": "list", "items": self::kind(inner, owner, allowed) })
        }
        FieldType::Map(inner) => json!({ "type": "map", "fields": fields(inner, owner, allowed) }),
    }
}
