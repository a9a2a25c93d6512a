//! The judgement of one field.
//!
//! # Invariants
//! - A text passes as it is or not at all, but that GUIDs are replaced in free text where the
//!   manifest says so; the rest of free text is for the gate to scrub.

use std::borrow::Cow;

use candor_model::{Class, Given, Level, Value};
use candor_privacy::HIDDEN;

use super::map;
use crate::format::hide_guids;
use crate::manifest::Parser;
use crate::{Event, Field, FieldKind, Format, Manifest, Reason, deployment};

/// What becomes of a field.
pub(super) enum Judged {
    /// It passes, perhaps changed.
    Kept(Given),
    /// What it was taken apart into passes.
    Parts(Vec<Given>),
    /// It does not pass.
    Gone(Reason),
}

/// Judges a field of a declared event.
pub(super) fn judge(manifest: &Manifest, event: &Event, given: Given) -> Judged {
    let Some(field) = event.fields.get(given.key.as_ref()) else {
        return Judged::Gone(Reason::UnknownField);
    };
    if let Some(Parser::ModuleDeployment) = field.parse {
        return take_apart(event, &given.value);
    }
    let value =
        if field.sensitive { Some(HIDDEN.into()) } else { shaped(manifest, field, given.value) };
    let Some(value) = value else { return Judged::Gone(Reason::Type) };
    let level = field.level.unwrap_or(event.level);
    Judged::Kept(Given { key: given.key, value, class: field.class, level })
}

/// Judges a field where the manifest takes any: by its key alone.
pub(super) fn judge_undeclared(manifest: &Manifest, mut given: Given) -> Judged {
    if given.key.starts_with('_') || !Format::Name.fits(&given.key) {
        return Judged::Gone(Reason::UnknownField);
    }
    if map::is_secret(&given.key, &manifest.sensitive) {
        given.value = HIDDEN.into();
    }
    free(manifest, &mut given.value);
    (given.class, given.level) = (Class::DiagnosticText, Level::Full);
    Judged::Kept(given)
}

/// The value if it is as the manifest declares it.
fn shaped(manifest: &Manifest, field: &Field, mut value: Value) -> Option<Value> {
    match (field.kind, &mut value) {
        (FieldKind::Bool, Value::Bool(_)) | (FieldKind::Int, Value::Int(_)) => {}
        (FieldKind::Double, Value::Double(number)) if number.is_finite() => {}
        (FieldKind::Double, Value::Int(number)) => {
            #[expect(clippy::cast_precision_loss, reason = "declared as a number with a fraction")]
            let double = *number as f64;
            value = Value::Double(double);
        }
        (FieldKind::Text, Value::Text(text)) => shape_text(manifest, field, text)?,
        (FieldKind::List, Value::List(items)) => items.retain_mut(|item| match item {
            Value::Text(text) => shape_text(manifest, field, text).is_some(),
            _ => false,
        }),
        (FieldKind::Map, Value::Map(_)) => free(manifest, &mut value),
        (FieldKind::Map, Value::Text(text)) => {
            value = Value::Map(map::from_json(text)?);
            free(manifest, &mut value);
        }
        _ => return None,
    }
    Some(value)
}

/// `None` where the text does not fit.
fn shape_text(manifest: &Manifest, field: &Field, text: &mut Cow<'static, str>) -> Option<()> {
    let fits = field.format.is_none_or(|format| format.fits(text))
        && (field.words.is_empty() || field.words.iter().any(|word| word == text));
    if field.class == Class::DiagnosticText {
        hide_in_text(manifest, text);
    }
    fits.then_some(())
}

/// Cleans a value of any shape by its keys, and hides ids in its texts.
fn free(manifest: &Manifest, value: &mut Value) {
    match value {
        Value::Map(pairs) => {
            map::clean(pairs, &manifest.sensitive);
            for (_, value) in pairs {
                hide_ids(manifest, value);
            }
        }
        Value::List(_) => {
            let mut pairs = vec![("list".into(), std::mem::replace(value, Value::Bool(false)))];
            map::clean(&mut pairs, &manifest.sensitive);
            *value = pairs.pop().map_or(Value::List(Vec::new()), |(_, value)| value);
            hide_ids(manifest, value);
        }
        _ => hide_ids(manifest, value),
    }
}

fn hide_ids(manifest: &Manifest, value: &mut Value) {
    match value {
        Value::Text(text) => hide_in_text(manifest, text),
        Value::List(items) => items.iter_mut().for_each(|item| hide_ids(manifest, item)),
        Value::Map(pairs) => pairs.iter_mut().for_each(|(_, value)| hide_ids(manifest, value)),
        Value::Double(number) if !number.is_finite() => *value = Value::from("double"),
        _ => {}
    }
}

fn hide_in_text(manifest: &Manifest, text: &mut Cow<'static, str>) {
    if manifest.hide_ids
        && let Some(clean) = hide_guids(text)
    {
        *text = clean.into();
    }
}

/// The parts of a deployment's name, as the fields of their names.
fn take_apart(event: &Event, value: &Value) -> Judged {
    let Value::Text(text) = value else { return Judged::Gone(Reason::Type) };
    let Some(parts) = deployment::parts(text) else { return Judged::Gone(Reason::Type) };
    let given = parts.into_iter().filter_map(|(name, part)| {
        let field = event.fields.get(name)?;
        let level = field.level.unwrap_or(event.level);
        Some(Given { key: name.into(), value: part.into(), class: field.class, level })
    });
    Judged::Parts(given.collect())
}
