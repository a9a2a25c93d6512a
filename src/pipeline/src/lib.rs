//! Probes, privacy door and codec as one piece: the daemon sends with it, and `agentctl preview`
//! shows with it, so that what is shown is made by the code that sends.
//!
//! ```text
//! Runner --Record--> Door::admit(level) --Admitted--> encode --Draft--> spool, or the preview
//! ```
//!
//! # Invariants
//! - Every [`Draft`](candor_model::Draft) went through the door at the level of its round.
//! - A draft waits in the lane of the highest level of anything inside it.
//! - This room neither keeps nor sends: it has no file, no socket and no clock of its own.

mod accounts;
pub mod catalog;
mod keyed;
mod pipeline;
mod preview;
mod settings;
mod time;

pub use accounts::{cleaner, scrubber};
pub use catalog::hash as catalog_hash;
pub use keyed::{keyed_boot, keyed_ids};
pub use pipeline::{Pipeline, PipelineSettings};
pub use preview::{AgentFacts, preview};
pub use settings::{resource, settings_event};
pub use time::{moment, rfc3339};
