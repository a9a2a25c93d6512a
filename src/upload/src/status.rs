//! What the uploader says of itself: one watched value, from which `status`, health records and
//! the answer to a flush are made.
//!
//! # Invariants
//! - Times are labels of the wall clock; nothing is scheduled by them.
//! - [`State::Ok`] has no trouble; back-off and hold always have one.

use std::time::SystemTime;

use tokio::sync::oneshot;

use crate::{Schedule, Session, Trouble};

/// Whether records leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// They do, at the next interval.
    #[default]
    Ok,
    /// Something passing is in the way; it is tried again by itself.
    BackOff,
    /// Somebody must act; it is probed seldom.
    Hold,
    /// The owner has disabled upload.
    Off,
}

impl State {
    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::BackOff => "backoff",
            Self::Hold => "hold",
            Self::Off => "off",
        }
    }
}

/// How the uploader does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadStatus {
    /// Whether records leave.
    pub state: State,
    /// What is in the way, and what to do about it.
    pub trouble: Option<Trouble>,
    /// Where to.
    pub endpoint: Option<String>,
    /// When a receiver last took records; outlives a restart.
    pub last_success: Option<SystemTime>,
    /// When a request was last begun, since the start.
    pub last_attempt: Option<SystemTime>,
    /// When the next one is due; `None` where only a change or a command can bring it.
    pub next_attempt: Option<SystemTime>,
    /// Which rule decides when ordinary records go.
    pub schedule: Schedule,
    /// Bytes written to the network since the start, TLS included.
    pub bytes_uploaded: u64,
    /// Requests that were answered with success since the start.
    pub requests: u64,
    /// Records that receivers refused for good since the start.
    pub rejected: u64,
    /// Successes since the start whose body could not be read.
    pub unreadable_answers: u64,
    /// The last words of a receiver that had something to say.
    pub message: Option<String>,
    /// What the last handshake agreed on.
    pub session: Option<Session>,
}

impl UploadStatus {
    /// `upload.reason` in `status --json`: one word.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.trouble.as_ref().map(|trouble| trouble.reason.word())
    }

    /// `upload.remedy` in `status --json`: what to do.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.remedy.as_str())
    }

    /// What happened, with its object.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.detail.as_str())
    }
}

/// What a person or a program asks of the uploader.
#[derive(Debug)]
pub enum Command {
    /// Send everything now: what lingers is committed, a hold, a back-off and the day limit end.
    Flush {
        /// Told when everything is decided, or when that cannot be now.
        done: oneshot::Sender<Flushed>,
    },
}

/// The answer to a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Nothing waits any more that waited at the flush.
    pub drained: bool,
    /// Where not, why not.
    pub status: UploadStatus,
}
