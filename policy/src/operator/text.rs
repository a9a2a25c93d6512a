//! Edits of `operator.toml` as text, so that comments and unknown values stay as they are.
//!
//! # Invariants
//! - New values stand at the top, before any table, where a policy word must stand.
//! - A text that is no TOML is dropped whole: the caller has decided to replace it.

use toml::de::DeTable;

use super::{Change, Value};
use crate::document::entries;
use crate::keys::Key;

/// The text with the changes made.
pub(super) fn edit(text: &str, changes: &[Change]) -> String {
    let stated = changes.iter().filter_map(|(key, value)| match value.as_ref()? {
        Value::Number(number) => Some(format!("{} = {number}\n", key.name())),
        Value::Text(text) => Some(format!("{} = {}\n", key.name(), quoted(text))),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
            Some(format!("{} = [{}]\n", key.name(), items.join(", ")))
        }
    });
    stated.collect::<String>() + &without(text, changes)
}

/// The text without the statements of the changed keys.
fn without(text: &str, changes: &[Change]) -> String {
    let Ok(table) = DeTable::parse(text) else { return String::new() };
    let is_changed =
        |name| Key::from_name(name).is_some_and(|key| changes.iter().any(|c| c.0 == key));
    let mut gone: Vec<_> = entries(table.get_ref())
        .filter(|entry| is_changed(entry.name))
        .map(|entry| whole_lines(text, entry.name_span.start, entry.value_span.end))
        .collect();
    gone.sort_unstable_by_key(|range| range.start);
    let mut kept = text.to_owned();
    for range in gone.into_iter().rev() {
        kept.replace_range(range, "");
    }
    kept
}

fn whole_lines(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    start..end
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            control if control.is_control() => quoted.extend(escaped(control)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// `\UXXXXXXXX`.
fn escaped(control: char) -> impl Iterator<Item = char> {
    let digits = format!("{:08X}", u32::from(control));
    ['\\', 'U'].into_iter().chain(digits.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: Key, number: u8) -> Change {
        (key, Some(Value::Number(number)))
    }

    #[test]
    fn a_change_replaces_the_statement_in_any_letter_case_and_over_several_lines() {
        let text = "# a\nuploadenabled = 1 # b\nSettingsKeys = [\n]\n";
        let edited = edit(text, &[set(Key::UploadEnabled, 0), (Key::SettingsKeys, None)]);
        assert_eq!(edited, "UploadEnabled = 0\n# a\n");
    }

    #[test]
    fn a_text_is_quoted_so_that_it_reads_back() {
        let reason = "a \"b\" \\ \n\u{7}\u{85} ü";
        let edited = edit("", &[(Key::AllowTelemetryReason, Some(Value::Text(reason.into())))]);
        let table = DeTable::parse(&edited).unwrap();
        let entry = entries(table.get_ref()).next().unwrap();
        assert_eq!(entry.value.as_str(), Some(reason));
    }

    #[test]
    fn a_last_line_without_its_end_and_a_text_that_is_no_toml_do_no_harm() {
        assert_eq!(edit("KeepPending = 1", &[(Key::KeepPending, None)]), "");
        assert_eq!(edit("x = ", &[set(Key::KeepPending, 1)]), "KeepPending = 1\n");
    }
}
