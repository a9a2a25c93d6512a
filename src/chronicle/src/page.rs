//! A page of the timeline: numbers from every source, newest first, until the page is full or its time is spent.
//!
//! # Invariants
//! - A number is shown once: what waits before what left, what left before what was dropped.
//! - A page that ended early goes on exactly below the last number that was looked at.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use candor_control::protocol::{Event, EventPage, EventsRequest};
use candor_model::{DropReason, Kind};
use candor_otlp::{DecodedRecord, decode_frame, frame_len};
use candor_spool::{Gap, Row};
use serde_json::Map;

use crate::body::Bodies;
use crate::event::{Known, content, dropped};
use crate::pieces::{Pieces, Source};
use crate::query::Query;
use crate::{ChronicleError, Sources};

/// A page of events. `budget` is how long it may be looked for; a page that is not full by then is given as it
/// is.
///
/// # Errors
/// [`ChronicleError`].
pub fn events(
    mut sources: Sources<'_>,
    request: &EventsRequest,
    budget: Duration,
) -> Result<EventPage, ChronicleError> {
    let query = Query::of(request)?;
    let before = request.before.unwrap_or(u64::MAX);
    let (dead, gaps) = match sources.waiting.as_mut() {
        Some(waiting) => (waiting.dead_letters()?, waiting.gaps()?),
        None => (Vec::new(), Vec::new()),
    };
    let pieces = Pieces::find(sources.journal, dead, &query, before)?;
    let gaps = shown_gaps(gaps, &pieces, before);
    let rows = Rows { held: VecDeque::new(), from: Some(before), wanted: wants_waiting(&query) };
    let mut timeline =
        Timeline { sources, query, pieces, gaps, rows, bodies: Bodies::default(), cursor: before };
    let (mut page, most) = (EventPage::default(), request.most());
    // From here on: a journal that takes long to look over still gives more than one event a page.
    let end = Instant::now() + budget;
    while timeline.step(&mut page.events)? {
        if page.events.len() >= most || Instant::now() >= end {
            page.next = Some(timeline.cursor).filter(|cursor| *cursor > 1);
            break;
        }
    }
    Ok(page)
}

fn wants_waiting(query: &Query) -> bool {
    query.wants_state("pending") || query.wants_state("in_flight")
}

/// Ranges of drops, the lowest first: the highest is taken from the end. A record that was refused alone is
/// shown with its content.
fn shown_gaps(gaps: Vec<Gap>, pieces: &Pieces, before: u64) -> Vec<Gap> {
    let is_shown = |gap: &Gap| {
        let is_known =
            gap.reason == DropReason::Rejected && gap.count == 1 && pieces.has(gap.first);
        gap.last < before && !is_known
    };
    let mut gaps: Vec<Gap> = gaps.into_iter().filter(is_shown).collect();
    gaps.sort_unstable_by_key(|gap| gap.last);
    gaps
}

struct Timeline<'a> {
    sources: Sources<'a>,
    query: Query,
    pieces: Pieces,
    gaps: Vec<Gap>,
    rows: Rows,
    bodies: Bodies,
    /// Everything from here on was looked at.
    cursor: u64,
}

impl Timeline<'_> {
    /// Looks at the next number and shows what is asked for; false at the end.
    fn step(&mut self, shown: &mut Vec<Event>) -> Result<bool, ChronicleError> {
        let row = self.rows.peek(self.cursor, &mut self.sources)?;
        let highest = row.max(self.pieces.peek());
        if let Some(gap) = self.gaps.pop_if(|gap| highest.is_none_or(|seq| gap.last >= seq)) {
            let event = dropped(&gap);
            shown.extend(self.query.matches(&event, Map::new).then_some(event));
            if highest != Some(gap.last) {
                self.cursor = gap.last;
                return Ok(true);
            }
            // A record with the same number belongs to the same step: the page may end after it.
        }
        let Some(seq) = highest else { return Ok(false) };
        self.cursor = seq;
        if row == Some(seq) {
            self.pieces.pass(seq);
            shown.extend(self.waiting(seq));
        } else if let Some((seq, source)) = self.pieces.next() {
            shown.extend(match source {
                Source::Taken(at) | Source::Refused(at) => self.sent(seq, at),
                Source::Dead(at) => self.dead(at),
            });
        }
        Ok(true)
    }

    fn waiting(&mut self, seq: u64) -> Option<Event> {
        let (flying, number) = &self.sources.flying;
        let is_flying = flying.iter().any(|run| (run.first..=run.last()).contains(&seq));
        let state = if is_flying { "in_flight" } else { "pending" };
        if !self.query.wants_state(state) {
            return None;
        }
        let request = number.filter(|_| is_flying);
        let held = self.rows.held.front()?;
        if !self.query.wants_level(held.row.level.number()) {
            return None;
        }
        let (kind, level) = (Some(held.kind), Some(held.row.level));
        let record = held.record(seq);
        let known = Known { seq, kind, level, state, request, ..Known::default() };
        self.finish(known, record.as_ref())
    }

    fn sent(&mut self, seq: u64, at: usize) -> Option<Event> {
        let entry = &self.pieces.entries[at];
        let body = self.bodies.get(self.sources.journal, entry);
        let record = body.and_then(|body| body.record(entry, seq)).map(|(record, _)| record);
        self.finish(Known::sent(seq, entry), record.as_ref())
    }

    fn dead(&self, at: usize) -> Option<Event> {
        let letter = &self.pieces.dead[at];
        let record = decode_frame(letter.kind, &letter.bytes).ok();
        let known = Known {
            seq: letter.seq,
            kind: Some(letter.kind),
            level: Some(letter.level),
            state: "rejected",
            reason: Some(DropReason::Rejected.word().to_owned()),
            answer: Some(letter.answer.clone()),
            request: None,
        };
        self.finish(known, record.as_ref())
    }

    fn finish(&self, known: Known, record: Option<&DecodedRecord>) -> Option<Event> {
        let mut event = known.event(record);
        let content = || record.map(content).unwrap_or_default();
        if !self.query.matches(&event, content) {
            return None;
        }
        if self.query.full {
            event.content = content();
        }
        Some(event)
    }
}

/// What waits, from its newest end, in pieces.
struct Rows {
    /// The newest first.
    held: VecDeque<Held>,
    /// From where the next piece is asked for; `None` when there is no more.
    from: Option<u64>,
    wanted: bool,
}

/// A row and where its frames begin.
pub(crate) struct Held {
    pub(crate) kind: Kind,
    pub(crate) row: Row,
    /// Its frames; none where they cannot be read.
    bytes: Vec<u8>,
    frames: Vec<usize>,
}

impl Rows {
    /// The highest waiting number below the cursor.
    fn peek(
        &mut self,
        cursor: u64,
        sources: &mut Sources<'_>,
    ) -> Result<Option<u64>, ChronicleError> {
        loop {
            while let Some(held) = self.held.front() {
                if held.row.first_seq < cursor {
                    let last = held.row.first_seq + u64::from(held.row.records) - 1;
                    return Ok(Some(last.min(cursor - 1)));
                }
                self.held.pop_front();
            }
            let Some(from) = self.from.take().filter(|_| self.wanted) else { return Ok(None) };
            let rows = sources.rows_before(from)?;
            self.from = rows.last().map(|(_, row)| row.first_seq);
            self.held.extend(rows.into_iter().map(|(kind, row)| Held::new(kind, row)));
        }
    }
}

impl Held {
    pub(crate) fn new(kind: Kind, row: Row) -> Self {
        let bytes = row.frames().map(Cow::into_owned).unwrap_or_default();
        let (mut frames, mut at) = (Vec::new(), 0);
        while let Some(length) = bytes.get(at..).and_then(|rest| frame_len(kind, rest)) {
            frames.push(at);
            at += length;
        }
        frames.push(at);
        Self { kind, row, bytes, frames }
    }

    /// The frame of a number.
    pub(crate) fn frame(&self, seq: u64) -> Option<&[u8]> {
        let at = usize::try_from(seq.checked_sub(self.row.first_seq)?).ok()?;
        self.bytes.get(*self.frames.get(at)?..*self.frames.get(at + 1)?)
    }

    pub(crate) fn record(&self, seq: u64) -> Option<DecodedRecord> {
        decode_frame(self.kind, self.frame(seq)?).ok()
    }
}
