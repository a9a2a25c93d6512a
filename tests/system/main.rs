//! What needs more than a Rust toolchain: another language's reading of OTLP, the release build, real
//! service managers. Skipped with a word where that is missing; mandatory in `.ci/run`.
// Its runtimes are all started from a unix host.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

#[cfg(target_os = "linux")]
mod disk;
mod exporter;
mod foreign;
mod group_policy;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod packages;
mod powershell;
mod release;
mod schema;
mod sdk;
#[cfg(target_os = "linux")]
mod service;
mod viewer;
#[cfg(target_os = "linux")]
mod windows;
