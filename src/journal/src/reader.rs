//! What stands in the journal, read segment by segment: newest first for those who look, in order for those
//! who verify. Beside the writer, and without an agent.
//!
//! # Invariants
//! - One segment is held at a time: about 1 MiB, more only where a single body is larger.
//! - A body is given out only if its bytes are those that were written.
//!
//! On failure: a [`JournalError`]; a segment that is gone meanwhile was let go, and is passed over.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::entry::{Entry, Hole, HoleFacts, Outcome, OutcomeFacts, RequestFacts, StartFacts, time};
use crate::error::JournalError;
use crate::frame::What;
use crate::hash::{BEGINNING, Hash, from_hex};
use crate::segment::{self, Place};
use crate::verify::{Verdict, verify};
use crate::walk::{Record, Step, Walk};

/// A look at what stood in the journal when it was taken.
#[derive(Clone, Debug)]
pub struct Reader {
    dir: PathBuf,
    /// Segments, oldest first, each with its length where the writer knows it.
    segments: Vec<(u64, Option<u64>)>,
}

/// Names the content of a segment: it only grows at its end, and after a deletion another may have its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    number: u64,
    length: u64,
    written: SystemTime,
}

/// What a look meets, newest first.
#[derive(Clone, Debug)]
pub enum Look<'a> {
    /// A request, and the bytes of its body as they stand there.
    Entry(Box<Entry>, &'a [u8]),
    /// Requests that could not be written down.
    Hole(Hole),
}

impl Reader {
    /// The journal of an agent that does not run.
    ///
    /// # Errors
    /// [`JournalError::List`].
    pub fn open(state_dir: &Path) -> Result<Self, JournalError> {
        Self::in_dir(&Self::dir(state_dir))
    }

    pub(crate) fn dir(state_dir: &Path) -> PathBuf {
        state_dir.join("journal")
    }

    pub(crate) fn in_dir(dir: &Path) -> Result<Self, JournalError> {
        let segments = segment::list(dir)?.into_iter().map(|segment| (segment, None)).collect();
        Ok(Self { dir: dir.to_owned(), segments })
    }

    pub(crate) fn of(dir: &Path, segments: Vec<(u64, u64)>) -> Self {
        let segments = segments.into_iter().map(|(segment, length)| (segment, Some(length)));
        Self { dir: dir.to_owned(), segments: segments.collect() }
    }

    /// Shows every entry and hole, newest first, until `visit` has seen enough. What cannot be read is passed
    /// over: [`verify`](Self::verify) names it.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn newest_first<B>(
        &self,
        mut visit: impl FnMut(Look<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>, JournalError> {
        // An outcome that was owed may stand in a later segment than its request.
        let mut outcomes = HashMap::new();
        for &(number, length) in self.segments.iter().rev() {
            let path = segment::path(&self.dir, number);
            let Some(bytes) = segment::load(&path, length)? else { continue };
            for look in looks(number, &bytes, &mut outcomes).into_iter().rev() {
                let look = match look {
                    Met::Hole(hole) => Look::Hole(hole),
                    Met::Entry(mut entry, body) => {
                        entry.outcome = outcomes.remove(&entry.number);
                        Look::Entry(entry, body)
                    }
                };
                if let ControlFlow::Break(found) = visit(look) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Each segment as a journal of its own, newest first, with what names its present content.
    #[must_use]
    pub fn by_segment(&self) -> Vec<(Mark, Self)> {
        let one = |&(number, length): &(u64, Option<u64>)| {
            let facts = std::fs::metadata(segment::path(&self.dir, number)).ok()?;
            let (length, written) = (length.unwrap_or(facts.len()), facts.modified().ok()?);
            let segments = vec![(number, Some(length))];
            Some((Mark { number, length, written }, Self { dir: self.dir.clone(), segments }))
        };
        self.segments.iter().rev().filter_map(one).collect()
    }

    /// The entry with this number; `None` where there is none (any more).
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn find(&self, wanted: u64) -> Result<Option<Entry>, JournalError> {
        let found = self.newest_first(|look| match look {
            Look::Entry(entry, _) if entry.number == wanted => ControlFlow::Break(Some(*entry)),
            Look::Entry(entry, _) if entry.number < wanted => ControlFlow::Break(None),
            _ => ControlFlow::Continue(()),
        })?;
        Ok(found.flatten())
    }

    /// The exact bytes of a request's body; `None` where they were let go meanwhile.
    ///
    /// # Errors
    /// [`JournalError::Changed`] where they are no longer those that were written.
    pub fn body(&self, entry: &Entry) -> Result<Option<Vec<u8>>, JournalError> {
        let Place { segment, at, previous } = entry.place;
        let path = segment::path(&self.dir, segment);
        let Some(bytes) = read_record(&path, at, entry)? else { return Ok(None) };
        let changed = JournalError::Changed { number: entry.number };
        match Record::read(&bytes, 0) {
            Some(record) if record.computed(&previous) == record.stored() => {
                Ok(Some(record.body().to_vec()))
            }
            _ => Err(changed),
        }
    }

    /// Reads everything and derives every hash again.
    ///
    /// # Errors
    /// [`JournalError::Read`]; what was changed is a finding.
    pub fn verify(&self) -> Result<Verdict, JournalError> {
        verify(&self.dir, &self.segments)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

/// Only the record's own bytes, so that a body does not cost a segment.
fn read_record(path: &Path, at: usize, entry: &Entry) -> Result<Option<Vec<u8>>, JournalError> {
    use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(at as u64))?;
        let mut bytes = vec![0; crate::frame::HEAD];
        file.read_exact(&mut bytes)?;
        if let Some(head) = crate::frame::Head::read(&bytes) {
            let rest = head.record_len() - bytes.len();
            file.take(rest as u64).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(JournalError::Changed { number: entry.number })
        }
        Err(source) => Err(JournalError::Read { path: path.to_owned(), source }),
    }
}

/// What a segment holds, before it is told what became of it.
enum Met<'a> {
    Entry(Box<Entry>, &'a [u8]),
    Hole(Hole),
}

fn looks<'a>(segment: u64, bytes: &'a [u8], outcomes: &mut HashMap<u64, Outcome>) -> Vec<Met<'a>> {
    let (mut met, mut previous) = (Vec::new(), BEGINNING);
    for step in Walk::new(bytes) {
        let Step::Record(record) = step else { continue };
        let place = Place { segment, at: record.at, previous };
        previous = record.stored();
        let number = record.head.number;
        match record.head.what {
            What::Start | What::Repair => {}
            What::Request => {
                met.extend(entry(&record, place).map(|e| Met::Entry(e, record.body())));
            }
            What::Outcome => {
                let facts: Option<OutcomeFacts> = read_facts(&record);
                outcomes.extend(facts.and_then(OutcomeFacts::outcome).map(|o| (number, o)));
            }
            What::Hole => met.extend(hole(&record).map(Met::Hole)),
        }
    }
    met
}

fn read_facts<T: serde::de::DeserializeOwned>(record: &Record<'_>) -> Option<T> {
    serde_json::from_slice(record.facts()).ok()
}

fn entry(record: &Record<'_>, place: Place) -> Option<Box<Entry>> {
    let facts: RequestFacts = read_facts(record)?;
    Some(Box::new(Entry {
        number: record.head.number,
        request: facts.request()?,
        body_bytes: u64::from(record.head.body),
        hash: record.stored(),
        outcome: None,
        place,
    }))
}

fn hole(record: &Record<'_>) -> Option<Hole> {
    let facts: HoleFacts = read_facts(record)?;
    let last = record.head.number;
    Some(Hole { first: facts.first, last, time: time(facts.time), reason: facts.reason })
}

/// The hash that a segment says it follows.
pub(crate) fn follows(record: &Record<'_>) -> Option<Hash> {
    let facts: StartFacts = read_facts(record)?;
    from_hex(&facts.previous)
}
