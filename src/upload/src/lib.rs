//! The one door out: what waits in the spool goes to a pinned endpoint, and the answer comes back
//! to the ledger.
//!
//! ```text
//! spool -> uploader -> body -> http -> tls (verifier) -> dial -> endpoint, or proxy -> endpoint
//!    ^         |                |
//!    +- decision <--- answer <--+------> journal (before the first byte, and after the answer)
//! ```
//! [`decision`] is pure; everything that waits or sends is a thin shell around it.
//!
//! # Invariants
//! - No byte leaves without a pinned key on the verified path.
//! - Disabled means no packet, no DNS query and no timer.
//! - Only a receiver's refusal of one record alone drops it; all other trouble keeps everything.

mod answer;
mod body;
mod certificate;
mod courier;
mod day;
pub mod decision;
mod deletion;
mod destination;
mod dial;
mod drain;
mod fetch;
mod herald;
mod http;
mod inbox;
mod joining;
mod logbook;
mod pace;
mod phase;
pub mod pins;
mod route;
mod schedule;
mod settings;
mod sizing;
mod status;
mod timetable;
mod tls;
pub mod trial;
mod trouble;
mod uploader;
mod verifier;

pub use answer::{Answer, Said};
pub use deletion::{DeletionRequest, ask_deletion};
pub use fetch::{Fetched, fetch};
pub use herald::TellGaps;
pub use schedule::{ON_BATTERY, Schedule, Surroundings};
pub use settings::{BadEndpoint, Compression, Destination, Endpoint, Timing, UploadSettings};
pub use status::{Command, Flushed, State, UploadStatus};
pub use timetable::Look;
pub use tls::Session;
pub use trouble::{Reason, Trouble};
pub use uploader::Uploader;
pub use verifier::Refusal;
