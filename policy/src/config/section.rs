//! One table of `agent.toml` while it is read: takes known keys, reports unknown ones.
//!
//! # Invariants
//! - Each key that is taken is known from then on; whatever is left at the end is an error.
//! - A value that cannot be used leaves a finding and the default, and the file is refused.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::bytes::{parse_bytes, parse_bytes_or_none};
use super::duration::parse_duration;
use crate::address::Url;
use crate::document::{Entry, entries, raw};
use crate::finding::{Findings, nearest};
use crate::keys::Raw;

/// A table with the path under which findings name it.
pub(super) struct Section<'a, 'f, 't> {
    path: &'static str,
    entries: Vec<Entry<'a>>,
    known: Vec<(&'static str, Option<Range<usize>>)>,
    findings: &'f mut Findings<'t>,
}

impl<'a, 'f, 't> Section<'a, 'f, 't> {
    /// A table.
    pub(super) fn new(
        path: &'static str,
        table: &'a DeTable<'a>,
        findings: &'f mut Findings<'t>,
    ) -> Self {
        Self { path, entries: entries(table).collect(), known: Vec::new(), findings }
    }

    /// Takes a key with the parser of its value.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Raw, &DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        let at = self.entries.iter().position(|entry| entry.name == key);
        let entry = at.map(|at| self.entries.remove(at));
        self.known.push((key, entry.as_ref().map(|entry| entry.name_span.clone())));
        let entry = entry?;
        match parse(&raw(entry.value), entry.value) {
            Ok(value) => Some(value),
            Err(problem) => {
                let path = format!("{}.{key}", self.path);
                self.findings.error(&entry.value_span, &path, problem);
                None
            }
        }
    }

    /// A duration of any length.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.take(key, |raw, _| match raw {
            Raw::Text(text) => parse_duration(text),
            other => Err(format!("{other} is no duration: write a text such as \"15m\"")),
        })
    }

    /// A duration between rounds.
    pub(super) fn interval(&mut self, key: &'static str, least: Duration) -> Option<Duration> {
        self.take(key, |raw, _| match raw {
            Raw::Text(text) => parse_duration(text).and_then(|interval| {
                let short = || format!("\"{text}\" is too short: write at least {least:?}");
                if interval < least { Err(short()) } else { Ok(interval) }
            }),
            other => Err(format!("{other} is no duration: write a text such as \"15m\"")),
        })
    }

    /// A size in bytes; a bare number counts as bytes.
    pub(super) fn bytes(&mut self, key: &'static str) -> Option<u64> {
        self.size(key, parse_bytes)
    }

    /// A size in bytes, of which zero means none.
    pub(super) fn bytes_or_none(&mut self, key: &'static str) -> Option<u64> {
        self.size(key, parse_bytes_or_none)
    }

    fn size(&mut self, key: &'static str, parse: fn(&str) -> Result<u64, String>) -> Option<u64> {
        self.take(key, |raw, _| match raw {
            Raw::Text(text) => parse(text),
            Raw::Integer(number) => parse(&format!("{number}B")),
            other => Err(format!("{other} is no size: write a text such as \"64MiB\"")),
        })
    }

    /// `true` or `false`.
    pub(super) fn switch(&mut self, key: &'static str) -> Option<bool> {
        self.take(key, |raw, value| {
            value.as_bool().ok_or_else(|| format!("{raw} is no switch: write true or false"))
        })
    }

    /// A path, taken literally.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.take(key, |raw, _| match raw {
            Raw::Text(text) if !text.is_empty() => Ok(PathBuf::from(text)),
            other => Err(format!("{other} is no path: write the path of a file or directory")),
        })
    }

    /// A list of https URLs; one that is none refuses the whole list.
    pub(super) fn urls(&mut self, key: &'static str) -> Option<Vec<Url>> {
        self.take(key, |raw, _| {
            let write = "write a list of https URLs such as [\"https://telemetry.example.org\"]";
            let Raw::List(texts) = raw else { return Err(format!("{raw} is no list: {write}")) };
            let url = |text: &String| text.parse::<Url>().map_err(|e| format!("{e}: {write}"));
            texts.iter().map(url).collect()
        })
    }

    /// A loopback address with a port.
    pub(super) fn loopback(&mut self, key: &'static str) -> Option<SocketAddr> {
        self.take(key, |raw, _| {
            let address = match raw {
                Raw::Text(text) => text.parse::<SocketAddr>().ok(),
                _ => None,
            };
            address.filter(|address| address.ip().is_loopback()).ok_or_else(|| {
                format!("{raw} is no loopback address: write one such as \"127.0.0.1:4318\"")
            })
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        self.take(key, |raw, _| choice(raw, choices))
    }

    /// Two keys that mean something only together.
    pub(super) fn both_or_none(&mut self, left: &str, right: &str) {
        let span = |key: &str| {
            self.known.iter().find(|(known, _)| *known == key).and_then(|(_, span)| span.clone())
        };
        let (key, span, missing) = match (span(left), span(right)) {
            (Some(span), None) => (left, span, right),
            (None, Some(span)) => (right, span, left),
            _ => return,
        };
        let problem = format!("needs {missing} beside it: state both or none");
        self.findings.error(&span, &format!("{}.{key}", self.path), problem);
    }

    /// Reports a key that must be there.
    pub(super) fn lacks(&mut self, key: &str, table: &Range<usize>) {
        self.findings.error(table, self.path, format!("lacks {key}: state it"));
    }

    /// Reports every key that nobody took.
    pub(super) fn finish(self) {
        let known: Vec<&'static str> = self.known.iter().map(|(key, _)| *key).collect();
        for entry in self.entries {
            let path = format!("{}.{}", self.path, entry.name);
            let problem = unknown(entry.name, &known);
            self.findings.error(&entry.name_span, &path, problem);
        }
    }
}

/// One of a few words, by its text.
pub(super) fn choice<T: Copy>(raw: &Raw, choices: &[(&'static str, T)]) -> Result<T, String> {
    let found = match raw {
        Raw::Text(text) => choices.iter().find(|(word, _)| word == text),
        _ => None,
    };
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("{raw} is unknown: write one of {}", words.join(", "))
    })
}

/// What to say about an unknown key where these are known.
pub(super) fn unknown(name: &str, known: &[&'static str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("is an unknown key: write {near}, or remove it"),
        None => "is an unknown key: remove it".to_owned(),
    }
}
