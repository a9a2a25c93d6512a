//! The uploader against real servers on loopback: each row of the answer table, each way in which a
//! certificate can be wrong, the proxy, and everything that starts, stops and breaks off an upload.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod answers;
mod bench;
mod certificates;
mod fetch;
mod journal;
mod pki;
mod proxy;
mod route;
mod running;
mod schedule;
mod server;
