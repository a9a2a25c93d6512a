//! TCP: how many connections there are, and how often something had to be sent again. The probe
//! `tcp` fills it. Connections have a published name; the counters have none, so they are ours.
//!
//! # Invariants
//! - Counts only: no address and no port.
//!
//! Plain data: nothing here can fail.

use crate::FieldType::Choice;
use crate::metric;
use crate::metrics::system::NETWORK_DIRECTIONS;

/// Values of `network.connection.state`, in the order of Linux' own numbers, which begin with 1
/// (`include/net/tcp_states.h`).
pub const CONNECTION_STATES: &[&str] = &[
    "established",
    "syn_sent",
    "syn_received",
    "fin_wait_1",
    "fin_wait_2",
    "time_wait",
    "closed",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];
/// Values of `network.transport` that are told.
pub const TRANSPORTS: &[&str] = &["tcp"];
/// Who opened a connection.
pub const OPENERS: &[&str] = &["this_host", "other_host"];

metric! {
    /// Number of connections by state, IPv4 and IPv6 together. On a host with very many
    /// connections only those in `time_wait` are counted.
    pub CONNECTIONS = "system.network.connection.count", Enhanced, UpDownCounter, "{connection}", "to see how the network is used and where it fails" {
        /// The state.
        "network.connection.state": Choice(CONNECTION_STATES);
        /// The transport.
        "network.transport": Choice(TRANSPORTS);
    }
}

metric! {
    /// TCP segments received and sent; of those sent, without the ones sent again.
    pub SEGMENTS = "candor.tcp.segments", Enhanced, Counter, "{segment}", "to see how the network is used and where it fails" {
        /// The direction.
        "network.io.direction": Choice(NETWORK_DIRECTIONS);
    }
}

metric! {
    /// TCP segments that had to be sent again.
    pub RETRANSMISSIONS = "candor.tcp.retransmissions", Enhanced, Counter, "{segment}", "to see how the network is used and where it fails" {}
}

metric! {
    /// TCP connections that were opened.
    pub OPENED = "candor.tcp.connections.opened", Enhanced, Counter, "{connection}", "to see how the network is used and where it fails" {
        /// Who opened it.
        "opened_by": Choice(OPENERS);
    }
}

metric! {
    /// Attempts to open a TCP connection that failed.
    pub FAILED = "candor.tcp.connections.failed", Enhanced, Counter, "{connection}", "to see how the network is used and where it fails" {}
}
