//! The receiving end of Candor: an OTLP/HTTP server over TLS with an embedded store.
//!
//! ```text
//! init:   certificates -> files under --dir, pins and an agent.toml for the agents
//! serve:  tls (accept, handshake) -> export (intake -> codec -> rows) -> store (one writer) -> 200
//! query:  store (read only) -> table or NDJSON
//! deletion: a host's own request -> store (erase) -> signed receipt; import: a file by hand -> store -> receipt
//! settings: a signed document for the agents, GET /v1/settings
//! ```
//!
//! # Invariants
//! - A request is answered with 2xx only after its records are safe on disk, and a record that
//!   comes again is stored once.
//! - Memory is bounded by [`serve::Limits`], whatever is sent and by however many.
//! - The address of a sender is neither stored nor logged.
//!
//! On failure a request gets an answer that says whether to try again (503, 408) or what to change
//! (400, 413, 415).

pub mod certificates;
pub mod cli;
mod deletion;
mod export;
mod import;
pub mod init;
mod intake;
mod query;
pub mod receipts;
mod refusal;
mod row;
pub mod serve;
pub mod settings;
mod stop;
mod store;
mod tls;

pub use query::QueryError;
pub use store::StoreError;
