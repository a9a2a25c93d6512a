//! Where ingest listens, and how much clients may take up.
//!
//! # Invariants
//! - The bounds together keep the agent below 32 MiB at full speed: bodies, one body inflated, and
//!   what waits for its commit, beside what the agent needs anyway.

use std::net::SocketAddr;
use std::time::Duration;

use candor_platform::Endpoint;

/// Where to listen; the default is nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A unix socket, or a pipe on Windows.
    pub socket: Option<Endpoint>,
    /// A loopback address.
    pub http: Option<SocketAddr>,
}

/// How much one client, and all of them together, may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Of these, of one user, or over TCP, where nobody tells who it is.
    pub connections_of_one: usize,
    /// Bytes of one body as it comes over the wire.
    pub body: usize,
    /// Bytes of one body after decompression.
    pub inflated: usize,
    /// Bytes of all bodies that are being read.
    pub bodies: usize,
    /// Bytes of all records that wait for their commit.
    pub waiting: usize,
    /// Records of one request.
    pub records: usize,
    /// Time in which the head of a request must have arrived; also how long an idle connection is kept.
    pub head_time: Duration,
    /// Time in which a body must have arrived.
    pub body_time: Duration,
    /// How long a request waits for its turn before it is told to come again.
    pub turn_time: Duration,
    /// Percent of the spool beyond which clients are told to come again later.
    pub full_percent: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            connections_of_one: 32,
            body: 4 << 20,
            inflated: 8 << 20,
            bodies: 6 << 20,
            waiting: 6 << 20,
            records: 20_000,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(10),
            turn_time: Duration::from_secs(10),
            full_percent: 90,
        }
    }
}
