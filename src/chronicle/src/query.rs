//! Which events are asked for; pure.
//!
//! # Invariants
//! - What can be told without a record's content is told before it is read.

use candor_control::protocol::{Event, EventsRequest};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::ChronicleError;

/// A question in the form in which it is asked of each record.
#[derive(Debug, Default)]
pub(crate) struct Query {
    states: Vec<String>,
    level: Option<u8>,
    name: Option<String>,
    pub(crate) since: Option<Timestamp>,
    until: Option<Timestamp>,
    words: Vec<String>,
    /// Events are shown with their content.
    pub(crate) full: bool,
}

impl Query {
    pub(crate) fn of(request: &EventsRequest) -> Result<Self, ChronicleError> {
        let words = request.text.as_deref().unwrap_or_default();
        Ok(Self {
            states: request.states.clone(),
            level: request.level,
            name: request.name.clone(),
            since: time("since", request.since.as_deref())?,
            until: time("until", request.until.as_deref())?,
            full: request.full,
            words: words.split_whitespace().map(str::to_lowercase).collect(),
        })
    }

    /// Whether records of a level are asked for.
    pub(crate) fn wants_level(&self, level: u8) -> bool {
        self.level.is_none_or(|wanted| wanted == level)
    }

    /// Whether records in a state are asked for.
    pub(crate) fn wants_state(&self, state: &str) -> bool {
        self.states.is_empty() || self.states.iter().any(|wanted| wanted == state)
    }

    /// Whether an event is asked for; its content is made only where words are looked for.
    pub(crate) fn matches(
        &self,
        event: &Event,
        content: impl FnOnce() -> Map<String, Value>,
    ) -> bool {
        let at = event.time.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
        let begins = |name: &String| event.name.as_deref().is_some_and(|n| n.starts_with(name));
        self.wants_state(&event.state)
            && self.level.is_none_or(|level| event.level == Some(level))
            && self.name.as_ref().is_none_or(begins)
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
            && (self.words.is_empty() || self.has_words(event, content))
    }

    fn has_words(&self, event: &Event, content: impl FnOnce() -> Map<String, Value>) -> bool {
        let known = [&event.name, &event.reason, &event.answer, &event.uid];
        let mut text = Value::Object(content()).to_string();
        for known in known.into_iter().flatten() {
            text.push('\n');
            text.push_str(known);
        }
        let text = text.to_lowercase();
        self.words.iter().all(|word| text.contains(word))
    }
}

fn time(key: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, ChronicleError> {
    let parse =
        |text: &str| text.parse().map_err(|_| ChronicleError::Time { key, text: text.to_owned() });
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            seq: 7,
            name: Some("candor.device.machine".into()),
            level: Some(1),
            time: Some("2026-11-20T08:00:00Z".into()),
            state: "sent".into(),
            ..Event::default()
        }
    }

    fn asks(change: impl FnOnce(&mut EventsRequest)) -> bool {
        let mut request = EventsRequest::default();
        change(&mut request);
        let content = || [("attributes".to_owned(), "Größe 42".into())].into_iter().collect();
        Query::of(&request).unwrap().matches(&event(), content)
    }

    #[test]
    fn every_part_of_a_question_counts_alone() {
        assert!(asks(|_| {}));
        assert!(asks(|r| r.states = vec!["pending".into(), "sent".into()]));
        assert!(!asks(|r| r.states = vec!["pending".into()]));
        assert!(asks(|r| r.level = Some(1)) && !asks(|r| r.level = Some(2)));
        assert!(asks(|r| r.name = Some("candor.dev".into())));
        assert!(!asks(|r| r.name = Some("device".into())));
        assert!(asks(|r| r.since = Some("2026-11-20T09:00:00+01:00".into())));
        assert!(!asks(|r| r.since = Some("2026-11-20T08:00:01Z".into())));
        assert!(!asks(|r| r.until = Some("2026-11-20T08:00:00Z".into())));
        assert!(asks(|r| r.text = Some("GRÖSSE".to_lowercase().replace("ss", "ß"))));
        assert!(asks(|r| r.text = Some("42 machine".into())));
        assert!(!asks(|r| r.text = Some("42 processor".into())));
    }

    #[test]
    fn a_time_that_is_none_is_named() {
        let request = EventsRequest { since: Some("yesterday".into()), ..EventsRequest::default() };
        let error = Query::of(&request).unwrap_err();
        assert!(error.to_string().contains("yesterday"), "{error}");
    }
}
