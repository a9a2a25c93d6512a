//! Windows: the channels `System` and `Application` of the event log. The channel of security is not read: who
//! logged on is nobody's business here.
//!
//! # Invariants
//! - What the publisher says of a record is told; where it left no words, the values of the record.
//!
//! A channel that the service's account may not read tells nothing.

use std::collections::BTreeMap;

use candor_platform::{EVENT_SOURCE, EventOrder, EventPublisher, EventRecord};

use super::Line;
use crate::windows::channel::{Mark, records};
use crate::windows::entry::Entry;
use crate::{Host, Moment, ProbeError};

const CHANNELS: [&str; 2] = ["System", "Application"];
/// Critical, error and warning.
const QUERY: &str = "*[System[(Level=1 or Level=2 or Level=3)]]";

type Publishers = BTreeMap<String, Option<EventPublisher>>;

/// How far each channel was read.
#[derive(Default)]
pub(super) struct Source {
    marks: [Mark; 2],
}

impl Source {
    /// What was logged since the last look.
    #[expect(clippy::unnecessary_wraps, reason = "one signature with Linux")]
    pub(super) fn lines(&mut self, host: &Host, _now: Moment) -> Result<Vec<Line>, ProbeError> {
        if !host.is_live() {
            return Ok(Vec::new());
        }
        let mut publishers = Publishers::new();
        let mut lines = Vec::new();
        for (channel, mark) in CHANNELS.into_iter().zip(&mut self.marks) {
            let Some(records) = records(channel, QUERY, EventOrder::NewestFirst) else { continue };
            let new = mark.new_of(records);
            let new = new.into_iter().filter(|(entry, _)| entry.provider != EVENT_SOURCE);
            lines.extend(new.map(|(entry, record)| line(entry, &record, &mut publishers)));
        }
        Ok(lines)
    }
}

fn line(entry: Entry, record: &EventRecord, publishers: &mut Publishers) -> Line {
    let known = publishers.entry(entry.provider.clone());
    let publisher = known.or_insert_with(|| EventPublisher::open(&entry.provider));
    let message = publisher.as_ref().and_then(|publisher| record.message(publisher));
    Line::of_windows(entry, message.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn the_first_look_at_this_hosts_log_tells_nothing() {
        let mut source = Source::default();
        assert_eq!(source.lines(&Host::live(), at(0)).unwrap(), []);
        assert_eq!(source.lines(&Host::new("/nonexistent"), at(0)).unwrap(), []);
    }
}
