//! What became of each record: what waits in the spool, what left by the journal, what was refused, dropped or
//! withdrawn, put together as one timeline by sequence number. Reads only; for the daemon's API and for
//! `agentctl` on a stopped agent.
//!
//! ```text
//! spool rows ---(in small pieces)---\
//! journal entries and their bodies --+--> by number, newest first -> filter -> a page
//! dead letters, ranges of drops ----/
//! one record in full <- the catalog, or the manifest of the program that told it
//! ```
//!
//! # Invariants
//! - What the spool still has waits, whatever the journal says: the ledger is the truth.
//! - A page costs bounded time and memory: it ends early and says from where to go on.
//! - What is shown of a request that left is read from the bytes that left.
//!
//! On failure: a [`ChronicleError`]; a body that cannot be read makes records without content, never none.

mod audit;
mod body;
mod entries;
mod event;
mod fields;
mod page;
mod pieces;
mod query;
mod single;
mod sources;
mod volume;

pub use audit::{Found, audit, audit_closed, dead};
pub use entries::{journal, journal_body};
pub use page::events;
pub use single::event;
pub use sources::{Sources, Waiting};
pub use volume::Volumes;

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum ChronicleError {
    /// The question is none.
    #[error("`{key}` is no RFC 3339 time such as 2026-11-20T08:00:00Z: {text}")]
    Time {
        /// Which part of it.
        key: &'static str,
        /// What stands there.
        text: String,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] candor_journal::JournalError),
    /// The spool cannot be asked.
    #[error("what waits cannot be read")]
    Waiting(#[source] Box<dyn std::error::Error + Send + Sync>),
}
