//! The control API's questions about the store: audit, dead letters, replay.
//!
//! # Invariants
//! - The open store is asked; nothing is read beside it, so there is one truth.
//!
//! On failure the store's words are the refusal's.

use candor_control::protocol::{
    AuditReport, Code, DeadRecord, DeadRecords, GapRange, JournalAudit, Refusal, Replayed,
};
use candor_journal::Journal;
use candor_pipeline::rfc3339;
use candor_spool::{DeadLetter, Gap, Spool, SpoolError};
use serde_json::Value;

/// Reads every row and compares.
pub(crate) async fn audit(spool: &Spool, journal: &Journal) -> Result<AuditReport, Refusal> {
    let left = verify_journal(journal.clone()).await?;
    let verdict = spool.verify().await.map_err(|error| refused(&error))?;
    let gaps = spool.gaps().await.map_err(|error| refused(&error))?;
    let ledger = spool.ledger();
    Ok(AuditReport {
        sound: verdict.is_sound() && left.is_sound(),
        findings: [verdict.findings(), left.findings()].concat(),
        generated: ledger.generated,
        uploaded: ledger.uploaded,
        dropped: ledger.dropped.total(),
        pending: verdict.pending_by_ledger,
        pending_by_rows: verdict.pending_by_rows,
        gaps: gaps.iter().map(range).collect(),
        journal: JournalAudit {
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

/// Reads all that is kept of what left, beside the runtime's thread.
async fn verify_journal(journal: Journal) -> Result<candor_journal::Verdict, Refusal> {
    let verify = move || journal.reader().and_then(|reader| reader.verify());
    let done = tokio::task::spawn_blocking(verify).await;
    let done = done.map_err(|_| Refusal::failed("the agent is stopping"))?;
    done.map_err(|error| Refusal::failed(crate::failure::chain(&error)))
}

fn range(gap: &Gap) -> GapRange {
    let reason = gap.reason.word().to_owned();
    GapRange { first: gap.first, last: gap.last, count: gap.count, reason }
}

/// What endpoints refused for good.
pub(crate) async fn dead_letters(spool: &Spool) -> Result<DeadRecords, Refusal> {
    let letters = spool.dead_letters().await.map_err(|error| refused(&error))?;
    Ok(DeadRecords { dead: letters.into_iter().map(dead).collect() })
}

fn dead(letter: DeadLetter) -> DeadRecord {
    let decoded = candor_otlp::decode_frame(letter.kind, &letter.bytes);
    let content = |record| Value::Object(candor_otlp::json::to_json_with_ids(&record));
    DeadRecord {
        seq: letter.seq,
        level: letter.level.number(),
        kind: letter.kind.name().to_owned(),
        boot_id: letter.boot.to_string(),
        time: rfc3339(letter.time),
        answer: letter.answer,
        bytes: letter.bytes.len(),
        record: decoded.map_or(Value::Null, content),
    }
}

/// Makes a new record of a dead letter.
pub(crate) async fn replay(spool: &Spool, seq: u64) -> Result<Replayed, Refusal> {
    match spool.replay(seq).await.map_err(|error| refused(&error))? {
        Some(new_seq) => Ok(Replayed { seq, new_seq }),
        None => Err(Refusal::new(Code::NotFound, format!("there is no dead letter {seq}"))
            .remedy("`agentctl spool dead list` shows them")),
    }
}

fn refused(error: &SpoolError) -> Refusal {
    Refusal::failed(error.to_string()).remedy("look at the disk under the state directory")
}
