//! Level 3: what listens and what is connected to what. Remote addresses are keyed hashes; local
//! addresses are only told by their reach.
//!
//! # Invariants
//! - No address in clear.
//! - The lists are bounded by the probe; what they leave out is counted.
//!
//! Plain data: nothing here can fail.

use crate::{choice, event, nested};

choice! {
    /// The protocol of a socket, by OpenTelemetry's `network.transport`.
    pub enum Transport {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
    }
}

choice! {
    /// How far an address reaches.
    pub enum Reach {
        /// This host alone.
        Loopback = "loopback",
        /// The same link.
        Link = "link",
        /// Private networks.
        Private = "private",
        /// Everywhere else.
        Public = "public",
        /// Whoever can reach any address of the host.
        Any = "any",
    }
}

choice! {
    /// Who opened a connection.
    pub enum Direction {
        /// The other side, to a port that listens here.
        Inbound = "inbound",
        /// This host.
        Outbound = "outbound",
    }
}

nested! {
    /// A port at which a program waits.
    pub struct Port {
        /// Its protocol.
        transport: Option<Transport>, Performance;
        /// Its number.
        port: u32, Performance;
        /// From where it can be reached, as far as its address tells.
        reach: Option<Reach>, Performance;
        /// The program that waits; absent where the agent may not look.
        program: Option<String>, Software;
    }
}

event! {
    /// Ports at which programs wait.
    pub struct Listening = "candor.network.listening", Full, "to find what is reachable and what is in the way" {
        /// Number of listening sockets with a different protocol, port or reach.
        total: Option<u64>, Performance, unit = "{socket}";
        /// How many of those are not in the list.
        left_out: Option<u64>, Performance, unit = "{socket}";
        /// The ports, by number; at most 128.
        ports: Vec<Port>, Performance;
    }
}

nested! {
    /// Connections of one program with one other host.
    pub struct Connection {
        /// Its protocol.
        transport: Option<Transport>, Performance;
        /// Who opened it.
        direction: Option<Direction>, Performance;
        /// The other side's address as a keyed hash; absent within this host.
        remote: Option<String>, Pseudonym;
        /// How far away the other side is.
        reach: Option<Reach>, Performance;
        /// The port that listens: here for an inbound connection, at the other side for an outbound one.
        port: u32, Performance;
        /// State of the connection, by OpenTelemetry's `network.connection.state`.
        state: Option<&'static str>, Performance;
        /// The program; absent where the agent may not look.
        program: Option<String>, Software;
        /// How many there are.
        count: u64, Performance, unit = "{connection}";
    }
}

event! {
    /// Which programs are connected with which other hosts.
    pub struct Map = "candor.network.connections", Full, "to find what a failing service depends on" {
        /// Number of connections.
        total: Option<u64>, Performance, unit = "{connection}";
        /// How many connections the list leaves out.
        left_out: Option<u64>, Performance, unit = "{connection}";
        /// The connections, most first; at most 256.
        connections: Vec<Connection>, Performance;
    }
}
