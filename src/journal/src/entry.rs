//! What an entry says: a request and its outcome, or a hole; and how their facts are written as JSON.
//!
//! # Invariants
//! - Times are labels of the wall clock, in milliseconds since 1970.
//! - Runs stand in the order of the records in the body, so that a record is found by its place.
//!
//! On failure: facts that cannot be read are `None`; the caller counts the record as changed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candor_model::{Kind, Level};
use serde::{Deserialize, Serialize};

use crate::segment::Place;

/// Characters kept of a receiver's words.
const WORDS: usize = 200;

/// Records of one level whose numbers follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The number of the first.
    pub first: u64,
    /// How many.
    pub records: u32,
    /// Their level.
    pub level: Level,
    /// Their bytes before compression.
    pub bytes: u64,
}

impl Run {
    /// The number of the last.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.first + (self.records as u64).saturating_sub(1)
    }
}

/// A request that is about to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When.
    pub time: SystemTime,
    /// The whole address that it is posted to.
    pub endpoint: String,
    /// The pin that matched, `sha256/…`.
    pub pin: String,
    /// `1.2` or `1.3`.
    pub tls: String,
    /// The OTLP signal of its records.
    pub kind: Kind,
    /// `zstd`, `gzip` or `identity`.
    pub encoding: String,
    /// Which records, in their order in the body.
    pub runs: Vec<Run>,
}

impl Request {
    /// How many records it carries.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.records)).sum()
    }

    /// Bytes of its records before compression.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes).sum()
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// An HTTP answer.
    Answered {
        /// Its status code.
        status: u16,
    },
    /// The connection broke before the answer was whole.
    Lost,
    /// No answer in time.
    TimedOut,
    /// An answer that is not HTTP.
    NotHttp,
    /// We broke it off: settings, or the stop.
    BrokenOff,
}

impl Ending {
    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Lost => "lost",
            Self::TimedOut => "timed_out",
            Self::NotHttp => "not_http",
            Self::BrokenOff => "broken_off",
        }
    }

    fn of(word: &str, status: Option<u16>) -> Option<Self> {
        match (word, status) {
            ("answered", Some(status)) => Some(Self::Answered { status }),
            ("lost", _) => Some(Self::Lost),
            ("timed_out", _) => Some(Self::TimedOut),
            ("not_http", _) => Some(Self::NotHttp),
            ("broken_off", _) => Some(Self::BrokenOff),
            _ => None,
        }
    }

    /// The HTTP status, where there is one.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Answered { status } => Some(status),
            _ => None,
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When.
    pub time: SystemTime,
    /// How it ended.
    pub ending: Ending,
    /// The receiver's words, or what happened; at most 200 characters are kept.
    pub answer: String,
    /// Records that the receiver took the request without.
    pub rejected: u64,
}

/// What an outcome means for the request's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The receiver has them.
    Taken,
    /// The receiver refused them for good: all of the request, or its only one.
    Refused,
    /// They went again, or will.
    Open,
}

/// A request that left, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; the first ever is 1.
    pub number: u64,
    /// What left.
    pub request: Request,
    /// Bytes of the body as they went over the wire.
    pub body_bytes: u64,
    /// The hash of the request's record.
    pub hash: [u8; 32],
    /// What became of it; `None` while it is on its way, and where the agent was killed meanwhile.
    pub outcome: Option<Outcome>,
    pub(crate) place: Place,
}

impl Entry {
    /// What became of its records.
    #[must_use]
    pub fn fate(&self) -> Fate {
        let Some(outcome) = &self.outcome else { return Fate::Open };
        let records = self.request.records();
        match outcome.ending {
            Ending::Answered { status: 200..=299 } if outcome.rejected >= records => Fate::Refused,
            Ending::Answered { status: 200..=299 } => Fate::Taken,
            // What cannot be split any more.
            Ending::Answered { status: 400 | 413 | 422 } if records <= 1 => Fate::Refused,
            _ => Fate::Open,
        }
    }
}

/// Requests that left and could not be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// When the last of them left.
    pub time: SystemTime,
    /// Why it could not be written down.
    pub reason: String,
}

/// Facts of the start of a segment.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartFacts {
    pub(crate) version: u32,
    /// When it was begun.
    pub(crate) time: u64,
    pub(crate) previous: String,
}

/// Facts of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RequestFacts {
    time: u64,
    endpoint: String,
    pin: String,
    tls: String,
    kind: i64,
    encoding: String,
    /// First number, how many, level, bytes.
    runs: Vec<(u64, u32, i64, u64)>,
}

impl From<&Request> for RequestFacts {
    fn from(request: &Request) -> Self {
        let run = |run: &Run| (run.first, run.records, i64::from(run.level.number()), run.bytes);
        Self {
            time: millis(request.time),
            endpoint: request.endpoint.clone(),
            pin: request.pin.clone(),
            tls: request.tls.clone(),
            kind: request.kind as i64,
            encoding: request.encoding.clone(),
            runs: request.runs.iter().map(run).collect(),
        }
    }
}

impl RequestFacts {
    pub(crate) fn request(self) -> Option<Request> {
        let run = |(first, records, level, bytes): (u64, u32, i64, u64)| {
            Some(Run { first, records, level: Level::from_number(level)?, bytes })
        };
        Some(Request {
            time: time(self.time),
            endpoint: self.endpoint,
            pin: self.pin,
            tls: self.tls,
            kind: Kind::from_number(self.kind)?,
            encoding: self.encoding,
            runs: self.runs.into_iter().map(run).collect::<Option<_>>()?,
        })
    }
}

/// Facts of an outcome.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OutcomeFacts {
    time: u64,
    ending: String,
    status: Option<u16>,
    answer: String,
    rejected: u64,
}

impl From<&Outcome> for OutcomeFacts {
    fn from(outcome: &Outcome) -> Self {
        Self {
            time: millis(outcome.time),
            ending: outcome.ending.word().to_owned(),
            status: outcome.ending.status(),
            answer: outcome.answer.chars().take(WORDS).collect(),
            rejected: outcome.rejected,
        }
    }
}

impl OutcomeFacts {
    pub(crate) fn outcome(self) -> Option<Outcome> {
        Some(Outcome {
            time: time(self.time),
            ending: Ending::of(&self.ending, self.status)?,
            answer: self.answer,
            rejected: self.rejected,
        })
    }
}

/// Facts of a hole.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HoleFacts {
    pub(crate) time: u64,
    pub(crate) first: u64,
    pub(crate) reason: String,
}

/// Facts of a repair.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RepairFacts {
    /// Bytes that were cut off.
    pub(crate) cut: u64,
}

pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn time(millis: u64) -> SystemTime {
    // Beyond what the system can say is no time that a clock showed.
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}
