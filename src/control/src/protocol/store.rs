//! The answers about the store: what an audit found, and the dead letters.
//!
//! # Invariants
//! - An audit that is not sound names every disagreement as a finding.
//! - A dead letter's content is what was to be sent, decoded; null where it cannot be.
//!
//! On failure: plain data, nothing fails.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The ledger derived again from the rows, and what disagrees: `GET /v1/audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Whether nothing disagrees.
    pub sound: bool,
    /// What disagrees, each in a sentence.
    pub findings: Vec<String>,
    /// Records that ever got a number.
    pub generated: u64,
    /// Acknowledged by an endpoint.
    pub uploaded: u64,
    /// Dropped, for any reason.
    pub dropped: u64,
    /// Waiting, by the counters.
    pub pending: u64,
    /// Waiting, by the rows.
    pub pending_by_rows: u64,
    /// Dropped numbers of which the receiver was not yet told.
    pub gaps: Vec<GapRange>,
    /// The journal of what left, each hash derived again.
    pub journal: JournalAudit,
}

/// What reading the whole journal found; what disagrees stands among the findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalAudit {
    /// Most bytes that it may take; 0 where none is kept.
    #[serde(default)]
    pub max_bytes: u64,
    /// Requests that stand there.
    pub entries: u64,
    /// The number of the oldest; null where there is none.
    pub first: Option<u64>,
    /// The number of the newest.
    pub last: Option<u64>,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Requests that left and could not be written down.
    pub holes: u64,
    /// Bytes of an unfinished end, as a power cut leaves it; the next start cuts it off.
    pub torn_bytes: u64,
    /// The numbers of entries that were changed after they were written.
    pub changed: Vec<u64>,
}

/// A range of dropped numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRange {
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
    /// How many of the numbers are gone.
    pub count: u64,
    /// The reason's word.
    pub reason: String,
}

/// A record that an endpoint refused for good: one of `GET /v1/dead`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeadRecord {
    /// Its sequence number.
    pub seq: u64,
    /// Its level, 0 to 3.
    pub level: u8,
    /// `log`, `metric` or `span`.
    pub kind: String,
    /// The boot in which it was observed.
    pub boot_id: String,
    /// When it was committed, RFC 3339.
    pub time: String,
    /// What the endpoint answered.
    pub answer: String,
    /// Its length on the wire, before compression.
    pub bytes: usize,
    /// Its content.
    pub record: Value,
}

/// All dead letters: `GET /v1/dead`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeadRecords {
    /// Oldest first; at most 64.
    pub dead: Vec<DeadRecord>,
}

/// What `POST /v1/replay` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// The dead letter's number.
    pub seq: u64,
    /// The number of the new record.
    pub new_seq: u64,
}
