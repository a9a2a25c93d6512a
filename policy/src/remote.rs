//! Remote settings: a signed document that may lower what this host tells, and nothing else.
//!
//! ```text
//! fetched bytes ─> accept (signature, words, audience, version, expiry) ─> Held, a copy in the state directory
//!                     └─> Refusal, audited                                  └─> Layer `remote` ─> resolve
//! ```
//! On the wire and in the copy a document travels with its signature:
//! ```text
//! {"document": "<the document's exact text>", "signature": "<the four lines that minisign writes>"}
//! ```
//!
//! # Invariants
//! - What a document can say only lowers: there is no word for a level, an endpoint or an interval
//!   that is shorter than the host's own. A policy word in it is refused by name.
//! - A document is taken whole or refused whole; what held before stays in force.
//! - A version below one that was taken under a key that still counts is never taken.
//!
//! On failure: a copy that cannot be read counts as a stop until a document is fetched again, since
//! what it had lowered is unknown.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use candor_model::{Level, Pin};

mod document;
mod held;

pub use held::{Held, TakeError, Taken};

use crate::address::Url;
use crate::keys::Words;
use crate::minisign::MinisignKey;
use crate::signed::Signed;

/// Largest signed document, with its signature.
pub const MAX_BYTES: usize = 64 * 1024;

/// Below [`Words::settings_endpoint`].
pub const PATH: &str = "/v1/settings";

/// What a document says. Every part of it lowers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Counts up from document to document.
    pub version: u64,
    /// From when on it no longer counts.
    pub expires: Option<SystemTime>,
    /// For which installations it is.
    pub audience: Audience,
    /// A ceiling for the level.
    pub max_level: Option<Level>,
    /// Collect nothing and send nothing.
    pub stop: bool,
    /// Sample no more often.
    pub min_sample_interval: Option<Duration>,
    /// Upload ordinary records no more often.
    pub min_upload_interval: Option<Duration>,
    /// Events and metrics that are off, by their names in the catalog.
    pub off: BTreeSet<String>,
    /// Pins that count beside the host's own: the next pin set, two pins at least, or none.
    pub next_pins: Vec<Pin>,
}

/// For whom a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every host.
    All,
    /// These installations.
    Only(BTreeSet<String>),
}

impl Remote {
    /// Whether it has ceased to count.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// What it lowers, in a line for the audit trail and for `explain`.
    #[must_use]
    pub fn summary(&self) -> String {
        let seconds = |what: &str, time: Option<Duration>| {
            time.map(|time| format!("{what} = {} s", time.as_secs_f64()))
        };
        let off: Vec<&str> = self.off.iter().map(String::as_str).collect();
        let parts = [
            self.stop.then(|| "stop".to_owned()),
            self.max_level.map(|level| format!("MaxTelemetryAllowed = {}", level.number())),
            seconds("min_sample_interval", self.min_sample_interval),
            seconds("min_upload_interval", self.min_upload_interval),
            (!off.is_empty()).then(|| format!("off: {}", off.join(", "))),
            (!self.next_pins.is_empty()).then(|| format!("next pins: {}", self.next_pins.len())),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let said = if parts.is_empty() { "lowers nothing".to_owned() } else { parts.join("; ") };
        format!("version {}: {said}", self.version)
    }
}

/// Where remote settings come from, and who may sign them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The base address; [`PATH`] is added.
    pub endpoint: Url,
    /// Who may sign; never empty.
    pub keys: Vec<MinisignKey>,
}

impl Origin {
    /// What the words of the host's own layers allow; `None` where they want no remote settings.
    #[must_use]
    pub fn of(words: &Words) -> Option<Self> {
        if words.disable_one_settings_downloads == Some(true) {
            return None;
        }
        Self::stated(words)
    }

    /// The same, whether or not it is switched off.
    pub(crate) fn stated(words: &Words) -> Option<Self> {
        let endpoint = words.settings_endpoint.clone()?;
        let keys = words.settings_keys.clone().filter(|keys| !keys.is_empty())?;
        Some(Self { endpoint, keys })
    }
}

/// What a document is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Who may sign.
    pub keys: &'a [MinisignKey],
    /// This installation.
    pub install_id: &'a str,
    /// The highest version that was taken; 0 = none.
    pub taken: u64,
    /// The wall clock.
    pub now: SystemTime,
}

/// Why a document is refused, as a whole.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Larger than [`MAX_BYTES`].
    #[error("is larger than {MAX_BYTES} bytes: sign a smaller document")]
    Oversized,
    /// Not the two texts in JSON.
    #[error("carries no signature: publish what `candor-collector settings sign` writes ({0})")]
    Unsigned(String),
    /// A signature that no key in `SettingsKeys` made.
    #[error("is not signed by a key in SettingsKeys: {0}")]
    Signature(String),
    /// Signed, and not understood.
    #[error("is not understood: {0}")]
    Malformed(String),
    /// It states what remote settings must not decide.
    #[error(
        "states {0}, which only this host's owner decides: remote settings can only lower (MaxTelemetryAllowed, stop, intervals, off)"
    )]
    Raises(String),
    /// For other installations.
    #[error("is for other hosts")]
    Foreign,
    /// Below, or not newer than, what was taken.
    #[error("has version {version} where version {taken} was taken: count the version up")]
    Older {
        /// Its version.
        version: u64,
        /// The highest version taken.
        taken: u64,
    },
    /// Past its end.
    #[error("has expired: sign one with a later end")]
    Expired,
}

/// A document whose signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub remote: Remote,
    /// Its exact text.
    pub text: String,
    /// Who signed it.
    pub key: MinisignKey,
}

/// Checks the signature and reads the document; nothing of it is looked at before.
///
/// # Errors
/// See [`Refusal`]; audience, version and end are not judged here.
pub fn open(signed: &[u8], keys: &[MinisignKey]) -> Result<Opened, Refusal> {
    if signed.len() > MAX_BYTES {
        return Err(Refusal::Oversized);
    }
    let signed: Signed =
        serde_json::from_slice(signed).map_err(|error| Refusal::Unsigned(error.to_string()))?;
    let found = signed.signer(keys).cloned();
    let key = found.map_err(|why| Refusal::Signature(why.to_string()))?;
    let remote = document::read(&signed.document)?;
    Ok(Opened { remote, text: signed.document, key })
}

/// Judges a fetched document.
///
/// # Errors
/// See [`Refusal`].
pub fn accept(signed: &[u8], terms: &Terms<'_>) -> Result<Opened, Refusal> {
    let opened = open(signed, terms.keys)?;
    let Remote { version, audience, .. } = &opened.remote;
    if let Audience::Only(ids) = audience
        && !ids.contains(terms.install_id)
    {
        return Err(Refusal::Foreign);
    }
    if *version < terms.taken {
        return Err(Refusal::Older { version: *version, taken: terms.taken });
    }
    if opened.remote.is_expired(terms.now) {
        return Err(Refusal::Expired);
    }
    Ok(opened)
}

#[cfg(test)]
pub(crate) mod tests {
    use minisign::KeyPair;

    use super::*;

    /// Signs as `candor-collector settings sign` does.
    pub(crate) fn sign(pair: &KeyPair, document: &str) -> Vec<u8> {
        let signature = minisign::sign(None, &pair.sk, document.as_bytes(), None, None).unwrap();
        let signature = signature.into_string();
        serde_json::json!({ "document": document, "signature": signature }).to_string().into()
    }

    pub(crate) fn pair() -> KeyPair {
        KeyPair::generate_unencrypted_keypair().unwrap()
    }

    pub(crate) fn public(pair: &KeyPair) -> MinisignKey {
        pair.pk.to_base64().parse().unwrap()
    }

    pub(crate) fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    #[test]
    fn there_are_no_remote_settings_without_endpoint_and_keys_or_where_they_are_switched_off() {
        let wanted = Words {
            settings_endpoint: "https://s.example".parse().ok(),
            settings_keys: Some(vec![public(&pair())]),
            ..Words::default()
        };
        assert!(Origin::of(&wanted).is_some());
        let switched = |off| Words { disable_one_settings_downloads: Some(off), ..wanted.clone() };
        assert!(Origin::of(&switched(false)).is_some());
        assert_eq!(Origin::of(&switched(true)), None);
        let nowhere = Words { settings_endpoint: None, ..wanted.clone() };
        let nobody = Words { settings_keys: Some(vec![]), ..wanted.clone() };
        let unsaid = Words { settings_keys: None, ..wanted };
        assert_eq!([nowhere, nobody, unsaid].map(|words| Origin::of(&words)), [None, None, None]);
    }

    fn judge(document: &str, taken: u64) -> Result<Remote, Refusal> {
        let pair = pair();
        let keys = [public(&pair)];
        let terms = Terms { keys: &keys, install_id: "me", taken, now: now() };
        accept(&sign(&pair, document), &terms).map(|opened| opened.remote)
    }

    #[test]
    fn a_document_that_lowers_is_taken_with_all_that_it_says() {
        let remote = judge(
            r#"{"candor_settings": 1, "version": 7, "audience": ["me", "you"], "expires": "2099-01-01T00:00:00Z",
                "MaxTelemetryAllowed": 1, "stop": true, "min_sample_interval": "1m",
                "min_upload_interval": "1h", "off": ["system.cpu.time", "candor.process.table"],
                "next_pins": ["sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
                              "sha256/CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg="]}"#,
            6,
        )
        .unwrap();
        assert_eq!(
            remote.summary(),
            "version 7: stop; MaxTelemetryAllowed = 1; min_sample_interval = 60 s; \
             min_upload_interval = 3600 s; off: candor.process.table, system.cpu.time; next pins: 2"
        );
        assert_eq!(remote.next_pins, [Pin::from_bytes([7; 32]), Pin::from_bytes([8; 32])]);
    }

    #[test]
    fn a_document_without_a_signature_is_refused() {
        let keys = [public(&pair())];
        let bare = br#"{"candor_settings": 1, "version": 1, "audience": "all", "stop": true}"#;
        assert!(matches!(open(bare, &keys), Err(Refusal::Unsigned(_))));
        let empty = serde_json::json!({ "document": "{}", "signature": "" }).to_string();
        assert!(matches!(open(empty.as_bytes(), &keys), Err(Refusal::Signature(_))));
    }

    #[test]
    fn a_changed_byte_a_foreign_key_and_no_key_at_all_are_refused() {
        let document = r#"{"candor_settings": 1, "version": 1, "audience": "all", "stop": true}"#;
        let (pair, other) = (pair(), pair());
        let signed = sign(&pair, document);
        assert!(open(&signed, &[public(&other), public(&pair)]).is_ok());
        assert!(matches!(open(&signed, &[public(&other)]), Err(Refusal::Signature(_))));
        assert!(matches!(open(&signed, &[]), Err(Refusal::Signature(_))));
        let changed = String::from_utf8(signed).unwrap().replace("true", "flse");
        let refused = open(changed.as_bytes(), &[public(&pair)]);
        assert!(matches!(refused, Err(Refusal::Signature(_))), "{refused:?}");
    }

    #[test]
    fn what_was_signed_by_the_same_key_for_another_purpose_is_no_document() {
        let receipt = r#"{"deleted": 12, "version": 9, "audience": "all"}"#;
        assert!(matches!(judge(receipt, 0), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn an_oversized_document_is_refused_before_it_is_read() {
        let document = format!(
            r#"{{"candor_settings": 1, "version": 1, "audience": "all", "off": ["{}"]}}"#,
            "x".repeat(MAX_BYTES)
        );
        assert_eq!(judge(&document, 0), Err(Refusal::Oversized));
    }

    #[test]
    fn a_document_for_another_host_is_refused() {
        let document = r#"{"candor_settings": 1, "version": 1, "audience": ["you"], "stop": true}"#;
        assert_eq!(judge(document, 0), Err(Refusal::Foreign));
        let nobody = r#"{"candor_settings": 1, "version": 1, "audience": [], "stop": true}"#;
        assert_eq!(judge(nobody, 0), Err(Refusal::Foreign));
    }

    #[test]
    fn an_older_document_is_refused() {
        let document = r#"{"candor_settings": 1, "version": 6, "audience": "all"}"#;
        assert_eq!(judge(document, 7), Err(Refusal::Older { version: 6, taken: 7 }));
        assert!(judge(document, 6).is_ok());
    }

    #[test]
    fn an_expired_document_is_refused_to_the_second() {
        let ends = |at: &str| {
            format!(
                r#"{{"candor_settings": 1, "version": 1, "audience": "all", "expires": "{at}"}}"#
            )
        };
        assert_eq!(judge(&ends("2027-01-15T08:00:00Z"), 0), Err(Refusal::Expired));
        assert!(judge(&ends("2027-01-15T08:00:01Z"), 0).is_ok());
    }
}
