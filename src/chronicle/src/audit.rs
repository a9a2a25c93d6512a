//! What an audit found, and what endpoints refused, in the words of the API: the same from the open store of a
//! running agent and from a closed one.
//!
//! # Invariants
//! - Everything that disagrees is a finding; a report without findings is sound.

use candor_control::protocol::{AuditReport, DeadRecord, GapRange, JournalAudit};
use candor_journal::Reader;
use candor_otlp::{Origin, decode_frame, json};
use candor_spool::{DeadLetter, Gap, Ledger, Offline, Verdict};
use serde_json::Value;

use crate::ChronicleError;
use crate::event::rfc3339;

/// What reading a store found.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The rows against the counters.
    pub verdict: &'a Verdict,
    /// What disagrees, each in a sentence.
    pub findings: Vec<String>,
    /// The counters.
    pub ledger: &'a Ledger,
    /// Ranges of dropped numbers of which the receiver was not told.
    pub gaps: &'a [Gap],
}

/// The report of an audit. `max_bytes` is what the journal may take.
///
/// # Errors
/// [`ChronicleError::Journal`].
pub fn audit(
    found: Found<'_>,
    journal: &Reader,
    max_bytes: u64,
) -> Result<AuditReport, ChronicleError> {
    let left = journal.verify()?;
    let Found { verdict, findings, ledger, gaps } = found;
    Ok(AuditReport {
        sound: findings.is_empty() && left.is_sound(),
        findings: [findings, left.findings()].concat(),
        generated: ledger.generated,
        uploaded: ledger.uploaded,
        dropped: ledger.dropped.total(),
        pending: verdict.pending_by_ledger,
        pending_by_rows: verdict.pending_by_rows,
        gaps: gaps.iter().map(range).collect(),
        journal: JournalAudit {
            max_bytes,
            entries: left.entries,
            first: left.first,
            last: left.last,
            bytes: left.bytes,
            holes: left.holes,
            torn_bytes: left.torn,
            changed: left.changed,
        },
    })
}

/// The same of a store that no agent has open, its mirror with it.
///
/// # Errors
/// [`ChronicleError`].
pub fn audit_closed(
    store: &Offline,
    journal: &Reader,
    max_bytes: u64,
) -> Result<AuditReport, ChronicleError> {
    let audit = store.verify().map_err(|error| ChronicleError::Waiting(Box::new(error)))?;
    let found = Found {
        verdict: &audit.verdict,
        findings: audit.findings(),
        ledger: &audit.ledger,
        gaps: store.gaps(),
    };
    self::audit(found, journal, max_bytes)
}

fn range(gap: &Gap) -> GapRange {
    let reason = gap.reason.word().to_owned();
    GapRange { first: gap.first, last: gap.last, count: gap.count, reason }
}

/// A record that an endpoint refused for good.
#[must_use]
pub fn dead(letter: DeadLetter) -> DeadRecord {
    let decoded = decode_frame(letter.kind, &letter.bytes);
    let content = |record| Value::Object(json::to_json_with_ids(&record));
    DeadRecord {
        seq: letter.seq,
        level: letter.level.number(),
        kind: letter.kind.name().to_owned(),
        boot_id: Origin::read(&letter.boot).boot.to_owned(),
        time: rfc3339(letter.time),
        bytes: letter.bytes.len(),
        record: decoded.map_or(Value::Null, content),
        answer: letter.answer,
    }
}
