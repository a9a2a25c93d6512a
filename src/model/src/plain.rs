//! A log record of a local program in its simplest form: scalars only, each where the program put
//! it. Most records are such; they are judged without taking a copy of anything.
//!
//! # Invariants
//! - What a [`Plain`] holds is what a [`Provided`](crate::Provided) of the same bytes would hold.
//! - Until a manifest has judged it, a field has the strictest class and the highest level.

use crate::{Class, Level};

/// A log record that holds scalars only, on its way from ingest to the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain<'a> {
    /// Its `event_name`; empty in plain logs.
    pub name: &'a str,
    /// Its level and whether its manifest declares the name; one that is not is free text.
    pub level: Level,
    /// Whether the manifest declares the name.
    pub is_declared: bool,
    /// The stable id that the program gave it, where it did.
    pub uid: Option<&'a str>,
    /// The word for its severity; empty where there is none.
    pub severity: &'a str,
    /// Its numbers, times and ids in the codec's bytes.
    pub facts: Vec<u8>,
    /// The body.
    pub body: Option<Scalar<'a>>,
    /// The attributes.
    pub fields: Vec<PlainField<'a>>,
}

/// One field of such a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainField<'a> {
    /// The attribute key on the wire.
    pub key: &'a str,
    /// The value.
    pub value: Scalar<'a>,
    /// What kind of fact it is.
    pub class: Class,
    /// The lowest level at which it may be sent.
    pub level: Level,
}

/// A value that holds no others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    Text(&'a str),
}

impl Plain<'_> {
    /// A record that holds nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            name: "",
            level: Level::Full,
            is_declared: false,
            uid: None,
            severity: "",
            facts: Vec::new(),
            body: None,
            fields: Vec::new(),
        }
    }

    /// Forgets what it holds, but not the memory for it.
    pub fn clear(&mut self) {
        let (mut facts, mut fields) =
            (std::mem::take(&mut self.facts), std::mem::take(&mut self.fields));
        facts.clear();
        fields.clear();
        *self = Self { facts, fields, ..Self::new() };
    }
}

impl Default for Plain<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> PlainField<'a> {
    /// A field that no manifest has judged yet.
    #[must_use]
    pub const fn new(key: &'a str, value: Scalar<'a>) -> Self {
        Self { key, value, class: Class::DiagnosticText, level: Level::Full }
    }
}
