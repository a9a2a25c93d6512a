//! `agentd`, the daemon: the one place that builds things and holds their handles.
//!
//! ```text
//! host -> agent: policy watch, control server, governor
//!                                                 |  telemetry on
//!                                                 v
//!                   engine: collect -> spool -> upload
//!                                        ^
//!                local programs: ingest -+
//! ```
//!
//! # Invariants
//! - While telemetry is off there is no engine: no probe, no open store, no timer; but for the control
//!   endpoint, only the places that `[ingest]` names are listened on, to say that nothing is kept.
//! - Whatever changes level, upload, endpoint or pins passes the governor, is written to the audit
//!   trail first, and takes effect in one place.
//!
//! A failure to start is a [`Failure`] with an exit code; later trouble is shown by `status`.

mod agent;
mod api;
mod board;
mod chronicle;
mod collect;
mod emit;
mod engine;
mod erase;
mod failure;
mod flush;
mod governor;
mod history;
pub mod host;
mod identity;
mod ingest;
mod logging;
mod notice;
pub mod options;
mod own;
mod plan;
mod providers;
mod remote;
mod rights;
mod scrape;
mod status;
mod stop;
mod store;
mod supervisor;
mod tell;

pub use failure::Failure;
