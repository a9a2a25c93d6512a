//! What needs more than a Rust toolchain: another language's reading of OTLP, the release build, real
//! service managers. Skipped with a word where that is missing; mandatory in `.ci/run`.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod foreign;
mod release;
