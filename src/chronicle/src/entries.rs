//! What left, request by request, newest first.

use std::ops::ControlFlow;

use candor_control::protocol::{JournalEntry, JournalHole, JournalPage, JournalRequest};
use candor_journal::{Entry, Hole, Look, Reader};

use crate::ChronicleError;
use crate::event::rfc3339;

/// A page of the journal; `flying` is the number of the request that is on its way now.
///
/// # Errors
/// [`ChronicleError::Journal`].
pub fn journal(
    reader: &Reader,
    flying: Option<u64>,
    request: JournalRequest,
) -> Result<JournalPage, ChronicleError> {
    let (mut page, most) = (JournalPage::default(), request.most());
    let before = request.before.unwrap_or(u64::MAX);
    reader.newest_first(|look| {
        match look {
            Look::Entry(entry, _) if entry.number < before => {
                if page.entries.len() == most {
                    page.next = page.entries.last().map(|entry| entry.number);
                    return ControlFlow::Break(());
                }
                page.entries.push(shown(&entry, flying));
            }
            Look::Hole(hole) if hole.last < before => page.holes.push(shown_hole(hole)),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(page)
}

/// The exact bytes of a request's body; `None` where there is no such entry (any more).
///
/// # Errors
/// [`ChronicleError::Journal`], also where the bytes are no longer those that were written.
pub fn journal_body(reader: &Reader, number: u64) -> Result<Option<Vec<u8>>, ChronicleError> {
    let Some(entry) = reader.find(number)? else { return Ok(None) };
    Ok(reader.body(&entry)?)
}

fn shown(entry: &Entry, flying: Option<u64>) -> JournalEntry {
    let outcome = entry.outcome.as_ref();
    let unknown = if flying == Some(entry.number) { "in_flight" } else { "unknown" };
    let hex =
        |hash: [u8; 32]| hash.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"));
    let words = outcome.map(|outcome| outcome.answer.clone()).filter(|words| !words.is_empty());
    JournalEntry {
        number: entry.number,
        time: rfc3339(entry.request.time),
        endpoint: entry.request.endpoint.clone(),
        pin: entry.request.pin.clone(),
        tls: entry.request.tls.clone(),
        outcome: outcome.map_or(unknown, |outcome| outcome.ending.word()).to_owned(),
        status: outcome.and_then(|outcome| outcome.ending.status()),
        answer: words,
        kind: entry.request.kind.name().to_owned(),
        records: entry.request.records(),
        raw_bytes: entry.request.raw_bytes(),
        body_bytes: entry.body_bytes,
        encoding: entry.request.encoding.clone(),
        hash: hex(entry.hash),
    }
}

fn shown_hole(hole: Hole) -> JournalHole {
    let time = rfc3339(hole.time);
    JournalHole { first: hole.first, last: hole.last, time, reason: hole.reason }
}
