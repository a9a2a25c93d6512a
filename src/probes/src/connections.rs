//! `candor.network.listening` and `candor.network.connections`: which ports programs wait at, and which
//! programs are connected with which other hosts.
//!
//! The per-OS file reads the sockets and whose they are; the aggregation is here.
//!
//! # Invariants
//! - A remote address leaves this file only as the keyed hash that [`Settings::pseudonym`] makes; local
//!   addresses only as how far they reach.
//! - At most [`MAX_PORTS`] ports and [`MAX_ROWS`] rows are told; the others are counted.
//! - A program is told where the agent may see whose socket it is, else it is absent.
//!
//! A host without the tables says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use candor_model::events::connection::{
    Connection, Direction, Listening, Map, Port, Reach, Transport,
};
use candor_model::{Level, Record};

use crate::sockets::{ESTABLISHED, LISTEN, Socket, state};
use crate::{Host, Moment, Probe, ProbeError, Pseudonym, Rhythm, Settings};

#[cfg(unix)]
mod diagnosis;
#[cfg(unix)]
mod linux;
#[cfg(unix)]
mod owner;
#[cfg(unix)]
mod table;
#[cfg(unix)]
use linux::read;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::read;

const MAX_PORTS: usize = 128;
const MAX_ROWS: usize = 256;
/// Among which values the ids of remote addresses are made.
const DOMAIN: &str = "remote-address";

/// The probe.
pub(crate) struct Connections {
    pseudonym: Pseudonym,
}

impl Connections {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { pseudonym: settings.pseudonym.clone() }
    }
}

impl Probe for Connections {
    fn name(&self) -> &'static str {
        "connections"
    }

    fn level(&self) -> Level {
        Level::Full
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        let Some((sockets, owners)) = read(host) else {
            return Ok(Vec::new());
        };
        let (waiting, open): (Vec<_>, Vec<_>) = sockets.into_iter().partition(is_waiting);
        let ports = waiting.iter().map(|socket| (socket.transport, socket.local.1)).collect();
        let open = open.iter().filter(|socket| !socket.remote.0.is_unspecified());
        let rows = open.map(|socket| self.row(socket, &ports, &owners));
        Ok(vec![listening(&waiting, &owners).into(), map(rows).into()])
    }
}

/// The program of each [`Socket::owner`] that can be seen.
type Owners = BTreeMap<u64, String>;
type Ports = BTreeSet<(Transport, u16)>;

fn is_waiting(socket: &Socket) -> bool {
    match socket.transport {
        Transport::Tcp => socket.state == LISTEN,
        Transport::Udp => socket.state != ESTABLISHED && socket.remote.0.is_unspecified(),
    }
}

fn listening(sockets: &[Socket], owners: &Owners) -> Listening {
    let mut ports = BTreeMap::new();
    for socket in sockets {
        let key = (socket.local.1, socket.transport, reach(socket.local.0));
        let program: &mut Option<String> = ports.entry(key).or_default();
        *program = program.take().or_else(|| owners.get(&socket.owner).cloned());
    }
    let total = ports.len() as u64;
    let ports = ports.into_iter().take(MAX_PORTS).map(|((port, transport, reach), program)| Port {
        transport: Some(transport),
        port: port.into(),
        reach: Some(reach),
        program,
    });
    let ports: Vec<_> = ports.collect();
    Listening { total: Some(total), left_out: total.checked_sub(ports.len() as u64), ports }
}

/// What connections are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    transport: Transport,
    direction: Direction,
    remote: Option<String>,
    reach: Reach,
    port: u16,
    state: Option<&'static str>,
    program: Option<String>,
}

impl Connections {
    fn row(&self, socket: &Socket, ports: &Ports, owners: &Owners) -> Row {
        let is_inbound = ports.contains(&(socket.transport, socket.local.1));
        let remote = socket.remote.0.to_canonical();
        let reach = reach(remote);
        let id = || (self.pseudonym)(DOMAIN, &remote.to_string());
        Row {
            transport: socket.transport,
            direction: if is_inbound { Direction::Inbound } else { Direction::Outbound },
            remote: (reach != Reach::Loopback).then(id),
            reach,
            port: if is_inbound { socket.local.1 } else { socket.remote.1 },
            state: (socket.transport == Transport::Tcp).then(|| state(socket.state)).flatten(),
            program: owners.get(&socket.owner).cloned(),
        }
    }
}

fn map(rows: impl Iterator<Item = Row>) -> Map {
    let mut counts: BTreeMap<Row, u64> = BTreeMap::new();
    for row in rows {
        *counts.entry(row).or_default() += 1;
    }
    let total: u64 = counts.values().sum();
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by(|(a, most), (b, more)| (more, a).cmp(&(most, b)));
    rows.truncate(MAX_ROWS);
    let told: u64 = rows.iter().map(|(_, count)| count).sum();
    let connection = |(row, count): (Row, u64)| Connection {
        transport: Some(row.transport),
        direction: Some(row.direction),
        remote: row.remote,
        reach: Some(row.reach),
        port: row.port.into(),
        state: row.state,
        program: row.program,
        count,
    };
    let connections = rows.into_iter().map(connection).collect();
    Map { total: Some(total), left_out: total.checked_sub(told), connections }
}

/// RFC 6890 and, for shared addresses of carriers, RFC 6598.
fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        address if address.is_unspecified() => Reach::Any,
        address if address.is_loopback() => Reach::Loopback,
        IpAddr::V4(v4) if v4.is_link_local() => Reach::Link,
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            if v4.is_private() || is_shared { Reach::Private } else { Reach::Public }
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Reach::Link,
        IpAddr::V6(v6) if v6.is_unique_local() => Reach::Private,
        IpAddr::V6(_) => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_an_address_reaches_follows_its_range() {
        for (address, expected) in [
            ("0.0.0.0", Reach::Any),
            ("::", Reach::Any),
            ("127.9.9.9", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("169.254.1.1", Reach::Link),
            ("fe80::1", Reach::Link),
            ("172.31.0.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("fd00::1", Reach::Private),
            ("100.128.0.1", Reach::Public),
            ("2001:db8::1", Reach::Public),
        ] {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_thousand_peers_are_counted_and_the_busiest_are_told() {
        let row = |n: u32| Row {
            transport: Transport::Tcp,
            direction: Direction::Inbound,
            remote: Some(n.to_string()),
            reach: Reach::Public,
            port: 1,
            state: None,
            program: None,
        };
        let map = map((0..1000).map(row).chain([row(7), row(7)]));
        assert_eq!((map.total, map.left_out), (Some(1002), Some(1002 - 256 - 2)));
        assert_eq!(
            (map.connections[0].remote.as_deref(), map.connections[0].count),
            (Some("7"), 3)
        );
    }
}
