//! The answers about single records and about what left: events with their states, the journal's entries,
//! volumes by day; and the questions that they answer.
//!
//! # Invariants
//! - A page is bounded; where more may follow, `next` says from where to go on, also where nothing of the
//!   part that was looked at matched.
//! - An unknown question is refused, as an unknown field is.
//!
//! On failure: a [`Refusal`] of code `bad_request`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Refusal, query};

/// Events on a page where nothing is said, and at most.
const EVENTS: (usize, usize) = (100, 1000);
/// Events with their content on a page at most.
const FULL: usize = 250;
/// Entries of the journal on a page where nothing is said, and at most.
const ENTRIES: (usize, usize) = (50, 500);
/// Days where nothing is said, and at most.
const DAYS: (usize, usize) = (30, 366);

/// `GET /v1/events?…`: which events. Without anything: the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsRequest {
    /// `state`: only in one of these states; empty for all.
    pub states: Vec<String>,
    /// `level`: only of this level.
    pub level: Option<u8>,
    /// `name`: only those whose name begins like this.
    pub name: Option<String>,
    /// `since`: not before this time, RFC 3339.
    pub since: Option<String>,
    /// `until`: before this time, RFC 3339.
    pub until: Option<String>,
    /// `text`: only those that hold each of these words, whatever their case.
    pub text: Option<String>,
    /// `before`: a page's `next`.
    pub before: Option<u64>,
    /// `limit`: at most so many.
    pub limit: Option<usize>,
    /// `full`: with their content.
    pub full: bool,
}

/// The states that an event can be in.
pub const STATES: [&str; 6] = ["pending", "in_flight", "sent", "rejected", "dropped", "withdrawn"];

impl EventsRequest {
    /// How many events a page has at most.
    #[must_use]
    pub fn most(&self) -> usize {
        let most = if self.full { FULL } else { EVENTS.1 };
        self.limit.unwrap_or(EVENTS.0).clamp(1, most)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut request = Self::default();
        for (key, value) in query::pairs(text)? {
            match key.as_str() {
                "state" => request.states = states(&value)?,
                "level" => request.level = Some(level(&value)?),
                "name" => request.name = Some(value),
                "since" => request.since = Some(value),
                "until" => request.until = Some(value),
                "text" => request.text = Some(value),
                "before" => request.before = Some(query::number("before", &value)?),
                "limit" => request.limit = Some(query::number("limit", &value)?),
                "full" => request.full = truth(&value)?,
                _ => return Err(query::unknown(&key)),
            }
        }
        Ok(request)
    }

    pub(crate) fn to_query(&self) -> String {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        query::text(&[
            ("state", (!self.states.is_empty()).then(|| self.states.join(","))),
            ("level", number(self.level.map(u64::from))),
            ("name", self.name.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("text", self.text.clone()),
            ("before", number(self.before)),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("full", self.full.then(|| "true".to_owned())),
        ])
    }
}

fn truth(text: &str) -> Result<bool, Refusal> {
    text.parse()
        .map_err(|_| Refusal::bad_request(format!("`full` must be true or false and is `{text}`")))
}

fn states(text: &str) -> Result<Vec<String>, Refusal> {
    let states: Vec<String> = text.split(',').map(str::to_owned).collect();
    match states.iter().find(|state| !STATES.contains(&state.as_str())) {
        None => Ok(states),
        Some(state) => {
            let text = format!("there is no state `{state}`: write {}", STATES.join(", "));
            Err(Refusal::bad_request(text))
        }
    }
}

fn level(text: &str) -> Result<u8, Refusal> {
    match text.parse() {
        Ok(level @ 0..=3) => Ok(level),
        _ => Err(Refusal::bad_request(format!("`level` must be 0 to 3 and is `{text}`"))),
    }
}

/// `GET /v1/journal?before=N&limit=N`: which entries. Without anything: the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalRequest {
    /// Only those with a smaller number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl JournalRequest {
    /// How many entries a page has at most.
    #[must_use]
    pub fn most(&self) -> usize {
        self.limit.unwrap_or(ENTRIES.0).clamp(1, ENTRIES.1)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut request = Self::default();
        for (key, value) in query::pairs(text)? {
            match key.as_str() {
                "before" => request.before = Some(query::number("before", &value)?),
                "limit" => request.limit = Some(query::number("limit", &value)?),
                _ => return Err(query::unknown(&key)),
            }
        }
        Ok(request)
    }

    pub(crate) fn to_query(self) -> String {
        let before = self.before.map(|number| number.to_string());
        query::text(&[("before", before), ("limit", self.limit.map(|limit| limit.to_string()))])
    }
}

/// The days that `GET /v1/volume?days=N` asks for.
pub(crate) fn days(text: &str) -> Result<usize, Refusal> {
    let mut days = DAYS.0;
    for (key, value) in query::pairs(text)? {
        match key.as_str() {
            "days" => days = query::number("days", &value)?,
            _ => return Err(query::unknown(&key)),
        }
    }
    Ok(days.clamp(1, DAYS.1))
}

/// One record and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its sequence number; of a range of dropped ones the last.
    pub seq: u64,
    /// Its id; null where its content is gone.
    pub uid: Option<String>,
    /// Its name; null where its content is gone, and of a plain log record.
    pub name: Option<String>,
    /// Its level, 0 to 3; null where it is no longer known.
    pub level: Option<u8>,
    /// `log`, `metric` or `span`; null where its content is gone.
    pub kind: Option<String>,
    /// When it happened, RFC 3339; null where its content is gone.
    pub time: Option<String>,
    /// `pending`, `in_flight`, `sent`, `rejected`, `dropped` or `withdrawn`.
    pub state: String,
    /// Why it was dropped or withdrawn.
    pub reason: Option<String>,
    /// What the receiver answered.
    pub answer: Option<String>,
    /// The number of the journal's entry that it left with.
    pub request: Option<u64>,
    /// Of a range of dropped numbers: the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<u64>,
    /// Of a range of dropped numbers: how many of them are gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// Its content, where it was asked for, as `events --json` prints it: attributes, unit and points, trace
    /// and span ids.
    #[serde(flatten)]
    pub content: Map<String, Value>,
}

/// A page of events: `GET /v1/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// Newest first.
    pub events: Vec<Event>,
    /// `before` of the next page, where more may follow.
    pub next: Option<u64>,
}

/// One record in full: `GET /v1/events/{seq}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventDetail {
    /// What a page says of it, with its content.
    #[serde(flatten)]
    pub event: Event,
    /// What was said of the sender: with the request that it left with, and of a local program's record also while
    /// it waits; else null.
    pub resource: Value,
    /// The local program's provider, whose manifest explains it; null of the agent's own records.
    #[serde(default)]
    pub provider: Option<String>,
    /// The boot in which it was observed.
    pub boot_id: Option<String>,
    /// The record's protobuf message in base64; null where it is gone.
    pub bytes: Option<String>,
    /// Each field with what the catalog says of it.
    pub fields: Vec<FieldDetail>,
}

/// One field of a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldDetail {
    /// Its key.
    pub name: String,
    /// Its value; of a metric's attribute every value that its points have.
    pub value: Value,
    /// The lowest level at which it may be sent; null where neither the catalog nor a manifest knows it.
    pub level: Option<u8>,
    /// What kind of fact it is.
    pub class: Option<String>,
    /// Why its event is collected.
    pub purpose: Option<String>,
    /// The words of the catalog, or of the program's manifest.
    pub text: Option<String>,
}

/// A page of what left: `GET /v1/journal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPage {
    /// Newest first.
    pub entries: Vec<JournalEntry>,
    /// Requests that left and could not be written down, among these entries.
    pub holes: Vec<JournalHole>,
    /// Most bytes that the journal may take; 0 where none is kept.
    #[serde(default)]
    pub max_bytes: u64,
    /// `before` of the next page, where more follows.
    pub next: Option<u64>,
}

/// One request that left, or may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its number.
    pub number: u64,
    /// When, RFC 3339.
    pub time: String,
    /// The whole address that it was posted to.
    pub endpoint: String,
    /// The pin that matched.
    pub pin: String,
    /// `1.2` or `1.3`.
    pub tls: String,
    /// `answered`, `lost`, `timed_out`, `not_http`, `broken_off`, `in_flight`, or `unknown` where the agent was
    /// killed on the way.
    pub outcome: String,
    /// The HTTP status; null without an answer.
    pub status: Option<u16>,
    /// The receiver's words, or what happened.
    pub answer: Option<String>,
    /// `log`, `metric` or `span`.
    pub kind: String,
    /// How many records it carried.
    pub records: u64,
    /// Bytes of the records before compression.
    pub raw_bytes: u64,
    /// Bytes of the body as it left.
    pub body_bytes: u64,
    /// `zstd`, `gzip` or `identity`.
    pub encoding: String,
    /// SHA-256 of its record in the journal, which covers the one before it; hexadecimal.
    pub hash: String,
}

/// Requests that could not be written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHole {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// When the last of them left, RFC 3339.
    pub time: String,
    /// Why.
    pub reason: String,
}

/// What left by day: `GET /v1/volume`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Days on which something left, oldest first, as far as the journal reaches.
    pub days: Vec<DayVolume>,
}

/// What left on one day, repetitions included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayVolume {
    /// `2026-11-20`, UTC.
    pub day: String,
    /// Requests.
    pub requests: u64,
    /// Bytes of their bodies as they left.
    pub body_bytes: u64,
    /// Records in them.
    pub records: u64,
    /// By level, `0` to `3`: records and their bytes before compression.
    pub by_level: BTreeMap<String, LevelVolume>,
    /// By the first word of the records' names (`candor.` aside): bytes before compression.
    pub by_category: BTreeMap<String, u64>,
}

/// What left of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelVolume {
    /// Records.
    pub records: u64,
    /// Their bytes before compression.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_reads_back_from_its_query() {
        let request = EventsRequest {
            states: vec!["sent".into(), "pending".into()],
            level: Some(2),
            name: Some("candor.device & co".into()),
            since: Some("2026-11-20T08:00:00+01:00".into()),
            until: Some("2026-11-21T00:00:00Z".into()),
            text: Some("größer 100%".into()),
            before: Some(7),
            limit: Some(5),
            full: true,
        };
        let text = request.to_query();
        assert!(text.starts_with('?') && text.is_ascii() && !text.contains(' '), "{text}");
        assert_eq!(EventsRequest::parse(&text[1..]).unwrap(), request);
        assert_eq!(EventsRequest::parse("").unwrap(), EventsRequest::default());
        assert_eq!(EventsRequest::default().to_query(), "");
        let page = JournalRequest { before: Some(9), limit: None };
        assert_eq!(JournalRequest::parse(&page.to_query()[1..]).unwrap(), page);
        assert_eq!(days("days=7").unwrap(), 7);
    }

    #[test]
    fn a_wrong_question_is_refused_with_what_to_write() {
        for (text, says) in [
            ("state=gone", "pending"),
            ("level=4", "0 to 3"),
            ("before=-1", "before"),
            ("limit=many", "limit"),
            ("nmae=x", "nmae"),
            ("name=%zz", "%"),
            ("name=%ff", "UTF-8"),
        ] {
            let refusal = EventsRequest::parse(text).unwrap_err();
            assert!(refusal.message.contains(says), "{text}: {refusal}");
        }
        assert!(days("days=x").is_err() && JournalRequest::parse("page=1").is_err());
    }

    #[test]
    fn a_page_is_bounded_whatever_is_asked_for() {
        let most = |limit| EventsRequest { limit, ..EventsRequest::default() }.most();
        assert_eq!([most(None), most(Some(0)), most(Some(1_000_000))], [100, 1, 1000]);
        assert_eq!(days("days=100000").unwrap(), 366);
    }
}
