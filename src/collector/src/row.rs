//! A decoded record in the shape in which it is stored. Made by [`crate::export`] from what
//! candor-otlp read, written by [`crate::store`].
//!
//! # Invariants
//! - Every row has an id. A record that brings `log.record.uid` keeps it. A foreign record gets
//!   `sha256:` and 32 hexadecimal digits: the first half of the SHA-256 over its kind, its resource,
//!   its boot id and its whole content, and how often the same content stood before it in the same
//!   request. A request that is sent again therefore adds nothing, equal records within one request
//!   are all kept, and two requests that hold one and the same record (same time to the nanosecond,
//!   same content, same sender) count as one being sent twice.
//! - `json` is the object that `query records` prints, but for what the store adds to it.

use std::collections::HashMap;
use std::fmt::Write as _;

use candor_model::{Kind, Value};
use candor_otlp::{DecodedRecord, json};
use sha2::{Digest as _, Sha256};

/// One record, ready to be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Install id; `None` of a sender that does not say `service.instance.id`.
    pub(crate) install_id: Option<String>,
    /// Boot id, if said.
    pub(crate) boot_id: Option<String>,
    /// Sequence number, if said.
    pub(crate) seq: Option<i64>,
    /// The id by which it is stored once.
    pub(crate) uid: String,
    /// Level, if said.
    pub(crate) level: Option<u8>,
    /// Signal.
    pub(crate) kind: Kind,
    /// Event, metric or span name.
    pub(crate) name: String,
    /// Nanoseconds since 1970; 0 when not said.
    pub(crate) time: i64,
    /// Trace that it belongs to.
    pub(crate) trace_id: Option<String>,
    /// The codec's JSON object of the record.
    pub(crate) json: String,
    /// What the record tells about its host.
    pub(crate) host: HostFacts,
}

/// What is known of a host beside its records; the latest that was said counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// `service.version`.
    pub(crate) version: Option<String>,
    /// `os.name` and `os.version`, else `os.type`.
    pub(crate) os: Option<String>,
}

/// Makes the rows of one request; knows which contents it has seen.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
    seen: HashMap<[u8; 32], u64>,
    bytes: usize,
}

impl Rows {
    /// Adds the row of one record.
    pub(crate) fn push(&mut self, mut record: DecodedRecord) {
        let json = serde_json::Value::Object(json::to_json(&record)).to_string();
        let uid = record.uid.take().filter(|uid| !uid.is_empty());
        let uid = uid.unwrap_or_else(|| self.derived_uid(&record, &json));
        self.bytes += json.len() + size_of::<Row>();
        self.rows.push(Row {
            seq: record.seq.and_then(|seq| i64::try_from(seq).ok()),
            uid,
            level: record.level.map(candor_model::Level::number),
            kind: record.kind,
            time: i64::try_from(record.time.0).unwrap_or(0),
            json,
            host: HostFacts::of(&record),
            install_id: record.install_id,
            boot_id: record.boot_id,
            name: record.name,
            trace_id: record.trace_id,
        });
    }

    /// Bytes that the rows take up, about.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows in the order of the request.
    pub(crate) fn into_vec(self) -> Vec<Row> {
        self.rows
    }

    fn derived_uid(&mut self, record: &DecodedRecord, json: &str) -> String {
        let resource = json::attributes(&record.resource).to_string();
        let boot = record.boot_id.as_deref().unwrap_or_default();
        let mut digest = Sha256::new();
        for part in [record.kind.name(), resource.as_str(), boot, json] {
            // With its length, so that no two lists of parts have the same bytes.
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        let before = self.seen.entry(digest.clone().finalize().into()).or_default();
        digest.update(before.to_be_bytes());
        *before += 1;
        let mut uid = String::from("sha256:");
        for byte in &digest.finalize()[..16] {
            let _ = write!(uid, "{byte:02x}"); // writing to a String cannot fail
        }
        uid
    }
}

impl HostFacts {
    fn of(record: &DecodedRecord) -> Self {
        let text = |key: &str| {
            record.resource.iter().rev().find_map(|(name, value)| match value {
                Value::Text(text) if name == key => Some(text.as_ref()),
                _ => None,
            })
        };
        let os = match (text("os.name"), text("os.version")) {
            (Some(name), Some(version)) => Some(format!("{name} {version}")),
            (Some(name), None) => Some(name.to_owned()),
            (None, _) => text("os.type").map(str::to_owned),
        };
        Self { version: text("service.version").map(str::to_owned), os }
    }
}
