//! The kernel's tables of sockets.
//!
//! ```text
//! sl  local_address rem_address   st tx:rx tr:when retrnsmt uid timeout inode …
//! 0:  0100007F:1F90 00000000:0000 0A …                                  12345
//!     words of 32 bits in the machine's order, then the port
//! ```
//!
//! # Invariants
//! - Tables of this architecture: every one that Rust's Linux targets share with us is little-endian,
//!   and on others the words are read in the machine's own order.
//! - At most the first [`Host::content`](crate::Host::content)'s bound of each table, some 7,000 sockets.
//!
//! A line of another form is left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use candor_model::events::connection::Transport;

use crate::Host;
use crate::sockets::Socket;

/// The sockets of the host's first process' network; `None` where there is no table.
pub(super) fn read(host: &Host) -> Option<Vec<Socket>> {
    let tables = [
        ("tcp", Transport::Tcp),
        ("tcp6", Transport::Tcp),
        ("udp", Transport::Udp),
        ("udp6", Transport::Udp),
    ];
    let content = |name: &str| {
        let first = host.content(&host.proc(&format!("1/net/{name}")));
        first.or_else(|| host.content(&host.proc(&format!("net/{name}"))))
    };
    let mut has_table = false;
    let mut sockets = Vec::new();
    for (name, transport) in tables {
        let Some(table) = content(name) else { continue };
        has_table = true;
        sockets.extend(table.lines().skip(1).filter_map(|line| parse(line, transport)));
    }
    has_table.then_some(sockets)
}

pub(super) fn parse(line: &str, transport: Transport) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(words.next()?)?, address(words.next()?)?);
    let state = u8::from_str_radix(words.next()?, 16).ok()?;
    let inode = words.nth(5)?.parse().ok()?;
    Some(Socket { transport, local, remote, state, owner: inode })
}

fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address
            .get(at..at + 8)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::ESTABLISHED;

    const LINE: &str = "   1: 0000000000000000FFFF00000100007F:1F90 B80D0120000000000000000001000000:01BB 01 \
        00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 20 4 30 10 -1";

    #[test]
    fn a_line_of_either_family_is_read_as_documented() {
        let socket = parse(LINE, Transport::Tcp).unwrap();
        assert_eq!(socket.local, ("::ffff:127.0.0.1".parse().unwrap(), 8080));
        assert_eq!(socket.remote, ("2001:db8::1".parse().unwrap(), 443));
        assert_eq!((socket.state, socket.owner), (ESTABLISHED, 4711));
        assert_eq!(address("0100007F:0050"), Some((IpAddr::V4(Ipv4Addr::LOCALHOST), 80)));
    }

    #[test]
    fn a_malformed_line_is_left_out() {
        for cut in 0..LINE.find("4711").unwrap() {
            assert_eq!(parse(&LINE[..cut], Transport::Tcp), None, "{cut}");
        }
        for odd in ["0100007F", "0100007F:10000", "+100007F:0050", "01:0050", "\u{e4}100007:0050"] {
            assert_eq!(address(odd), None, "{odd}");
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "connections/table::parse",
            Says::Derived("addresses stand as hexadecimal words"),
            &[
                "   0: 0100007F:1F90 070200C0:D431 01 0:0 0:0 0 0 0 4242 1",
                "   1: B80D0120FE00CA000000000077000000:0051 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 9 1",
            ],
            |line| parse(line, Transport::Tcp),
        );
    }
}
