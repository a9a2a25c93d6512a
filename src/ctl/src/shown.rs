//! What a command shows: one set of facts, as text for people and as JSON for programs.

use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

/// The outcome of a command that was carried out.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// For people.
    pub(crate) text: String,
    /// For programs; several values are printed one a line.
    pub(crate) json: Vec<Value>,
    /// 0, unless the facts themselves are bad news (`check`, `pins test`).
    pub(crate) exit_code: u8,
}

impl Shown {
    /// Text, and the facts that it was made of.
    pub(crate) fn new(text: impl Into<String>, facts: &impl Serialize) -> Self {
        let json = vec![serde_json::to_value(facts).unwrap_or_default()];
        Self { text: text.into(), json, exit_code: 0 }
    }

    /// The same facts, which are bad news.
    pub(crate) fn with_exit_code(self, exit_code: u8) -> Self {
        Self { exit_code, ..self }
    }
}

/// Prints it. A reader that closed the pipe has seen enough.
pub(crate) fn print(shown: &Shown, json: bool) {
    let mut out = io::stdout().lock();
    let written = if json {
        shown.json.iter().try_for_each(|value| writeln!(out, "{value}"))
    } else if shown.text.is_empty() || shown.text.ends_with('\n') {
        out.write_all(shown.text.as_bytes())
    } else {
        writeln!(out, "{}", shown.text)
    };
    let _closed = written.and_then(|()| out.flush());
}
