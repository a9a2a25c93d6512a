//! Promises kept by the real programs, one module each.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by it")]

mod bad_input;
mod delivery;
mod endpoint;
mod kills;
mod levels;
mod off;
mod preview;
mod remote;
mod steering;
#[cfg(unix)]
mod strangers;
