//! The one door into the spool: what may pass at the effective level, cleaned of what identifies
//! a person.
//!
//! ```text
//! probes, ingest --Record--> Door::admit(level) --Admitted--> codec
//!                              | gate: the record's level, each field's, each attribute's
//!                              | scrub: text that a program wrote
//! ```
//!
//! # Invariants
//! - An [`Admitted`] exists only by [`Door::admit`]; nothing in it stands above the level that it
//!   was admitted at, nor outside the catalog.
//! - Typed fields are never rewritten; only fields of class *diagnostic text* are scrubbed.
//! - What was taken away is counted, never kept.

mod door;
mod map;
mod pseudonym;
mod text;

pub use door::{Admitted, Door};
pub use map::{HIDDEN, is_sensitive, scrub_map};
pub use pseudonym::Pseudonyms;
pub use text::{Counts, Finding, MAX_TEXT_BYTES, Scrubber, cut};
