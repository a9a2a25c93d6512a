//! Promises kept by the real programs, one module each.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by it")]

#[cfg(unix)]
mod api;
mod bad_input;
mod delivery;
mod diagnosis;
mod endpoint;
#[cfg(target_os = "linux")]
mod hostile;
mod kills;
mod levels;
mod off;
#[cfg(unix)]
mod lifecycle;
mod preview;
#[cfg(target_os = "linux")]
mod purge;
mod raise;
#[cfg(target_os = "linux")]
mod silence;
#[cfg(unix)]
mod terminal;
mod upgrade;
#[cfg(unix)]
