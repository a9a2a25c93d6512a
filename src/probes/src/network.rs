//! How the network is used and where it fails: level 2, sampled.
//!
//! The per-OS file reads; the aggregation is here.
//!
//! # Invariants
//! - Physical adapters only, so that the sum over adapters counts every packet once; bridges, bonds,
//!   tunnels and containers' ends are left out. Where a host has no physical adapter (a container),
//!   its conventionally named ones stand in.
//! - At most [`MAX_ADAPTERS`] adapters; later ones of the table are not followed.
//! - A name that holds a hardware address (`enx0123456789ab`) is told as its kind (`enx*`);
//!   adapters that are then of one name are added up.
//!
//! A table that cannot be read is the round's failure; a malformed line is an adapter that is not told.

use candor_model::metrics::system::{
    NETWORK_DIRECTIONS, NETWORK_DROPPED, NETWORK_ERRORS, NETWORK_IO, NETWORK_PACKETS,
};
use candor_model::{Level, MetricEntry, Record};

use crate::name::Name;
use crate::points::{Sheet, during, text, whole, word};
use crate::window::{Continuity, Span, Window};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(unix)]
mod linux;
#[cfg(unix)]
use linux::Reader;
#[cfg(any(windows, test))]
mod luid;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::Reader;

/// The most adapters that are followed.
const MAX_ADAPTERS: usize = 16;

/// Counters of an adapter; for receiving and transmitting: bytes, packets, errors, drops.
const COUNTERS: usize = 8;
const BYTES: [usize; 2] = [0, 4];
const PACKETS: [usize; 2] = [1, 5];
const ERRORS: [usize; 2] = [2, 6];
const DROPS: [usize; 2] = [3, 7];

/// One adapter's counters since it came.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    name: Name,
    counters: [u64; COUNTERS],
}

/// The probe.
#[derive(Debug)]
pub(crate) struct Network {
    reader: Reader,
    readings: Vec<Reading>,
    continuity: Continuity,
    window: Window<Name, COUNTERS>,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::default(),
            readings: Vec::new(),
            continuity: Continuity::default(),
            window: Window::new(MAX_ADAPTERS),
        }
    }

    fn take(&mut self, now: Moment) {
        self.window.begin(self.continuity.breaks_at(now));
        for reading in &self.readings {
            self.window.observe(reading.name, reading.counters, now.wall);
        }
        self.window.finish();
    }

    fn write(&mut self, sheet: &mut Sheet) {
        let spans = joined(self.window.report());
        add_pairs(sheet, &NETWORK_IO, &spans, BYTES);
        add_pairs(sheet, &NETWORK_PACKETS, &spans, PACKETS);
        add_pairs(sheet, &NETWORK_ERRORS, &spans, ERRORS);
        if Reader::TELLS_DROPS {
            add_pairs(sheet, &NETWORK_DROPPED, &spans, DROPS);
        }
    }
}

type Told = Span<String, COUNTERS>;

/// The spans by the names that are told.
fn joined(spans: Vec<Span<Name, COUNTERS>>) -> Vec<Told> {
    let mut joined: Vec<Told> = Vec::with_capacity(spans.len());
    for Span { key, start, end, delta } in spans {
        let key = told(key.as_str());
        let same = |s: &&mut Told| s.key == key && (s.start, s.end) == (start, end);
        if let Some(span) = joined.iter_mut().find(same) {
            span.delta
                .iter_mut()
                .zip(delta)
                .for_each(|(sum, more)| *sum = sum.saturating_add(more));
        } else {
            joined.push(Span { key, start, end, delta });
        }
    }
    joined
}

/// The name without a hardware address: from the first twelve hexadecimal digits on it is `*`.
fn told(name: &str) -> String {
    let bytes = name.as_bytes();
    let address = bytes.windows(12).position(|part| part.iter().all(u8::is_ascii_hexdigit));
    let kind = address.and_then(|at| name.get(..at));
    kind.map_or_else(|| name.to_owned(), |kind| format!("{kind}*"))
}

/// A point for each adapter and direction.
fn add_pairs(sheet: &mut Sheet, entry: &'static MetricEntry, spans: &[Told], at: [usize; 2]) {
    let points = spans.iter().flat_map(|span| {
        NETWORK_DIRECTIONS.iter().zip(at).map(move |(direction, at)| {
            let attributes = vec![text(&span.key), word(direction)];
            during((span.start, span.end), attributes, whole(span.delta[at]))
        })
    });
    sheet.add(entry, points);
}

impl Probe for Network {
    fn name(&self) -> &'static str {
        "network"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        self.readings.clear();
        self.reader.read(host, &mut self.readings)?;
        self.take(now);
        Ok(())
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        if !self.continuity.has_read_at(now) {
            self.sample(host, now)?;
        }
        let mut sheet = Sheet::default();
        self.write(&mut sheet);
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self { reader: std::mem::take(&mut self.reader), ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, values};

    fn round(network: &mut Network, second: u64, adapters: &[(&str, u64)]) {
        let reading = |(name, n): &(&str, u64)| Reading {
            name: Name::new(name.as_bytes()).unwrap(),
            counters: [*n; COUNTERS],
        };
        network.readings = adapters.iter().map(reading).collect();
        network.take(at(second));
    }

    #[test]
    fn a_name_never_tells_a_hardware_address() {
        assert_eq!(told("enx78e7d1ea46da"), "enx*");
        assert_eq!(told("wlx0a1b2c3d4e5f"), "wlx*");
        for name in ["eth0", "enp0s31f6", "enP2p1s0", "wlan0", "Ethernet 2"] {
            assert_eq!(told(name), name);
        }
    }

    #[test]
    fn adapters_that_are_told_as_one_name_are_added_up() {
        let mut network = Network::new();
        for second in [0, 10] {
            round(
                &mut network,
                second,
                &[("enx78e7d1ea46da", second), ("enx78e7d1ea46db", second)],
            );
        }
        let mut sheet = Sheet::default();
        network.write(&mut sheet);
        let expected = [("enx* receive".into(), 20.0), ("enx* transmit".into(), 20.0)];
        assert_eq!(values(&sheet.into_records(), "system.network.io"), expected);
    }

    #[test]
    fn a_thousand_adapters_stay_within_the_bound() {
        let mut network = Network::new();
        let names: Vec<_> = (0..1000).map(|n| format!("eth{n}")).collect();
        for second in [0, 10] {
            let all: Vec<_> = names.iter().map(|name| (name.as_str(), second)).collect();
            round(&mut network, second, &all);
        }
        let mut sheet = Sheet::default();
        network.write(&mut sheet);
        let records = sheet.into_records();
        assert_eq!(values(&records, "system.network.io").len(), 2 * MAX_ADAPTERS);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("network::told", Says::Stands, &["enx02cafecafe01", "eth0"], told);
    }
}
