//! A log record taken apart without a copy, where it holds scalars only.
//!
//! # Invariants
//! - What is told here is what [`incoming`](super::incoming) tells of the same bytes; a record of
//!   which that is not certain is left to it, with whatever is wrong with it.
//! - What is counted there, seen or not in what comes out, is bounded here: no attribute beyond
//!   [`MAX_ATTRIBUTES`], no second body or value.

use candor_model::{Plain, PlainField, Scalar};

use super::shape::{self, copy};
use super::{MAX_ATTRIBUTES, MAX_NAME, MAX_RECORD, is_id, is_severity};
use crate::decode::DecodeError;
use crate::keys;
use crate::wire::{Field, Held, Walk};

/// The record is for [`incoming`](super::incoming) to judge.
struct Otherwise;

/// What was met of a record so far, of use or not.
#[derive(Default)]
struct Met {
    pairs: usize,
    has_body: bool,
}

impl From<DecodeError> for Otherwise {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

/// Takes a log record apart into `plain`; false where it is not a plain one, and `plain` then holds
/// nothing of use.
#[must_use]
pub fn plain<'a>(record: &'a [u8], plain: &mut Plain<'a>) -> bool {
    plain.clear();
    if record.len() > MAX_RECORD {
        return false;
    }
    let (mut facts, mut met) = (std::mem::take(&mut plain.facts), Met::default());
    let taken = copy(record, &shape::LOG, &mut facts, &mut |field| part(field, plain, &mut met));
    plain.facts = facts;
    // What nobody reads is counted the long way.
    matches!(taken, Ok(0))
}

fn part<'a>(field: Field<'a>, plain: &mut Plain<'a>, met: &mut Met) -> Result<(), Otherwise> {
    match (field.number, field.held) {
        (3, Held::Bytes(word)) => {
            let word = text(word)?;
            if is_severity(word) {
                plain.severity = word;
            }
        }
        (5, Held::Bytes(_)) if met.has_body => return Err(Otherwise),
        (5, Held::Bytes(body)) => {
            met.has_body = true;
            plain.body = scalar(body)?;
        }
        (6, Held::Bytes(_)) if met.pairs >= MAX_ATTRIBUTES => return Err(Otherwise),
        (6, Held::Bytes(pair)) => {
            met.pairs += 1;
            attribute(pair, plain)?;
        }
        (12, Held::Bytes(name)) => {
            plain.name = text(name).ok().filter(|name| name.len() <= MAX_NAME).ok_or(Otherwise)?;
        }
        _ => {}
    }
    Ok(())
}

fn attribute<'a>(pair: &'a [u8], plain: &mut Plain<'a>) -> Result<(), Otherwise> {
    let (mut key, mut value, mut has_value) = ("", None, false);
    for field in Walk::over(pair) {
        let field = field.map_err(|_| Otherwise)?;
        match (field.number, field.held) {
            (1, Held::Bytes(bytes)) => key = text(bytes)?,
            (2, Held::Bytes(_)) if has_value => return Err(Otherwise),
            (2, Held::Bytes(bytes)) => {
                has_value = true;
                value = scalar(bytes)?;
            }
            _ => {}
        }
    }
    if key.len() > MAX_NAME {
        return Err(Otherwise);
    }
    let Some(value) = value else { return Ok(()) };
    if key == keys::UID {
        if let Scalar::Text(id) = value
            && is_id(id)
        {
            plain.uid = Some(id);
        }
    } else if !key.starts_with(keys::RESERVED) {
        plain.fields.push(PlainField::new(key, value));
    }
    Ok(())
}

/// An `AnyValue`; `None` where it is empty.
fn scalar(bytes: &[u8]) -> Result<Option<Scalar<'_>>, Otherwise> {
    let mut value = None;
    for field in Walk::over(bytes) {
        let field = field.map_err(|_| Otherwise)?;
        value = match (field.number, field.held) {
            (1, Held::Bytes(bytes)) => Some(Scalar::Text(text(bytes)?)),
            (2, Held::Varint(truth)) => Some(Scalar::Bool(truth != 0)),
            (3, Held::Varint(number)) => Some(Scalar::Int(number.cast_signed())),
            (4, Held::Fixed(bits)) => {
                let bits = bits.try_into().map_err(|_| Otherwise)?;
                Some(Scalar::Double(f64::from_le_bytes(bits)))
            }
            (5..=7, Held::Bytes(_)) => return Err(Otherwise),
            _ => continue,
        };
    }
    Ok(value)
}

fn text(bytes: &[u8]) -> Result<&str, Otherwise> {
    std::str::from_utf8(bytes).map_err(|_| Otherwise)
}
