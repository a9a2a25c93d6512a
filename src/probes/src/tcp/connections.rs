//! How many TCP connections are in which state: counted in `/proc/net/tcp` and `/proc/net/tcp6`.
//!
//! The kernel writes a line of 150 bytes for each socket, about a microsecond of work; beyond
//! [`MAX_SOCKETS`] it is not asked, and only what `/proc/net/sockstat` has counted already is told.
//!
//! # Invariants
//! - Of a line only its number and its state are looked at.
//! - All states or none are told of a host whose sockets are counted: one without sockets has zeros.
//!
//! What cannot be read is absent.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use super::STATES;
use crate::Host;
use crate::scan::{lines, number, words};

/// The most sockets that are counted one by one.
const MAX_SOCKETS: u64 = 8192;

/// The most bytes that are read of a table; a line has 150.
const MAX_BYTES: u64 = 2 * 160 * MAX_SOCKETS;

/// The place of `time_wait`.
const TIME_WAIT: usize = 5;

/// A file below `/proc/net` of the network that the host's first process is in.
pub(super) fn path(host: &Host, name: &str) -> PathBuf {
    let first = host.proc(&format!("1/net/{name}"));
    if !host.is_live() && first.exists() { first } else { host.proc(&format!("net/{name}")) }
}

/// The number of connections in each state, in the order of [`CONNECTION_STATES`].
pub(super) fn count(host: &Host) -> [Option<u64>; STATES] {
    let (sockets, waiting) = sockets(host).unzip();
    if sockets.is_some_and(|sockets| sockets > MAX_SOCKETS) {
        let mut told = [None; STATES];
        told[TIME_WAIT] = waiting;
        return told;
    }
    let mut counts = [0; STATES];
    // A host without IPv6 has no second table.
    let has_second = path(host, "tcp6").exists();
    let mut add = |name| add(host, name, &mut counts);
    let is_whole = add("tcp").is_some() && (!has_second || add("tcp6").is_some());
    counts.map(|count| is_whole.then_some(count))
}

/// How many sockets there are, and of these in `time_wait`; see proc(5), `/proc/net/sockstat`.
fn sockets(host: &Host) -> Option<(u64, u64)> {
    let text = host.content(&path(host, "sockstat"))?;
    let tcp = lines(text.as_bytes()).find_map(|line| line.strip_prefix(b"TCP:"))?;
    let row: Vec<_> = words(tcp).collect();
    let of = |key: &[u8]| row.iter().position(|word| *word == key).and_then(|at| row.get(at + 1));
    let count = |key| of(key).and_then(|word| number(word));
    let waiting = count(b"tw")?;
    Some((count(b"alloc")?.checked_add(waiting)?, waiting))
}

/// Adds up a table; nothing where it cannot be read whole.
fn add(host: &Host, name: &str, counts: &mut [u64; STATES]) -> Option<()> {
    let table = File::open(path(host, name)).ok()?;
    let mut table = BufReader::new(table.take(MAX_BYTES));
    let mut line = Vec::new();
    while table.read_until(b'\n', &mut line).ok()? > 0 {
        if let Some(state) = state(&line) {
            counts[state] += 1;
        }
        line.clear();
    }
    (table.get_ref().limit() > 0).then_some(())
}

/// The place of a line's state: `sl: local:port remote:port ST …`; the heading has none.
fn state(line: &[u8]) -> Option<usize> {
    let word = words(line).nth(3)?;
    let code = usize::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?;
    // 12 is a request that is not yet a connection: half open like `syn_received`.
    let code = if code == 12 { 3 } else { code };
    code.checked_sub(1).filter(|at| *at < STATES)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(number: u32, state: &str) -> String {
        format!(
            "{number:4}: 0100007F:1F90 0100007F:A0B1 {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"
        )
    }

    fn machine(tables: &[(&str, &[&str])], allocated: u64) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("1/net")).unwrap();
        for (name, states) in tables {
            let rows: String = (0..).zip(*states).map(|(n, state)| line(n, state)).collect();
            fs::write(host.proc("1/net").join(name), [HEAD, &rows].concat()).unwrap();
        }
        let sockstat = format!(
            "sockets: used 17\nTCP: inuse 1 orphan 0 tw 337 alloc {allocated} mem 380\nUDP: inuse 0\n"
        );
        fs::write(host.proc("1/net/sockstat"), sockstat).unwrap();
        (root, host)
    }

    #[test]
    fn both_tables_are_counted_by_state() {
        let (_root, host) =
            machine(&[("tcp", &["01", "0A", "06", "01"]), ("tcp6", &["0A", "0C", "0B"])], 6);
        // established 2, syn_received 1 (a request), time_wait 1, listen 2, closing 1.
        let expected = [2, 0, 1, 0, 0, 1, 0, 0, 0, 2, 1].map(Some);
        assert_eq!(count(&host), expected);
    }

    #[test]
    fn a_host_without_ipv6_has_one_table_and_one_without_both_tells_nothing() {
        let (_root, host) = machine(&[("tcp", &["0A"])], 1);
        assert_eq!(count(&host)[9], Some(1));
        let (_root, host) = machine(&[], 1);
        assert_eq!(count(&host), [None; STATES]);
    }

    #[test]
    fn very_many_sockets_are_not_counted_one_by_one() {
        let (_root, host) = machine(&[("tcp", &["01"])], MAX_SOCKETS);
        let mut expected = [None; STATES];
        expected[TIME_WAIT] = Some(337);
        assert_eq!(count(&host), expected);
    }

    #[test]
    fn a_malformed_line_is_left_out_and_does_not_panic() {
        for text in
            ["", "0:", "0: a b", "0: a b 00", "0: a b 0D", "0: a b zz", "\u{fffd} a b \u{fffd}"]
        {
            assert_eq!(state(text.as_bytes()), None, "{text}");
        }
        assert_eq!(state(HEAD.as_bytes()), None);
    }

    #[test]
    fn this_hosts_listener_is_counted() {
        let before = count(&Host::live());
        let _listeners: Vec<_> =
            (0..8).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let after = count(&Host::live());
        let (Some(before), Some(after)) = (before[9], after[9]) else { return };
        // Other programs may close theirs meanwhile, but hardly eight of them.
        assert!(after > before, "{before} {after}");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "tcp/connections::state",
            Says::Derived("the place in a list"),
            &[b"   0: 0100007F:1F90 070200C0:D431 01 0:0".to_vec()],
            state,
        );
    }
}
