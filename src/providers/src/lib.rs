//! Local programs' manifests: who is known, what he may tell, and what of a record is left of it.
//!
//! ```text
//! etc/candor/providers.d ─┐
//! shipped manifests ──────┼─> Registry ─recognise─> Manifest ─admit─> what privacy may see
//! switches ───────────────┘                  └ refused: counted by provider and reason
//! ```
//! Ingest decodes, asks here, and hands what is left to privacy.
//!
//! # Invariants
//! - Nothing passes that a manifest does not declare; only `application` takes any name, and that
//!   at level 3 and as text to be scrubbed.
//! - No provider's record stands at level 0.
//! - A text field either has a format that no person's name fits, or is of class *diagnostic text*.
//! - On TCP, where nobody can tell who speaks, only a manifest with `peer = "any"` matches.
//! - No I/O here but for what the caller reads: texts in, judgements out.
//!
//! On failure: a manifest that cannot be understood is findings and no manifest; a record that
//! does not fit is refused for a [`Reason`], which is counted.

mod admission;
mod caller;
mod deployment;
mod format;
mod manifest;
mod rate;
mod refusal;
mod registry;
mod scraped;
mod shipped;

pub use admission::{Accepted, Granted, Incoming};
pub use caller::{Caller, Origin, Transport};
pub use format::Format;
pub use manifest::{
    Event, Field, FieldKind, Manifest, Names, OptOut, OptOutFile, Parser, PeerWord, Peers, Rate,
    These, read,
};
pub use refusal::{Counts, Reason};
pub use registry::{Broken, Provider, Registry, Source};
pub use shipped::SHIPPED;
