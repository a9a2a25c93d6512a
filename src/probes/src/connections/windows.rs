//! Windows: the system's own tables of sockets, and the programs of their processes.
//!
//! # Invariants
//! - Of a process only the name of its program's file is told.
//! - A recorded machine is not this one: nothing is told of it here.

use candor_platform::{SocketTable, socket_table};

use super::Owners;
use crate::Host;
use crate::processes::program_names;
use crate::sockets::{Socket, tcp_rows, udp_rows};

/// The sockets of this host and whose they are; `None` where the system lists none of TCP.
pub(super) fn read(host: &Host) -> Option<(Vec<Socket>, Owners)> {
    if !host.is_live() {
        return None;
    }
    let mut sockets = tcp_rows(&socket_table(SocketTable::Tcp4)?, false);
    // A host without IPv6 has no second table.
    sockets.extend(rows(SocketTable::Tcp6, |table| tcp_rows(table, true)));
    sockets.extend(rows(SocketTable::Udp4, |table| udp_rows(table, false)));
    sockets.extend(rows(SocketTable::Udp6, |table| udp_rows(table, true)));
    Some((sockets, program_names()))
}

fn rows(table: SocketTable, read: impl Fn(&[u8]) -> Vec<Socket>) -> Vec<Socket> {
    socket_table(table).map(|bytes| read(&bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_this_process_is_told_with_its_program() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sockets, owners) = read(&Host::live()).unwrap();
        let own = sockets.iter().find(|socket| socket.local.1 == port).unwrap();
        assert_eq!(own.owner, u64::from(std::process::id()));
        assert!(owners[&own.owner].to_lowercase().ends_with(".exe"), "{owners:?}");
        assert_eq!(read(&Host::new("/nonexistent")), None);
    }
}
