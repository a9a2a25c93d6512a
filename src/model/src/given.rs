//! One field of a record that a local program gave: named by the program, judged by its manifest.
//!
//! # Invariants
//! - Until a manifest has judged it, a field has the strictest class and the highest level.

use std::borrow::Cow;

use crate::{Class, Level, Value};

/// One field of a program's record, on its way from ingest to the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The attribute key on the wire.
    pub key: Cow<'static, str>,
    /// The value.
    pub value: Value,
    /// What kind of fact it is.
    pub class: Class,
    /// The lowest level at which it may be sent.
    pub level: Level,
}

impl Given {
    /// A field that no manifest has judged yet.
    #[must_use]
    pub const fn new(key: Cow<'static, str>, value: Value) -> Self {
        Self { key, value, class: Class::DiagnosticText, level: Level::Full }
    }
}
