//! TCP: connections by state, and how often something had to be sent again. Level 2; the counters
//! of `/proc/net/snmp` once a minute, the connections with each report. Linux only.
//!
//! # Invariants
//! - Counts only: what a socket is connected to is not looked at.
//! - The counters are those of the network the host's first process is in.
//!
//! Without the counters the round fails.

use candor_model::metrics::system::NETWORK_DIRECTIONS;
use candor_model::metrics::tcp::{
    CONNECTION_STATES, CONNECTIONS, FAILED, OPENED, OPENERS, RETRANSMISSIONS, SEGMENTS, TRANSPORTS,
};
use candor_model::{Level, MetricEntry, Record};

use crate::beat::Beat;
use crate::kept::Kept;
use crate::points::{Sheet, during, last, whole, word};
use crate::scan::{lines, number, words};
use crate::window::{Continuity, Span, Window};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

mod connections;

/// What is followed, by the headings of `/proc/net/snmp` (RFC 4022 explains each).
const HEADINGS: [&[u8]; 6] =
    [b"InSegs", b"OutSegs", b"PassiveOpens", b"ActiveOpens", b"RetransSegs", b"AttemptFails"];
const COUNTERS: usize = HEADINGS.len();
const RECEIVED_AND_SENT: [usize; 2] = [0, 1];
const OPENED_BY: [usize; 2] = [3, 2];
const AGAIN: usize = 4;
const NOT_OPENED: usize = 5;

/// The probe.
#[derive(Debug)]
pub(crate) struct Tcp {
    table: Option<Kept>,
    beat: Beat,
    continuity: Continuity,
    window: Window<(), COUNTERS>,
}

impl Tcp {
    pub(crate) fn new() -> Self {
        Self {
            table: None,
            beat: Beat::default(),
            continuity: Continuity::default(),
            window: Window::new(1),
        }
    }

    fn read(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        let table = self.table.get_or_insert_with(|| Kept::new(connections::path(host, "snmp")));
        let counters = parse(table.read()?);
        let counters = counters.ok_or_else(|| table.malformed("two lines `Tcp:`"))?;
        self.window.begin(self.continuity.breaks_at(now));
        self.window.observe((), counters, now.wall);
        self.window.finish();
        Ok(())
    }

    fn write(&mut self, sheet: &mut Sheet) {
        let spans = self.window.report();
        add(sheet, &RETRANSMISSIONS, &spans, AGAIN);
        add(sheet, &FAILED, &spans, NOT_OPENED);
        add_pairs(sheet, &SEGMENTS, &spans, NETWORK_DIRECTIONS, RECEIVED_AND_SENT);
        add_pairs(sheet, &OPENED, &spans, OPENERS, OPENED_BY);
    }
}

type Told = Span<(), COUNTERS>;

fn add(sheet: &mut Sheet, entry: &'static MetricEntry, spans: &[Told], at: usize) {
    let points = spans.iter().map(|s| during((s.start, s.end), vec![], whole(s.delta[at])));
    sheet.add(entry, points);
}

fn add_pairs(
    sheet: &mut Sheet,
    entry: &'static MetricEntry,
    spans: &[Told],
    words: &[&'static str],
    at: [usize; 2],
) {
    let points = spans.iter().flat_map(|span| {
        words.iter().zip(at).map(move |(w, at)| {
            during((span.start, span.end), vec![word(w)], whole(span.delta[at]))
        })
    });
    sheet.add(entry, points);
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

impl Probe for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        if self.beat.is_due(now) { self.read(host, now) } else { Ok(()) }
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        if !self.continuity.has_read_at(now) {
            self.read(host, now)?;
        }
        let mut sheet = Sheet::default();
        self.write(&mut sheet);
        let counts = connections::count(host);
        let points = CONNECTION_STATES.iter().zip(counts).map(|(state, count)| {
            last(vec![word(state), word(TRANSPORTS[0])], now.wall, count.and_then(whole))
        });
        sheet.add(&CONNECTIONS, points);
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self { table: self.table.take(), ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::samples::{at, values};

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

        bytes("tcp::parse", Says::Stands, &[b"Tcp: RtoMin InSegs OutSegs PassiveOpens ActiveOpens RetransSegs AttemptFails\nTcp: 200 1 2 3 4 5 6\n".to_vec()], parse);
    }
}
