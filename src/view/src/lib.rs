//! The viewer: a page on loopback that shows its owner what this host tells, byte by byte. `agentctl view`
//! serves it and answers its questions over the control endpoint.
//!
//! ```text
//! door (file of mode 0600, key) -> browser -> gate (Host, Origin, site, session)
//!                                                |
//!                     pages (embedded) <- answer +-> Question -> Source (agentctl: control, preview, catalog)
//! ```
//!
//! # Invariants
//! - It only reads: every [`Question`] is one that changes nothing, and there are no others.
//! - Nothing is said before the gate was passed: a key that works once, then a session of this run, from
//!   this user's processes where the system tells whose they are.
//! - A page loads nothing from elsewhere and runs no script but its own; what events contain is text.
//! - Memory is bounded: connections, heads, bodies and answers are.
//!
//! On failure: a [`ViewError`] where the page cannot be opened; later trouble is shown on the page.

mod answer;
mod door;
mod files;
mod gate;
mod key;
mod question;
mod server;
mod source;

pub use door::ViewError;
pub use question::Question;
pub use server::{End, Settings, Viewer};
pub use source::{Answer, Refused, Source};
