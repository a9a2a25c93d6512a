//! Promises kept by the real programs, one module each.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by it")]

#[cfg(unix)]
mod api;
mod bad_input;
mod delivery;
mod diagnosis;
mod endpoint;
mod kills;
mod levels;
mod off;
mod preview;
mod remote;
mod steering;
#[cfg(unix)]
mod strangers;
#[cfg(target_os = "linux")]
mod purge;
mod raise;
#[cfg(target_os = "linux")]
mod silence;
#[cfg(unix)]
mod terminal;
mod upgrade;
