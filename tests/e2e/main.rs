//! Promises kept by the real programs, one module each.
// The harness stops and watches processes as unix does; on Windows `tests/system/windows.rs` runs the programs.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by it")]

#[cfg(unix)]
mod api;
mod bad_input;
#[cfg(target_os = "linux")]
mod changes;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod clock;
mod delivery;
mod diagnosis;
mod emit;
mod endpoint;
mod flips;
#[cfg(target_os = "linux")]
mod hostile;
mod ingest;
mod journal;
mod kept;
mod kills;
mod levels;
#[cfg(unix)]
mod lifecycle;
#[cfg(target_os = "linux")]
mod many;
mod misbehaviour;
mod off;
mod outage;
mod played;
mod preview;
mod providers;
#[cfg(target_os = "linux")]
mod purge;
mod raise;
mod remote;
mod rights;
#[cfg(target_os = "linux")]
mod schedule;
mod scrape;
#[cfg(target_os = "linux")]
mod silence;
mod steering;
mod stopped;
#[cfg(unix)]
mod strangers;
#[cfg(unix)]
mod terminal;
mod upgrade;
mod view;
mod waiting;
