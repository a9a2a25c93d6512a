//! A finding: one thing in a file that is wrong or has no effect, with its place and its remedy.
//!
//! Readers collect findings instead of stopping at the first, so that `agentctl check` can show
//! them all and a start can refuse with all of them.

use std::fmt;
use std::ops::Range;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It has no effect, or not the one that its writer expects; the file still counts.
    Remark,
    /// The file cannot be used as it is.
    Error,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as the reader was told to call it.
    pub file: String,
    /// Line, from 1; 0 where the finding is about the whole file.
    pub line: usize,
    /// Column in characters, from 1; 0 where the finding is about the whole file.
    pub column: usize,
    /// Path of the key, such as `spool.max_bytes`; empty where there is none.
    pub key: String,
    /// What is wrong and what to change.
    pub problem: String,
    /// What it does to the file.
    pub severity: Severity,
}

impl Finding {
    /// An error about a whole file.
    #[must_use]
    pub fn of_file(file: &str, problem: String) -> Self {
        let (file, key) = (file.to_owned(), String::new());
        Self { file, line: 0, column: 0, key, problem, severity: Severity::Error }
    }

    /// The finding without its file: `line 3, column 9: spool.max_bytes: …`.
    #[must_use]
    pub fn within_file(&self) -> String {
        let mut parts = Vec::with_capacity(3);
        if self.line > 0 {
            parts.push(format!("line {}, column {}", self.line, self.column));
        }
        if !self.key.is_empty() {
            parts.push(self.key.clone());
        }
        parts.push(self.problem.clone());
        parts.join(": ")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// The findings of one file while it is read: turns byte offsets into lines and columns.
#[derive(Debug)]
pub struct Findings<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// No findings yet in a file that is called so and says this.
    #[must_use]
    pub const fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: Vec::new() }
    }

    /// Adds an error at a range of bytes.
    pub fn error(&mut self, span: &Range<usize>, key: &str, problem: impl Into<String>) {
        self.push(span, key, problem.into(), Severity::Error);
    }

    /// Adds a remark at a range of bytes.
    pub(crate) fn remark(&mut self, span: &Range<usize>, key: &str, problem: impl Into<String>) {
        self.push(span, key, problem.into(), Severity::Remark);
    }

    /// The findings, in the order of the file.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Finding> {
        self.found.sort_by_key(|finding| (finding.line, finding.column));
        self.found
    }

    fn push(&mut self, span: &Range<usize>, key: &str, problem: String, severity: Severity) {
        let (line, column) = position(self.text, span.start);
        let (file, key) = (self.file.to_owned(), key.to_owned());
        self.found.push(Finding { file, line, column, key, problem, severity });
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The known word nearest to a misspelt one, if one is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + word.len() / 4;
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, letter case ignored.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.to_ascii_lowercase(), right.to_ascii_lowercase());
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_knows_its_line_and_its_column_in_characters() {
        let text = "a = 1\n# ü\nbü = 2\n";
        let mut findings = Findings::new("x.toml", text);
        findings.error(&(text.find("= 2").unwrap()..text.len()), "b", "is wrong: change it");
        let found = findings.into_vec();
        assert_eq!(found[0].to_string(), "x.toml:3:4: b: is wrong: change it");
        assert_eq!(found[0].within_file(), "line 3, column 4: b: is wrong: change it");
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["AllowTelemetry", "UploadEnabled", "max_bytes"];
        assert_eq!(nearest("AlowTelemetry", known.into_iter()), Some("AllowTelemetry"));
        assert_eq!(nearest("max_byte", known.into_iter()), Some("max_bytes"));
        assert_eq!(nearest("Colour", known.into_iter()), None);
    }
}
