//! One record in the words of the API.
//!
//! # Invariants
//! - What is not known is null: a record whose content is gone has a number and a state.

use std::time::SystemTime;

use candor_control::protocol::Event;
use candor_journal::{Entry, Fate};
use candor_model::{DropReason, Kind, Level};
use candor_otlp::{DecodedRecord, json};
use candor_spool::Gap;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// A time as RFC 3339 in UTC.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| time.to_string()).unwrap_or_default()
}

/// What is known of a record beside its content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) seq: u64,
    pub(crate) kind: Option<Kind>,
    pub(crate) level: Option<Level>,
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) answer: Option<String>,
    pub(crate) request: Option<u64>,
}

impl Known {
    /// A record that left with this entry.
    pub(crate) fn sent(seq: u64, entry: &Entry) -> Self {
        let is_refused = entry.fate() == Fate::Refused;
        let run = entry.request.runs.iter().find(|run| (run.first..=run.last()).contains(&seq));
        Self {
            seq,
            kind: Some(entry.request.kind),
            level: run.map(|run| run.level),
            state: if is_refused { "rejected" } else { "sent" },
            reason: is_refused.then(|| DropReason::Rejected.word().to_owned()),
            answer: answer(entry),
            request: Some(entry.number),
        }
    }

    /// The event, with its content where there is any.
    pub(crate) fn event(self, record: Option<&DecodedRecord>) -> Event {
        let time = record.map(|record| json::time(record.time));
        let level = record.and_then(|record| record.level).or(self.level);
        let name = record.map(|record| record.name.clone()).filter(|name| !name.is_empty());
        Event {
            seq: self.seq,
            uid: record.and_then(|record| record.uid.clone()),
            name,
            level: level.map(Level::number),
            kind: self.kind.map(|kind| kind.name().to_owned()),
            time: time.and_then(|time| time.as_str().map(str::to_owned)),
            state: self.state.to_owned(),
            reason: self.reason,
            answer: self.answer,
            request: self.request,
            ..Event::default()
        }
    }
}

/// What was answered to an entry: the status and the receiver's words, and how many it refused.
pub(crate) fn answer(entry: &Entry) -> Option<String> {
    let outcome = entry.outcome.as_ref()?;
    let status = outcome.ending.status().map(|status| format!("HTTP {status}"));
    let rejected = (outcome.rejected > 0)
        .then(|| format!("{} of {} refused", outcome.rejected, entry.request.records()));
    let words = (!outcome.answer.is_empty()).then(|| outcome.answer.clone());
    let said: Vec<String> = [status, rejected, words].into_iter().flatten().collect();
    Some(said.join(": "))
}

/// A range of dropped numbers.
pub(crate) fn dropped(gap: &Gap) -> Event {
    let is_owners = gap.reason.is_owners_choice();
    Event {
        seq: gap.last,
        state: if is_owners { "withdrawn" } else { "dropped" }.to_owned(),
        reason: Some(gap.reason.word().to_owned()),
        first: Some(gap.first),
        count: Some(gap.count),
        ..Event::default()
    }
}

/// A record's content without what an [`Event`] says already.
pub(crate) fn content(record: &DecodedRecord) -> Map<String, Value> {
    let mut content = json::to_json(record);
    for key in ["name", "level", "kind", "time"] {
        content.remove(key);
    }
    content
}
