//! Registry keys as layers: what a value of a type means. The thin reading is in
//! `registry/windows.rs`; everything that can be decided from bytes stands here, on every system.
//!
//! # Invariants
//! - Only a key that does not exist is absent; every other error is a layer that is not
//!   understood.
//! - A `REG_DWORD`, or a `REG_SZ` of exactly one digit from 0 to 3, is a number; any other type is
//!   malformed where a number is meant.

use crate::finding::{Finding, Severity};
use crate::keys::{Key, Raw, Words};
use crate::layer::LayerKind;

#[cfg(windows)]
#[path = "registry/windows.rs"]
mod imp;

#[cfg(windows)]
pub(crate) use imp::{KeyWatch, read_key, remove_value, write_list, write_number, write_text};

use crate::document::{WordsFile, unknown_key};

/// The management policy, under `HKEY_LOCAL_MACHINE`.
pub(crate) const POLICY_KEY: &str = r"SOFTWARE\Policies\Microsoft\Windows\DataCollection";
/// The operator's setting.
pub(crate) const OPERATOR_KEY: &str = r"SOFTWARE\Candor\DataCollection";
/// Windows' own registry setting: read, never written.
#[cfg(windows)]
pub(crate) const WINDOWS_KEY: &str =
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\DataCollection";

/// A registry value by its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegistryValue {
    /// `REG_DWORD`.
    Dword(u32),
    /// `REG_SZ`.
    Text(String),
    /// `REG_MULTI_SZ`.
    List(Vec<String>),
    /// Another type, by its name.
    Other(&'static str),
}

/// The numbers of the registry's types (winnt.h).
const REG_SZ: u32 = 1;
const REG_DWORD: u32 = 4;
const REG_MULTI_SZ: u32 = 7;

/// Decodes a value by the number of its type.
pub(crate) fn decode(kind: u32, bytes: &[u8]) -> RegistryValue {
    let text = || wide(bytes).and_then(|wide| String::from_utf16(&wide).ok());
    match (kind, bytes) {
        (REG_DWORD, [a, b, c, d]) => RegistryValue::Dword(u32::from_le_bytes([*a, *b, *c, *d])),
        (REG_SZ, _) => match text() {
            // A string may be stored with or without its terminator.
            Some(text) => RegistryValue::Text(text.strip_suffix('\0').unwrap_or(&text).to_owned()),
            None => RegistryValue::Other("REG_SZ that is no text"),
        },
        (REG_MULTI_SZ, _) => match text() {
            Some(text) => RegistryValue::List(
                text.split('\0').filter(|item| !item.is_empty()).map(str::to_owned).collect(),
            ),
            None => RegistryValue::Other("REG_MULTI_SZ that is no text"),
        },
        _ => RegistryValue::Other(type_name(kind)),
    }
}

fn wide(bytes: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
}

const fn type_name(kind: u32) -> &'static str {
    match kind {
        0 => "REG_NONE",
        2 => "REG_EXPAND_SZ",
        3 => "REG_BINARY",
        REG_DWORD => "REG_DWORD of a wrong length",
        5 => "REG_DWORD_BIG_ENDIAN",
        6 => "REG_LINK",
        11 => "REG_QWORD",
        _ => "value of another type",
    }
}

/// The full name of a key, as a person writes it.
pub(crate) fn place(key: &str) -> String {
    format!(r"HKLM\{key}")
}

/// Reads the values of a key. Findings are about whole values: a registry has no lines.
pub(crate) fn read_values(
    values: impl IntoIterator<Item = (String, RegistryValue)>,
    place: &str,
    layer: LayerKind,
) -> WordsFile {
    let mut file = WordsFile { words: Words::default(), findings: Vec::new() };
    for (name, value) in values {
        if let Some((problem, severity)) = take(&mut file.words, &name, value, layer) {
            let whole = Finding::of_file(place, problem);
            file.findings.push(Finding { key: name, severity, ..whole });
        }
    }
    file
}

fn take(
    words: &mut Words,
    name: &str,
    value: RegistryValue,
    layer: LayerKind,
) -> Option<(String, Severity)> {
    // The unnamed default value of a key says nothing.
    if name.is_empty() {
        return None;
    }
    let Some(key) = Key::from_name(name) else {
        return Some((unknown_key(name), Severity::Remark));
    };
    if !key.scope().admits(layer) {
        let problem = format!("has no effect here: it counts only in {}", key.scope().place());
        return Some((problem, Severity::Remark));
    }
    let stated = words.state(key, &raw(key, value));
    stated.err().map(|problem| (format!("{problem}: write {}", key.type_name()), Severity::Error))
}

fn raw(key: Key, value: RegistryValue) -> Raw {
    match value {
        RegistryValue::Dword(number) => Raw::Integer(i64::from(number)),
        RegistryValue::Text(text) => match text.as_bytes() {
            [digit @ b'0'..=b'3'] if key.is_number() => Raw::Integer(i64::from(digit - b'0')),
            _ => Raw::Text(text),
        },
        RegistryValue::List(items) => Raw::List(items),
        RegistryValue::Other(kind) => Raw::Other(format!("a {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Level;

    use super::*;

    fn read(values: &[(&str, RegistryValue)]) -> WordsFile {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        read_values(values, &place(POLICY_KEY), LayerKind::Policy)
    }

    fn text(value: &str) -> RegistryValue {
        RegistryValue::Text(value.to_owned())
    }

    #[test]
    fn a_dword_or_one_digit_is_a_level_and_any_other_type_is_malformed() {
        for (value, level) in [
            (RegistryValue::Dword(0), Some(Level::Security)),
            (RegistryValue::Dword(3), Some(Level::Full)),
            (RegistryValue::Dword(4), None),
            (RegistryValue::Dword(u32::MAX), None),
            (text("2"), Some(Level::Enhanced)),
            (text("4"), None),
            (text("02"), None),
            (text(" 2"), None),
            (text(""), None),
            (RegistryValue::List(vec!["2".into()]), None),
            (RegistryValue::Other("REG_QWORD"), None),
            (RegistryValue::Other("REG_EXPAND_SZ"), None),
        ] {
            let file = read(&[("AllowTelemetry", value.clone())]);
            assert_eq!(file.words.allow_telemetry, level, "{value:?}");
            assert_eq!(file.error().is_some(), level.is_none(), "{value:?}");
        }
    }

    #[test]
    fn one_digit_is_a_switch_too_and_stays_a_text_where_a_text_is_meant() {
        let file = read(&[("LockUpload", text("1")), ("TelemetryProxy", text("proxy:3128"))]);
        assert_eq!(file.words.lock_upload, Some(true));
        assert_eq!(file.words.telemetry_proxy.unwrap().port(), 3128);
        assert!(read(&[("LockUpload", text("2"))]).error().is_some());
        let operator = read_values(
            [("AllowTelemetryReason".to_owned(), text("2"))],
            &place(OPERATOR_KEY),
            LayerKind::Operator,
        );
        assert_eq!(operator.words.allow_telemetry_reason.as_deref(), Some("2"));
    }

    #[test]
    fn bytes_decode_by_their_type_and_what_does_not_fit_is_of_another() {
        let utf16 =
            |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        assert_eq!(decode(REG_DWORD, &[2, 0, 0, 0]), RegistryValue::Dword(2));
        assert_eq!(decode(REG_SZ, &utf16("2\0")), text("2"));
        assert_eq!(decode(REG_SZ, &utf16("2")), text("2"));
        assert_eq!(decode(REG_SZ, &utf16("2\0\0")), text("2\0"));
        assert_eq!(
            decode(REG_MULTI_SZ, &utf16("a\0b\0\0")),
            RegistryValue::List(vec!["a".into(), "b".into()])
        );
        assert_eq!(decode(REG_MULTI_SZ, &utf16("\0")), RegistryValue::List(vec![]));
        for (kind, bytes) in [
            (REG_DWORD, vec![2, 0, 0]),
            (REG_SZ, vec![b'2']),
            (REG_SZ, vec![0, 0xd8]),
            (2, utf16("2\0")),
            (11, vec![2, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert!(matches!(decode(kind, &bytes), RegistryValue::Other(_)), "{kind} {bytes:?}");
        }
    }

    #[test]
    fn names_are_found_in_any_letter_case_and_unknown_ones_are_remarked() {
        let file = read(&[
            ("ALLOWTELEMETRY", RegistryValue::Dword(1)),
            ("DoNotShowFeedbackNotifications", RegistryValue::Dword(1)),
            ("", text("the default value")),
        ]);
        assert_eq!(file.words.allow_telemetry, Some(Level::Basic));
        assert!(file.error().is_none());
        let said: Vec<String> = file.findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                r"HKLM\SOFTWARE\Policies\Microsoft\Windows\DataCollection: DoNotShowFeedbackNotifications: is an unknown key and has no effect: remove it"
            ]
        );
    }

    #[test]
    fn a_list_is_a_multi_string() {
        let pin = "sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let file = read(&[("CertificatePins", RegistryValue::List(vec![pin.into()]))]);
        assert_eq!(file.words.certificate_pins.unwrap()[0].to_string(), pin);
        assert!(read(&[("CertificatePins", text(pin))]).error().is_some());
    }
}
