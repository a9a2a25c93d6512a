//! The judgement of a record that may pass as it is: the same rules, without changing anything.
//!
//! # Invariants
//! - Where this says that a record passes, the long way (`admission.rs`) lets all of it pass
//!   unchanged; where it does not, the long way decides. It counts nothing.

use candor_model::{Class, Kind, Level, Plain, PlainField, Scalar};

use super::map::is_secret;
use crate::format::has_guid;
use crate::registry::Provider;
use crate::{Event, Field, FieldKind, Format, Manifest};

impl Provider {
    /// Whether a log record of so many bytes passes as it is; then it has its level, and each field
    /// its class and level.
    #[must_use]
    pub fn leaves(&self, record: &mut Plain<'_>, bytes: usize) -> bool {
        let manifest = &self.manifest;
        let event = manifest.event(Kind::Log, record.name);
        let fits = match event {
            Some(event) => bytes <= event.max_bytes && event.sample >= 1.0,
            None => manifest.any_event,
        };
        let no = &manifest.opt_out.attributes;
        let may_opt_out =
            !no.is_empty() && record.fields.iter().any(|field| no.contains_key(field.key));
        if !fits || may_opt_out {
            return false;
        }
        record.level = event.map_or(Level::Full, |event| event.level);
        record.is_declared = event.is_some();
        let mut body = record.body.map(|value| PlainField::new("body", value));
        record.fields.iter_mut().chain(&mut body).all(|field| match event {
            Some(event) => leaves_declared(manifest, event, field),
            None => leaves_undeclared(manifest, field),
        })
    }

    /// Counts a record that passed as it is.
    pub fn accept(&self) {
        self.live.counts.accept();
    }
}

fn leaves_declared(manifest: &Manifest, event: &Event, given: &mut PlainField<'_>) -> bool {
    let Some(field) = event.fields.get(given.key) else { return false };
    if field.sensitive || field.parse.is_some() || !fits(manifest, field, given.value) {
        return false;
    }
    (given.class, given.level) = (field.class, field.level.unwrap_or(event.level));
    true
}

fn fits(manifest: &Manifest, field: &Field, value: Scalar<'_>) -> bool {
    match (field.kind, value) {
        (FieldKind::Bool, Scalar::Bool(_)) | (FieldKind::Int, Scalar::Int(_)) => true,
        (FieldKind::Double, Scalar::Double(number)) => number.is_finite(),
        (FieldKind::Text, Scalar::Text(text)) => {
            field.format.is_none_or(|format| format.fits(text))
                && (field.words.is_empty() || field.words.iter().any(|word| word == text))
                && !(field.class == Class::DiagnosticText && hides(manifest, text))
        }
        _ => false,
    }
}

fn leaves_undeclared(manifest: &Manifest, given: &mut PlainField<'_>) -> bool {
    let is_free = match given.value {
        Scalar::Text(text) => !hides(manifest, text),
        Scalar::Double(number) => number.is_finite(),
        Scalar::Bool(_) | Scalar::Int(_) => true,
    };
    (given.class, given.level) = (Class::DiagnosticText, Level::Full);
    is_free
        && !given.key.starts_with('_')
        && Format::Name.fits(given.key)
        && !is_secret(given.key, &manifest.sensitive)
}

fn hides(manifest: &Manifest, text: &str) -> bool {
    manifest.hide_ids && has_guid(text)
}
