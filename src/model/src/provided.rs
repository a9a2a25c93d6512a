//! One record of a local program, in parts: what is to be judged (names, texts, attributes), and what
//! is not (times, numbers, ids), which stays in the codec's own bytes.
//!
//! # Invariants
//! - [`Provided::facts`] and [`Part::facts`] hold no text: the codec lets only numbers, times and ids
//!   of a fixed length into them.
//! - A record that no manifest has judged stands at the highest level.

use crate::{Given, Kind, Level};

/// A record of a local program, on its way from ingest to the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Provided {
    /// Which of the three.
    pub kind: Kind,
    /// `event_name` of a log record (empty in plain logs), name of a metric or a span.
    pub name: String,
    /// The lowest level at which it may exist, as its manifest says.
    pub level: Level,
    /// Whether the manifest declares the name; one that is not is free text.
    pub is_declared: bool,
    /// The stable id that the program gave it, where it did.
    pub uid: Option<String>,
    /// The trace that it belongs to.
    pub trace_id: Option<[u8; 16]>,
    /// UCUM unit of a metric; empty where none is said.
    pub unit: String,
    /// The word for its severity that a log record may have.
    pub severity: String,
    /// Which kind of data a metric has, by the codec's number.
    pub data: u32,
    /// Its numbers, times and ids in the codec's bytes; of a metric those that hold for all points.
    pub facts: Vec<u8>,
    /// The body of a log record.
    pub body: Option<Given>,
    /// The attributes: of a log record its own, of a span its own and then those of each part, of a
    /// metric those of each part.
    pub sets: Vec<Vec<Given>>,
    /// The points of a metric, the events and links of a span.
    pub parts: Vec<Part>,
    /// How much of what the program said has no place in it: such as a span's trace state.
    pub unread: u32,
}

/// A point of a metric, something that happened in a span, or a span's link to another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// A link, where the record is a span: else something that happened in it.
    pub is_link: bool,
    /// The name of what happened; empty for a point and a link.
    pub name: String,
    /// Its numbers and times in the codec's bytes.
    pub facts: Vec<u8>,
}

impl Provided {
    /// An empty record of a kind.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            name: String::new(),
            level: Level::Full,
            is_declared: false,
            uid: None,
            trace_id: None,
            unit: String::new(),
            severity: String::new(),
            data: 0,
            facts: Vec::new(),
            body: None,
            sets: Vec::new(),
            parts: Vec::new(),
            unread: 0,
        }
    }

    /// How many of what OTLP counts in an answer: data points of a metric, else one.
    #[must_use]
    pub fn units(&self) -> u64 {
        match self.kind {
            Kind::Metric => u64::try_from(self.parts.len()).unwrap_or(u64::MAX),
            Kind::Log | Kind::Span => 1,
        }
    }
}
