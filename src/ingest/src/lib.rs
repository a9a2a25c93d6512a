//! Local programs' way in: OTLP over HTTP on a unix socket and on a loopback port.
//!
//! ```text
//! connection -> body (bounds) -> inflate -> JSON? -> groups -> desk: recognise, admit (manifest)
//!                                                                -> door (level, scrub) -> encode
//! answer <- commit <- spool.append(Now) <--------------------------- drafts
//!                        control endpoint: emit --------------------> desk
//! ```
//!
//! # Invariants
//! - A record that was answered with 200, and not counted out in the answer, is on the disk.
//! - What is refused for good is said in a partial success, by reason and count; what another attempt
//!   can save is answered 429 or 503 with a time.
//! - Whatever clients do, the bytes that are held for them are bounded ([`Limits`]), and so is the
//!   time that one of them takes up.
//! - Nothing here listens, holds memory or wakes up while `[ingest]` is off. While telemetry is off
//!   nothing is kept, and a program is told so.
//!
//! On failure: a connection ends alone, a place that cannot be listened on is said in the log and
//! tried again each minute.

mod answer;
mod body;
mod connection;
mod desk;
mod emit;
mod own;
mod places;
mod refusal;
mod server;
mod settings;
mod taken;
mod uids;

pub use desk::{Agent, Desk, DeskSettings, Terms};
pub use emit::{Emitted, NotKept};
pub use own::NotTaken;
pub use server::serve;
pub use settings::{Limits, Settings};
pub use taken::Taken;
