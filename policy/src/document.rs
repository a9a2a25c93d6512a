//! A TOML file as a tree with positions, and the policy words at its top level.
//!
//! Both readers stand on it: a policy or operator file is its words and nothing else; `agent.toml`
//! has tables beside them (`config.rs`).
//!
//! # Invariants
//! - A byte that is not UTF-8, a syntax error, a key that is stated twice: each is an error of the
//!   whole file, never a file with less in it.
//! - A key that does not count in its layer never reaches [`Words`]: it is remarked.

use std::ops::Range;

use candor_model::events::agent::Layer as LayerKind;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::finding::{Finding, Findings, Severity, nearest};
use crate::keys::{Key, Raw, Words};

/// One key of a table, with its value and the place of its name.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) name_span: Range<usize>,
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) value_span: Range<usize>,
}

/// The entries of a table.
pub(crate) fn entries<'a>(table: &'a DeTable<'a>) -> impl Iterator<Item = Entry<'a>> {
    table.iter().map(|(name, value)| Entry {
        name: name.get_ref().as_ref(),
        name_span: name.span(),
        value: value.get_ref(),
        value_span: value.span(),
    })
}

/// Parses a text; syntax errors are findings, and then there is no table.
pub(crate) fn parse<'a>(
    text: &'a str,
    findings: &mut Findings<'_>,
) -> Option<Spanned<DeTable<'a>>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        findings.error(&error.span().unwrap_or(0..0), "", syntax_problem(error.message()));
    }
    errors.is_empty().then_some(table)
}

fn syntax_problem(message: &str) -> String {
    let message = message.lines().collect::<Vec<_>>().join(", ");
    format!("{message}: change it to valid TOML")
}

/// A TOML value as a policy key sees it.
pub(crate) fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Raw::Other(format!("the number {number}")), Raw::Integer),
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map_or_else(|| Raw::Other("a list of other things than texts".into()), Raw::List),
        DeValue::Boolean(switch) => Raw::Other(format!("{switch}")),
        other => Raw::Other(format!("a {}", other.type_str())),
    }
}

/// Takes a top-level entry if it is a policy key; `false` leaves it to the caller.
pub(crate) fn take_word(
    entry: &Entry<'_>,
    layer: LayerKind,
    words: &mut Words,
    findings: &mut Findings<'_>,
) -> bool {
    let Some(key) = Key::from_name(entry.name) else { return false };
    if !key.scope().admits(layer) {
        let problem = format!("has no effect here: it counts only in {}", key.scope().place());
        findings.remark(&entry.name_span, key.name(), problem);
        return true;
    }
    if let Err(problem) = words.state(key, &raw(entry.value)) {
        let problem = format!("{problem}: write {}", key.type_name());
        findings.error(&entry.value_span, key.name(), problem);
    }
    true
}

/// What a file of policy words says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordsFile {
    /// The words. Where a finding is an error they must not be used.
    pub words: Words,
    /// Errors, unknown keys, keys without effect; in the order of the file.
    pub findings: Vec<Finding>,
}

impl WordsFile {
    /// The first error, if the file cannot be understood.
    #[must_use]
    pub fn error(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.severity == Severity::Error)
    }
}

/// Reads a policy file or the operator's setting. `file` is what findings call it.
#[must_use]
pub fn read_words(bytes: &[u8], file: &str, layer: LayerKind) -> WordsFile {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let problem = "has bytes that are not UTF-8: save it as UTF-8".to_owned();
        return WordsFile {
            words: Words::default(),
            findings: vec![Finding::of_file(file, problem)],
        };
    };
    let mut findings = Findings::new(file, text);
    let mut words = Words::default();
    if let Some(table) = parse(text, &mut findings) {
        for entry in entries(table.get_ref()) {
            if !take_word(&entry, layer, &mut words, &mut findings) {
                findings.remark(&entry.name_span, entry.name, unknown_key(entry.name));
            }
        }
    }
    WordsFile { words, findings: findings.into_vec() }
}

/// What to say about a top-level key that is no policy key.
pub(crate) fn unknown_key(name: &str) -> String {
    match nearest(name, Key::ALL.iter().map(|key| key.name())) {
        Some(known) => format!("is an unknown key and has no effect: write {known}"),
        None => "is an unknown key and has no effect: remove it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Level;

    use super::*;

    fn policy(text: &str) -> WordsFile {
        read_words(text.as_bytes(), "policy.d/10-org.toml", LayerKind::Policy)
    }

    fn said(text: &str) -> Vec<String> {
        policy(text).findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_policy_file_states_its_words() {
        let file = policy("AllowTelemetry = 1\nLockLevel = 1\nTelemetryProxy = \"p:3128\"\n");
        assert_eq!(file.findings, []);
        assert_eq!(file.words.allow_telemetry, Some(Level::Basic));
        assert_eq!(file.words.lock_level, Some(true));
        assert_eq!(file.words.telemetry_proxy.unwrap().port(), 3128);
    }

    #[test]
    fn each_thing_that_cannot_be_understood_is_an_error_with_its_place() {
        for (text, expected) in [
            (
                "AllowTelemetry = \"2\"",
                "policy.d/10-org.toml:1:18: AllowTelemetry: \"2\" is not a number from 0 to 3: \
                 write a number from 0 to 3",
            ),
            (
                "AllowTelemetry = 2\nUploadEnabled = true",
                "policy.d/10-org.toml:2:17: UploadEnabled: true is not the number 0 or 1: \
                 write the number 0 or 1",
            ),
            (
                "LockLevel = 2.0",
                "policy.d/10-org.toml:1:13: LockLevel: a float is not the number 0 or 1: \
                 write the number 0 or 1",
            ),
        ] {
            assert_eq!(said(text), [expected]);
            assert!(policy(text).error().is_some());
        }
        for text in [
            "AllowTelemetry",
            "AllowTelemetry = 9999999999999999999999",
            "AllowTelemetry = 1\nAllowTelemetry = 1",
            "CertificatePins = [\"sha256/x\"]",
            "CertificatePins = [1]",
            "EventsEndpoint = \"http://plain.example.org\"",
            "SettingsKeys = \"RW\"",
            "AllowTelemetry = [1",
            "[AllowTelemetry]\nx = 1",
        ] {
            assert!(policy(text).error().is_some(), "{text}");
        }
        assert!(read_words(b"\xff = 1", "x", LayerKind::Policy).error().is_some());
    }

    #[test]
    fn an_unknown_key_is_remarked_and_the_file_counts() {
        let file = policy("AlowTelemetry = 0\nAllowTelemetry = 1\n[upload]\nx = 1\n");
        assert!(file.error().is_none());
        assert_eq!(file.words.allow_telemetry, Some(Level::Basic));
        assert_eq!(
            said("AlowTelemetry = 0"),
            ["policy.d/10-org.toml:1:1: AlowTelemetry: is an unknown key and has no effect: \
              write AllowTelemetry"]
        );
        assert_eq!(file.findings.len(), 2);
    }

    #[test]
    fn a_key_in_another_letter_case_counts_and_the_lower_of_two_levels_holds() {
        let file = policy("AllowTelemetry = 3\nallowtelemetry = 1\n");
        assert_eq!(file.words.allow_telemetry, Some(Level::Basic));
    }

    #[test]
    fn a_lock_outside_of_policy_has_no_effect_and_is_remarked() {
        let file = read_words(b"LockLevel = 1\n", "operator.toml", LayerKind::Operator);
        assert_eq!(file.words.lock_level, None);
        assert_eq!(
            file.findings[0].to_string(),
            "operator.toml:1:1: LockLevel: has no effect here: it counts only in management policy"
        );
        assert!(file.error().is_none());
    }
}
