//! The harness: real programs in temporary roots. A test says what it wants in sentences and finds
//! here the agent, the collector and the misbehaving server to say it to.
//!
//! # Invariants
//! - Everything lives under a temporary directory and on loopback.
//! - Only processes that a test started are ended, by their id.
//! - Waiting is for a condition, with a generous limit; never for a time.

mod agent;
mod collector;
mod need;
#[cfg(unix)]
mod program;
mod programs;
mod viewer;
mod wait;

pub use agent::{Agent, Outcome, Settings};
pub use collector::Collector;
pub use need::{need, python};
#[cfg(unix)]
pub use program::{Program, Reply, export, text};
pub use programs::{Profile, Programs, cargo, example, programs};
pub use viewer::Viewer;
pub use wait::{LIMIT, eventually};
