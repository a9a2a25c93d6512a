//! The control API's questions about the store: audit, dead letters, replay.
//!
//! # Invariants
//! - The open store is asked; nothing is read beside it, so there is one truth.
//!
//! On failure the store's words are the refusal's.

use candor_chronicle::Found;
use candor_control::protocol::{AuditReport, Code, DeadRecords, Refusal, Replayed};
use candor_journal::Journal;
use candor_spool::{Spool, SpoolError};

/// Reads every row and the whole journal, and compares.
pub(crate) async fn audit(spool: &Spool, journal: &Journal) -> Result<AuditReport, Refusal> {
    let verdict = spool.verify().await.map_err(|error| refused(&error))?;
    let gaps = spool.gaps().await.map_err(|error| refused(&error))?;
    let (ledger, journal) = (spool.ledger(), journal.clone());
    let audit = move || {
        let (findings, max_bytes) = (verdict.findings(), journal.state().max_bytes);
        let found = Found { verdict: &verdict, findings, ledger: &ledger, gaps: &gaps };
        candor_chronicle::audit(found, &journal.reader()?, max_bytes)
    };
    // Beside the runtime's thread.
    let done = tokio::task::spawn_blocking(audit).await;
    let done = done.map_err(|_| Refusal::failed("the agent is stopping"))?;
    done.map_err(|error| Refusal::failed(crate::failure::chain(&error)))
}

/// What endpoints refused for good.
pub(crate) async fn dead_letters(spool: &Spool) -> Result<DeadRecords, Refusal> {
    let letters = spool.dead_letters().await.map_err(|error| refused(&error))?;
    Ok(DeadRecords { dead: letters.into_iter().map(candor_chronicle::dead).collect() })
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
