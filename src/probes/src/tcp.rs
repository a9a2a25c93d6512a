//! TCP: connections by state, and how often something had to be sent again. Level 2; the counters once a
//! minute, the connections with each report.
//!
//! The per-OS file reads; the aggregation is here.
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
use crate::points::{Sheet, during, last, whole, word};
use crate::window::{Continuity, Span, Window};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(unix)]
mod connections;
#[cfg(unix)]
mod linux;
#[cfg(unix)]
use linux::Reader;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::Reader;

/// Segments received and sent, connections opened by others and by this host, segments sent again,
/// attempts that failed.
const COUNTERS: usize = 6;
const RECEIVED_AND_SENT: [usize; 2] = [0, 1];
const OPENED_BY: [usize; 2] = [3, 2];
const AGAIN: usize = 4;
const NOT_OPENED: usize = 5;

/// Number of states.
const STATES: usize = CONNECTION_STATES.len();

/// The probe.
#[derive(Debug)]
pub(crate) struct Tcp {
    reader: Reader,
    beat: Beat,
    continuity: Continuity,
    window: Window<(), COUNTERS>,
}

impl Tcp {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::default(),
            beat: Beat::default(),
            continuity: Continuity::default(),
            window: Window::new(1),
        }
    }

    fn read(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        let counters = self.reader.read(host)?;
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
        let counts = self.reader.states(host);
        let points = CONNECTION_STATES.iter().zip(counts).map(|(state, count)| {
            last(vec![word(state), word(TRANSPORTS[0])], now.wall, count.and_then(whole))
        });
        sheet.add(&CONNECTIONS, points);
        Ok(sheet.into_records())
    }

    fn reset(&mut self) {
        *self = Self { reader: std::mem::take(&mut self.reader), ..Self::new() };
    }
}
