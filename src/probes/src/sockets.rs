//! A socket as every system lists it, and its state's word; and the tables in which Windows lists them, from
//! bytes alone. For the probes that count connections and tell who waits where.
//!
//! ```text
//! u32 count, then rows of u32 words; addresses and ports in the network's order
//! tcp  state local port remote port pid             24 bytes
//! tcp6 local[16] scope port remote[16] scope port state pid   56 bytes
//! udp  local port pid                               12 bytes
//! udp6 local[16] scope port pid                     28 bytes
//! ```
//! `MIB_TCPTABLE_OWNER_PID` and its like; a port is the first two bytes of its word.
//!
//! # Invariants
//! - States are numbered as Linux does, whoever told them (`include/net/tcp_states.h`).
//!
//! Nothing here fails: a row that is cut off is left out.

use std::net::IpAddr;
#[cfg(any(windows, test))]
use std::net::{Ipv4Addr, Ipv6Addr};

use candor_model::events::connection::Transport;

#[cfg(any(windows, test))]
use crate::bytes::number;

pub(crate) const ESTABLISHED: u8 = 0x01;
pub(crate) const LISTEN: u8 = 0x0A;

/// A socket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Socket {
    pub(crate) transport: Transport,
    pub(crate) local: (IpAddr, u16),
    pub(crate) remote: (IpAddr, u16),
    pub(crate) state: u8,
    /// Linux: its inode. Windows: its process. 0 where it belongs to no process any more.
    pub(crate) owner: u64,
}

/// The state's word, by OpenTelemetry's `network.connection.state`.
pub(crate) fn state(number: u8) -> Option<&'static str> {
    Some(match number {
        0x01 => "established",
        0x02 => "syn_sent",
        0x03 | 0x0C => "syn_received",
        0x04 => "fin_wait_1",
        0x05 => "fin_wait_2",
        0x06 => "time_wait",
        0x07 => "closed",
        0x08 => "close_wait",
        0x09 => "last_ack",
        0x0A => "listen",
        0x0B => "closing",
        _ => return None,
    })
}

/// Windows' numbers of the states of TCP (`MIB_TCP_STATE`), from 1 on, as Linux numbers them.
#[cfg(any(windows, test))]
const STATES: [u8; 12] =
    [0x07, LISTEN, 0x02, 0x03, ESTABLISHED, 0x04, 0x05, 0x08, 0x0B, 0x09, 0x06, 0x07];

/// The rows of Windows' table of TCP; `is_six` where it is that of IPv6.
#[cfg(any(windows, test))]
pub(crate) fn tcp_rows(table: &[u8], is_six: bool) -> Vec<Socket> {
    let row = |row: &[u8]| {
        let [state, local, remote, pid] = if is_six { [48, 0, 24, 52] } else { [0, 4, 12, 20] };
        let place = usize::try_from(number::<4>(row, state)?).ok()?.checked_sub(1)?;
        Some(Socket {
            transport: Transport::Tcp,
            local: address(row, local, is_six)?,
            remote: address(row, remote, is_six)?,
            state: *STATES.get(place)?,
            owner: number::<4>(row, pid)?,
        })
    };
    rows(table, if is_six { 56 } else { 24 }).filter_map(row).collect()
}

/// The rows of Windows' table of UDP.
#[cfg(any(windows, test))]
pub(crate) fn udp_rows(table: &[u8], is_six: bool) -> Vec<Socket> {
    let nobody =
        if is_six { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let row = |row: &[u8]| {
        Some(Socket {
            transport: Transport::Udp,
            local: address(row, 0, is_six)?,
            remote: (nobody, 0),
            state: STATES[0],
            owner: number::<4>(row, if is_six { 24 } else { 8 })?,
        })
    };
    rows(table, if is_six { 28 } else { 12 }).filter_map(row).collect()
}

#[cfg(any(windows, test))]
fn rows(table: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    let count = number::<4>(table, 0).and_then(|count| usize::try_from(count).ok());
    table.get(4..).unwrap_or_default().chunks_exact(size).take(count.unwrap_or_default())
}

/// An address and the port behind it; that of IPv6 has its scope between.
#[cfg(any(windows, test))]
fn address(row: &[u8], at: usize, is_six: bool) -> Option<(IpAddr, u16)> {
    let (address, port) = if is_six {
        let bytes: [u8; 16] = row.get(at..at + 16)?.try_into().ok()?;
        (IpAddr::V6(bytes.into()), at + 20)
    } else {
        let bytes: [u8; 4] = row.get(at..at + 4)?.try_into().ok()?;
        (IpAddr::V4(bytes.into()), at + 4)
    };
    Some((address, u16::from_be_bytes(row.get(port..port + 2)?.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A port as its word holds it, with what Windows leaves in the upper half.
    fn port(port: u16) -> Vec<u8> {
        [port.to_be_bytes(), [0xAB, 0xCD]].concat()
    }

    #[test]
    fn rows_of_tcp_are_read_as_the_headers_define_them() {
        let four = [
            words(&[2, 2]),
            vec![0, 0, 0, 0],
            port(80),
            vec![0; 4],
            port(0),
            words(&[700]),
            words(&[5]),
            vec![127, 0, 0, 1],
            port(49_152),
            vec![192, 0, 2, 7],
            port(443),
            words(&[701]),
        ];
        let sockets = tcp_rows(&four.concat(), false);
        let any = ("0.0.0.0".parse().unwrap(), 0);
        let waiting = Socket {
            transport: Transport::Tcp,
            local: (any.0, 80),
            remote: any,
            state: LISTEN,
            owner: 700,
        };
        let open = Socket {
            local: ("127.0.0.1".parse().unwrap(), 49_152),
            remote: ("192.0.2.7".parse().unwrap(), 443),
            state: ESTABLISHED,
            owner: 701,
            ..waiting.clone()
        };
        assert_eq!(sockets, [waiting, open]);
        let local: Ipv6Addr = "fe80::1".parse().unwrap();
        let remote: Ipv6Addr = "2001:db8::2".parse().unwrap();
        let six = [
            words(&[1]),
            local.octets().to_vec(),
            words(&[3]),
            port(22),
            remote.octets().to_vec(),
            words(&[0]),
            port(5000),
            words(&[11, 4]),
        ];
        let expected = Socket {
            transport: Transport::Tcp,
            local: (local.into(), 22),
            remote: (remote.into(), 5000),
            state: 0x06,
            owner: 4,
        };
        assert_eq!(tcp_rows(&six.concat(), true), [expected]);
    }

    #[test]
    fn rows_of_udp_have_nobody_on_the_other_side() {
        let four = [words(&[1]), vec![10, 0, 0, 1], port(53), words(&[9])].concat();
        let six = [words(&[1]), vec![0; 16], words(&[0]), port(5353), words(&[8])].concat();
        let (four, six) = (udp_rows(&four, false), udp_rows(&six, true));
        assert_eq!(
            (four[0].local.1, four[0].owner, four[0].remote.0.is_unspecified()),
            (53, 9, true)
        );
        assert_eq!(
            (six[0].local.1, six[0].owner, six[0].remote.0.is_unspecified()),
            (5353, 8, true)
        );
    }

    #[test]
    fn a_torn_table_and_an_unknown_state_do_no_harm() {
        let table = [words(&[u32::MAX, 2]), vec![0; 4], port(80), vec![0; 4], port(0), words(&[1])]
            .concat();
        assert_eq!(tcp_rows(&table, false).len(), 1);
        for cut in 0..table.len() {
            assert_eq!(tcp_rows(&table[..cut], false), []);
            let _ = udp_rows(&table[..cut], true);
        }
        let odd = [words(&[1, 99]), vec![0; 20]].concat();
        assert_eq!(tcp_rows(&odd, false), []);
        assert_eq!((state(0), state(99)), (None, None));
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        let row = [words(&[1, 5]), vec![127, 0, 0, 1], port(80), vec![192, 0, 2, 7], port(443)];
        let table = [row.concat(), words(&[700]), vec![0; 32]].concat();
        let tables = [table];
        bytes("sockets::tcp_rows", Says::Derived("bytes as numbers"), &tables, |table| {
            [tcp_rows(table, false), tcp_rows(table, true)]
        });
        bytes("sockets::udp_rows", Says::Derived("bytes as numbers"), &tables, |table| {
            [udp_rows(table, false), udp_rows(table, true)]
        });
    }
}
