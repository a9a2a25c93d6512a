//! The document of remote settings, from its text to a [`Remote`]. Its signature was checked before.
//!
//! ```text
//! {"candor_settings": 1,                     the format, always 1
//!  "version": 7,                             counts up; an older one is refused
//!  "audience": "all" | ["INSTALL-ID", …],
//!  "expires": "2027-01-01T00:00:00Z",        all from here on may be left out
//!  "MaxTelemetryAllowed": 1,
//!  "stop": true,
//!  "min_sample_interval": "1m",
//!  "min_upload_interval": "1h",
//!  "off": ["candor.process.table", "system.cpu.time"],
//!  "next_pins": ["sha256/…", "sha256/…"]}
//! ```
//!
//! # Invariants
//! - A word that is not in this table refuses the whole document; a policy word is named as such.

use std::collections::BTreeSet;
use std::time::SystemTime;

use candor_model::{Level, Pin};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Audience, Refusal, Remote};
use crate::config::parse_duration;
use crate::keys::Key;

/// The format that this version reads.
const FORMAT: u64 = 1;
/// The fewest pins of a next pin set: the server's key and a backup.
const FEWEST_PINS: usize = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    candor_settings: u64,
    version: u64,
    audience: Addressed,
    expires: Option<String>,
    #[serde(rename = "MaxTelemetryAllowed")]
    max_level: Option<i64>,
    #[serde(default)]
    stop: bool,
    min_sample_interval: Option<String>,
    min_upload_interval: Option<String>,
    #[serde(default)]
    off: BTreeSet<String>,
    #[serde(default)]
    next_pins: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Addressed {
    Word(String),
    Ids(BTreeSet<String>),
}

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Remote, Refusal> {
    let table: Map<String, Value> = serde_json::from_str(text).map_err(malformed)?;
    if let Some(word) = table.keys().find(|word| is_the_owners(word)) {
        return Err(Refusal::Raises(word.clone()));
    }
    // From the text, not from the table: only so a word that stands there twice is noticed.
    let document: Document = serde_json::from_str(text).map_err(malformed)?;
    if document.candor_settings != FORMAT {
        let found = document.candor_settings;
        return Err(Refusal::Malformed(format!(
            "candor_settings is {found}: this version reads format {FORMAT}"
        )));
    }
    if document.version == 0 {
        return Err(Refusal::Malformed("version is 0: count from 1".to_owned()));
    }
    checked(document).map_err(Refusal::Malformed)
}

fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Malformed(error.to_string())
}

/// A policy word other than the ceiling, in any letter case.
fn is_the_owners(word: &str) -> bool {
    word != Key::MaxTelemetryAllowed.name() && Key::from_name(word).is_some()
}

fn checked(document: Document) -> Result<Remote, String> {
    let named = |name: &str, why: String| format!("{name}: {why}");
    let interval = |name: &str, text: Option<String>| {
        text.map(|text| parse_duration(&text)).transpose().map_err(|why| named(name, why))
    };
    let level = |number| {
        Level::from_number(number)
            .ok_or_else(|| format!("MaxTelemetryAllowed: {number} is not a number from 0 to 3"))
    };
    Ok(Remote {
        version: document.version,
        expires: document.expires.as_deref().map(time).transpose()?,
        audience: match document.audience {
            Addressed::Word(word) if word == "all" => Audience::All,
            Addressed::Word(word) => {
                return Err(format!(
                    "audience: \"{word}\": write \"all\" or a list of install ids"
                ));
            }
            Addressed::Ids(ids) => Audience::Only(ids),
        },
        max_level: document.max_level.map(level).transpose()?,
        stop: document.stop,
        min_sample_interval: interval("min_sample_interval", document.min_sample_interval)?,
        min_upload_interval: interval("min_upload_interval", document.min_upload_interval)?,
        off: document.off,
        next_pins: pins(&document.next_pins)?,
    })
}

fn time(text: &str) -> Result<SystemTime, String> {
    let stamp: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("expires: \"{text}\": write a time such as 2027-01-01T00:00:00Z"))?;
    Ok(stamp.into())
}

fn pins(texts: &[String]) -> Result<Vec<Pin>, String> {
    let mut pins: Vec<Pin> = Vec::new();
    for text in texts {
        let pin = text.parse().map_err(|error| format!("next_pins: {error}"))?;
        if !pins.contains(&pin) {
            pins.push(pin);
        }
    }
    if pins.is_empty() || pins.len() >= FEWEST_PINS {
        return Ok(pins);
    }
    Err(format!("next_pins: {} pin: name at least {FEWEST_PINS} different ones", pins.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(words: &str) -> Result<Remote, Refusal> {
        let start = r#"{"candor_settings": 1, "version": 1, "audience": "all""#;
        read(&format!("{start}{words}}}"))
    }

    #[test]
    fn what_is_left_out_lowers_nothing() {
        assert_eq!(with("").unwrap().summary(), "version 1: lowers nothing");
    }

    #[test]
    fn every_policy_word_but_the_ceiling_is_refused_by_name() {
        for key in Key::ALL {
            let stated = with(&format!(r#", "{}": 1"#, key.name()));
            let lower = key.name().to_lowercase();
            let in_lower_case = with(&format!(r#", "{lower}": 1"#));
            assert_eq!(in_lower_case, Err(Refusal::Raises(lower)));
            if *key == Key::MaxTelemetryAllowed {
                continue;
            }
            assert_eq!(stated, Err(Refusal::Raises(key.name().to_owned())));
        }
        assert_eq!(with(r#", "MaxTelemetryAllowed": 1"#).unwrap().max_level, Some(Level::Basic));
    }

    #[test]
    fn what_is_not_understood_refuses_the_whole_document() {
        for words in [
            r#", "sample_interval": "1s""#,
            r#", "stop": 1"#,
            r#", "stop": true, "stop": false"#,
            r#", "MaxTelemetryAllowed": 4"#,
            r#", "MaxTelemetryAllowed": -1"#,
            r#", "MaxTelemetryAllowed": "1""#,
            r#", "min_sample_interval": "0s""#,
            r#", "min_upload_interval": 60"#,
            r#", "expires": "tomorrow""#,
            r#", "off": "system.cpu.time""#,
            r#", "next_pins": ["sha256/x", "sha256/y"]"#,
            r#", "next_pins": ["sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="]"#,
            r#", "next_pins": ["sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
                               "sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="]"#,
        ] {
            assert!(matches!(with(words), Err(Refusal::Malformed(_))), "{words}");
        }
        for text in [
            "",
            "[]",
            "{}",
            r#"{"candor_settings": 2, "version": 1, "audience": "all"}"#,
            r#"{"candor_settings": 1, "version": -1, "audience": "all"}"#,
            r#"{"candor_settings": 1, "version": 0, "audience": "all"}"#,
            r#"{"candor_settings": 1, "version": 1}"#,
            r#"{"candor_settings": 1, "audience": "all"}"#,
            r#"{"candor_settings": 1, "version": 1, "audience": "everybody"}"#,
        ] {
            assert!(matches!(read(text), Err(Refusal::Malformed(_))), "{text}");
        }
    }
}
