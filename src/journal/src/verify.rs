//! Derives every hash again and names what disagrees, entry by entry.
//!
//! ```text
//! a byte of the record's hash or content: its own hash disagrees; the next one follows from what stands
//! a byte of its head: it cannot be read; its neighbours say which entry it is
//! ```
//!
//! # Invariants
//! - Whatever the bytes are, this ends and names; it neither fails nor changes a byte.
//! - An unfinished end is no finding: it is what a power cut leaves, and the next start repairs it.

use std::path::Path;

use crate::entry::{HoleFacts, RequestFacts};
use crate::error::JournalError;
use crate::frame::{HASH, What};
use crate::hash::{BEGINNING, Hash};
use crate::reader::follows;
use crate::segment;
use crate::walk::{Record, Step, Walk};

/// Findings that are written out; more are counted.
const MOST: usize = 20;

/// What reading everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Requests that stand there.
    pub entries: u64,
    /// The number of the oldest.
    pub first: Option<u64>,
    /// The number of the newest.
    pub last: Option<u64>,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Requests that left and could not be written down.
    pub holes: u64,
    /// Bytes of an unfinished end that the next start cuts off.
    pub torn: u64,
    /// Entries that were changed after they were written, each once, in order.
    pub changed: Vec<u64>,
    findings: Vec<String>,
}

impl Verdict {
    /// Whether everything is as it was written.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// What disagrees, each in a sentence; none when it is sound.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut findings: Vec<String> = self.findings.iter().take(MOST).cloned().collect();
        if let Some(more) = self.findings.len().checked_sub(MOST).filter(|more| *more > 0) {
            findings.push(format!("{more} more findings in the journal"));
        }
        findings
    }
}

/// Verifies these segments; a length that the writer knows must be there.
pub(crate) fn verify(dir: &Path, segments: &[(u64, Option<u64>)]) -> Result<Verdict, JournalError> {
    let mut chain = Chain::default();
    let mut before: Option<u64> = None;
    for (place, &(number, length)) in segments.iter().enumerate() {
        let bytes = segment::load(&segment::path(dir, number), length)?;
        let Some(bytes) = bytes else {
            // Let go meanwhile, which only ever happens to the oldest.
            if before.is_some() {
                chain.segment_is_missing(number);
            }
            continue;
        };
        for missing in before.map_or(number, |before| before + 1)..number {
            chain.segment_is_missing(missing);
        }
        let is_last = place + 1 == segments.len();
        let is_short = length.is_some_and(|length| (bytes.len() as u64) < length);
        chain.segment(&bytes, (before.is_none(), is_last && length.is_none()), is_short);
        before = Some(number);
    }
    Ok(chain.verdict)
}

/// The state of a walk from record to record.
#[derive(Default)]
struct Chain {
    verdict: Verdict,
    /// What the next record may follow: what stands at the end of the last one, or what should.
    candidates: Vec<Hash>,
    last: Option<(What, u64)>,
}

impl Chain {
    fn segment(&mut self, bytes: &[u8], (is_first, may_be_torn): (bool, bool), is_short: bool) {
        self.verdict.bytes += bytes.len() as u64;
        let mut steps = Walk::new(bytes).peekable();
        let mut is_begun = false;
        while let Some(step) = steps.next() {
            match step {
                Step::Record(record) => {
                    if !is_begun {
                        self.begin(&record, is_first);
                    }
                    self.record(&record);
                }
                Step::Broken { bytes } => {
                    let after = match steps.peek() {
                        Some(Step::Record(record)) => Some((record.head.what, record.head.number)),
                        _ => None,
                    };
                    self.broken(bytes, after, is_begun);
                }
                Step::Torn { at } if may_be_torn => self.verdict.torn += (bytes.len() - at) as u64,
                Step::Torn { .. } => {
                    let number = self.next_number();
                    self.changed(number, "its end is missing");
                }
            }
            is_begun = true;
        }
        if is_short {
            let number = self.next_number();
            self.changed(number, "it is missing");
        }
    }

    /// The first record of a segment: what the oldest one follows is known only from itself.
    fn begin(&mut self, record: &Record<'_>, is_first: bool) {
        let follows = (record.head.what == What::Start).then(|| follows(record)).flatten();
        if is_first {
            self.candidates = follows.into_iter().collect();
            self.last = None;
        } else if let Some(follows) = follows
            && !self.candidates.contains(&follows)
        {
            let number = record.head.number;
            self.changed(number, "it does not follow the segment before it");
            self.candidates = vec![follows];
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        let stored = record.stored();
        let number = record.head.number;
        if self.candidates.is_empty() {
            self.candidates.push(BEGINNING);
        }
        let computed: Vec<Hash> = self.candidates.iter().map(|c| record.computed(c)).collect();
        if computed.contains(&stored) && is_readable(record) {
            self.candidates = vec![stored];
        } else {
            self.changed(number, "its hash does not agree");
            self.candidates = computed;
            self.candidates.push(stored);
        }
        self.count(record);
        self.last = Some((record.head.what, number));
    }

    fn count(&mut self, record: &Record<'_>) {
        let number = record.head.number;
        match record.head.what {
            What::Request => {
                self.verdict.entries += 1;
                self.verdict.first.get_or_insert(number);
                self.verdict.last = Some(number);
            }
            What::Hole => {
                let facts: Option<HoleFacts> = serde_json::from_slice(record.facts()).ok();
                let first = facts.map_or(number, |facts| facts.first);
                self.verdict.holes += (number + 1).saturating_sub(first);
            }
            What::Start | What::Outcome | What::Repair => {}
        }
    }

    /// A stretch that is no record: its neighbours, or what can still be read of it, name it.
    fn broken(&mut self, bytes: &[u8], after: Option<(What, u64)>, is_begun: bool) {
        let next = self.next_number();
        let before = self.last.map_or(next, |(_, number)| number);
        let number = match (self.last, after) {
            (None, _) => after.map_or(next, |(_, number)| number),
            // The start of a segment, which has the number of the entry behind it.
            _ if !is_begun => after.map_or(next, |(_, number)| number),
            (_, Some((What::Request, number))) if number == next => before,
            (_, Some((_, number))) if number >= next => next,
            (_, Some(_)) => before,
            (_, None) => {
                let what = bytes.get(4).and_then(|byte| What::from_byte(*byte));
                let is_request = what == Some(What::Request)
                    || what.is_none() && bytes.get(5..13) == Some(&next.to_le_bytes()[..]);
                if is_request { next } else { before }
            }
        };
        self.changed(number, "it cannot be read");
        self.candidates = bytes.last_chunk::<HASH>().into_iter().copied().collect();
        self.last = self.last.map(|(what, last)| (what, last.max(number)));
    }

    fn segment_is_missing(&mut self, segment: u64) {
        let number = self.next_number();
        let text =
            format!("journal segment {segment} is missing: entry {number} and what followed it");
        self.verdict.findings.push(text);
        self.candidates.clear();
    }

    fn next_number(&self) -> u64 {
        self.last.map_or(1, |(what, number)| if what == What::Start { number } else { number + 1 })
    }

    fn changed(&mut self, number: u64, how: &str) {
        if self.verdict.changed.last() != Some(&number) {
            self.verdict.changed.push(number);
            self.verdict.findings.push(format!("journal entry {number} was changed: {how}"));
        }
    }
}

/// Whether the facts of a request are such that it can be shown.
fn is_readable(record: &Record<'_>) -> bool {
    record.head.what != What::Request
        || serde_json::from_slice::<RequestFacts>(record.facts())
            .is_ok_and(|facts| facts.request().is_some())
}
