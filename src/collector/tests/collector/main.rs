//! The collector from outside: real TLS on loopback, the real program where a process must die.
//!
//! `wire` sends what a sender should, `hostile` what it should not, `program` runs the binary
//! (init, kill, signals), `rights` asks for what an owner may ask for.

#![expect(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

mod client;
mod hostile;
mod program;
mod rights;
mod server;
mod wire;
