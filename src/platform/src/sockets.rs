//! What Windows' own calls tell of its sockets: counters of TCP, and the tables of sockets as the bytes that the
//! calls give. What the bytes mean is decided by who asked.
//!
//! # Invariants
//! - Only rights that every user has are asked for.
//!
//! On failure: a call that the system refuses is `None`.
#![expect(unsafe_code, reason = "raw calls of the IP helper")]

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, GetExtendedUdpTable, GetTcpStatisticsEx, MIB_TCPSTATS_LH,
    TCP_TABLE_OWNER_PID_ALL, UDP_TABLE_OWNER_PID,
};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};

/// Tables grow between the question for their size and the one for their rows.
const TRIES: usize = 4;
/// Some hundred thousand sockets.
const MAX_BYTES: u32 = 16 << 20;

/// Which sockets a table lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketTable {
    /// `MIB_TCPTABLE_OWNER_PID`.
    Tcp4,
    /// `MIB_TCP6TABLE_OWNER_PID`.
    Tcp6,
    /// `MIB_UDPTABLE_OWNER_PID`.
    Udp4,
    /// `MIB_UDP6TABLE_OWNER_PID`.
    Udp6,
}

/// What TCP counted since the system started, over both families of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Segments received.
    pub received: u64,
    /// Segments sent, without those sent again.
    pub sent: u64,
    /// Segments sent again.
    pub sent_again: u64,
    /// Connections that this host opened.
    pub opened: u64,
    /// Connections that others opened.
    pub accepted: u64,
    /// Attempts that failed.
    pub failed: u64,
}

/// The counters; `None` where no family tells them. Each wraps at 32 bits.
#[must_use]
pub fn tcp_counters() -> Option<TcpCounters> {
    let families = [AF_INET, AF_INET6].into_iter().filter_map(counters);
    families.reduce(|a, b| TcpCounters {
        received: a.received + b.received,
        sent: a.sent + b.sent,
        sent_again: a.sent_again + b.sent_again,
        opened: a.opened + b.opened,
        accepted: a.accepted + b.accepted,
        failed: a.failed + b.failed,
    })
}

fn counters(family: u16) -> Option<TcpCounters> {
    let mut told = MIB_TCPSTATS_LH::default();
    // SAFETY: a struct of ours.
    let done = unsafe { GetTcpStatisticsEx(&raw mut told, family.into()) };
    (done == NO_ERROR).then(|| TcpCounters {
        received: told.dwInSegs.into(),
        sent: told.dwOutSegs.into(),
        sent_again: told.dwRetransSegs.into(),
        opened: told.dwActiveOpens.into(),
        accepted: told.dwPassiveOpens.into(),
        failed: told.dwAttemptFails.into(),
    })
}

/// A table as the system wrote it: a count of rows, and the rows with the process of each.
#[must_use]
pub fn socket_table(table: SocketTable) -> Option<Vec<u8>> {
    let mut size = 0;
    let mut buffer: Vec<u64> = Vec::new();
    for _ in 0..TRIES {
        match ask(table, &mut buffer, &mut size) {
            NO_ERROR => {
                let bytes = buffer.iter().flat_map(|word| word.to_ne_bytes());
                return Some(bytes.collect());
            }
            ERROR_INSUFFICIENT_BUFFER if size <= MAX_BYTES => {
                buffer = vec![0; usize::try_from(size).ok()?.div_ceil(8)];
            }
            _ => return None,
        }
    }
    None
}

/// One call; `size` is what it wants.
fn ask(table: SocketTable, buffer: &mut Vec<u64>, size: &mut u32) -> u32 {
    *size = u32::try_from(buffer.len() * 8).unwrap_or(u32::MAX);
    let rows = buffer.as_mut_ptr().cast();
    let family = match table {
        SocketTable::Tcp4 | SocketTable::Udp4 => AF_INET.into(),
        SocketTable::Tcp6 | SocketTable::Udp6 => AF_INET6.into(),
    };
    match table {
        // SAFETY: the buffer is as long as we say and aligned for the rows.
        SocketTable::Tcp4 | SocketTable::Tcp6 => unsafe {
            GetExtendedTcpTable(rows, size, 0, family, TCP_TABLE_OWNER_PID_ALL, 0)
        },
        // SAFETY: as above.
        SocketTable::Udp4 | SocketTable::Udp6 => unsafe {
            GetExtendedUdpTable(rows, size, 0, family, UDP_TABLE_OWNER_PID, 0)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_this_process_stands_in_the_table_with_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let table = socket_table(SocketTable::Tcp4).unwrap();
        let count = u32::from_ne_bytes(table[..4].try_into().unwrap());
        assert!(count > 0 && table.len() >= 4 + 24 * count as usize, "{count}: {}", table.len());
        // State 2 listens; address and port are in the network's order.
        let row = [&2_u32.to_ne_bytes()[..], &[127, 0, 0, 1], &port.to_be_bytes()].concat();
        assert!(table.windows(row.len()).any(|bytes| bytes == row), "{port}");
        assert!(socket_table(SocketTable::Udp4).is_some());
    }

    #[test]
    fn this_host_counts_what_it_sends() {
        let before = tcp_counters().unwrap();
        let after = tcp_counters().unwrap();
        assert!(after.sent >= before.sent && after.received >= before.received);
    }
}
