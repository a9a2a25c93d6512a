//! Promises kept by the real programs, one module each.
//!
//! On Windows (and under its runtime, where each start of a program takes long) those run whose promise is
//! about the disk, the registry of layers, the pipe or the ledger there. The others send signals, speak over
//! unix sockets, become another user or look at a recorded Linux: `docs/windows.md`.
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
#[cfg(unix)]
mod flips;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(unix)]
mod ingest;
mod journal;
#[cfg(unix)]
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
#[cfg(unix)]
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
#[cfg(unix)]
mod view;
mod waiting;
