//! Linux: the lines `Tcp:` of `/proc/net/snmp`, kept open; connections in `/proc/net/tcp` and `tcp6`.
//!
//! A table of another form is a failure that names the file.

use super::{COUNTERS, STATES, connections};
use crate::kept::Kept;
use crate::scan::{lines, number, words};
use crate::{Host, ProbeError};

/// What is followed, by the headings of `/proc/net/snmp` (RFC 4022 explains each).
const HEADINGS: [&[u8]; COUNTERS] =
    [b"InSegs", b"OutSegs", b"PassiveOpens", b"ActiveOpens", b"RetransSegs", b"AttemptFails"];

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    table: Option<Kept>,
}

impl Reader {
    /// The counters since boot.
    pub(super) fn read(&mut self, host: &Host) -> Result<[u64; COUNTERS], ProbeError> {
        let table = self.table.get_or_insert_with(|| Kept::new(connections::path(host, "snmp")));
        let counters = parse(table.read()?);
        counters.ok_or_else(|| table.malformed("two lines `Tcp:`"))
    }

    /// How many connections are in each state now.
    #[expect(clippy::unused_self, reason = "one signature with Windows")]
    pub(super) fn states(&self, host: &Host) -> [Option<u64>; STATES] {
        connections::count(host)
    }
}

/// A line of headings and a line of numbers, both beginning with `Tcp:`.
fn parse(text: &[u8]) -> Option<[u64; COUNTERS]> {
    let mut tcp = lines(text).filter_map(|line| line.strip_prefix(b"Tcp:"));
    let (headings, values) = (tcp.next()?, tcp.next()?);
    let mut counters = [None; COUNTERS];
    for (heading, value) in words(headings).zip(words(values)) {
        if let Some(at) = HEADINGS.iter().position(|known| *known == heading) {
            counters[at] = number(value);
        }
    }
    let mut told = [0; COUNTERS];
    for (slot, counter) in told.iter_mut().zip(counters) {
        *slot = counter?;
    }
    Some(told)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Probe as _;
    use crate::samples::{at, values};
    use crate::tcp::Tcp;

    fn table(received: u64, sent: u64, again: u64) -> String {
        format!(
            "Ip: Forwarding DefaultTTL\nIp: 2 64\n\
             Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails \
             EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n\
             Tcp: 1 200 120000 -1 8574 8025 383 2292 0 {received} {sent} {again} 0 2433 0\n\
             Udp: InDatagrams\nUdp: 342\n"
        )
    }

    fn machine() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("net")).unwrap();
        fs::write(host.proc("net/snmp"), table(203_491, 191_678, 817)).unwrap();
        (root, host)
    }

    #[test]
    fn a_recorded_machine_gives_its_counters_by_their_headings() {
        let (_root, host) = machine();
        let mut probe = Tcp::new();
        probe.sample(&host, at(0)).unwrap();
        fs::write(host.proc("net/snmp"), table(203_591, 191_878, 820)).unwrap();
        let records = probe.report(&host, at(60)).unwrap();
        let segments = [("receive".into(), 100.0), ("transmit".into(), 200.0)];
        assert_eq!(values(&records, "candor.tcp.segments"), segments);
        assert_eq!(values(&records, "candor.tcp.retransmissions"), [(String::new(), 3.0)]);
        assert_eq!(parse(table(1, 2, 3).as_bytes()), Some([1, 2, 8025, 8574, 3, 383]));
        let by_others = table(203_591, 191_878, 820).replace("8025", "8030");
        fs::write(host.proc("net/snmp"), by_others).unwrap();
        let records = probe.report(&host, at(120)).unwrap();
        let opened = [("this_host".into(), 0.0), ("other_host".into(), 5.0)];
        assert_eq!(values(&records, "candor.tcp.connections.opened"), opened);
    }

    #[test]
    fn a_restarted_network_gives_no_number_over_its_reset() {
        let (_root, host) = machine();
        let mut probe = Tcp::new();
        probe.sample(&host, at(0)).unwrap();
        fs::write(host.proc("net/snmp"), table(5, 5, 5)).unwrap();
        let records = probe.report(&host, at(60)).unwrap();
        assert_eq!(values(&records, "candor.tcp.segments"), []);
    }

    #[test]
    fn a_malformed_table_is_a_failure_that_names_the_file() {
        let (_root, host) = machine();
        for text in ["", "Tcp: InSegs\n", "Tcp: InSegs OutSegs\nTcp: 1 x\n", "Tcp:\nTcp:\n"] {
            fs::write(host.proc("net/snmp"), text).unwrap();
            let error = Tcp::new().report(&host, at(0)).unwrap_err();
            assert!(error.to_string().contains("snmp"), "{error}");
        }
        let whole = table(1, 2, 3);
        for cut in 0..whole.len() {
            parse(&whole.as_bytes()[..cut]);
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes("tcp/linux::parse", Says::Stands, &[b"Tcp: RtoMin InSegs OutSegs PassiveOpens ActiveOpens RetransSegs AttemptFails\nTcp: 200 1 2 3 4 5 6\n".to_vec()], parse);
    }
}
