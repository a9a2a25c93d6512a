//! The handle: what the uploader writes with and what everybody else asks for a [`Reader`]. Cheap to clone.
//!
//! # Invariants
//! - [`begin`](Journal::begin) never fails: what cannot be written down is counted as a hole and told by a
//!   record before the next request that can be written.
//! - The lock is held for the time of a write and an fsync; nothing is read under it, but at the first request.
//!
//! On failure: a hole, and a warning once until a record is written again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::bounds::Bounds;
use crate::entry::{HoleFacts, Outcome, OutcomeFacts, Request, RequestFacts, Run, millis};
use crate::error::JournalError;
use crate::frame::What;
use crate::reader::Reader;
use crate::segment;
use crate::tail::Tail;

/// The journal of one state directory.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    tail: Option<Tail>,
    missed: Option<Missed>,
    /// An outcome that could not be written when it was known.
    owed: Option<(u64, Outcome)>,
    /// The request that is on its way.
    flying: Option<(Option<u64>, Vec<Run>)>,
    fsyncs: u64,
    holes: u64,
}

/// Requests that could not be written down and are not yet told.
#[derive(Debug)]
struct Missed {
    count: u64,
    /// The numbers that they have, where numbers were known.
    first: Option<u64>,
    time: u64,
    reason: String,
}

/// How a journal stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Most bytes that it may take; 0 keeps nothing.
    pub max_bytes: u64,
    /// Bytes that it takes; `None` before the first request since the start.
    pub bytes: Option<u64>,
    /// Requests since the start that left and could not be written down.
    pub holes: u64,
    /// Why the last request could not be written down; `None` once one could be.
    pub trouble: Option<String>,
}

/// A request on its way; what became of it is told by [`Journal::end`].
#[derive(Debug)]
#[must_use = "its outcome is to be told"]
pub struct Flight {
    number: Option<u64>,
}

impl Journal {
    /// The journal of a state directory. Touches no file.
    #[must_use]
    pub fn new(state_dir: &Path, bounds: Bounds) -> Self {
        let inner = Inner {
            bounds,
            tail: None,
            missed: None,
            owed: None,
            flying: None,
            fsyncs: 0,
            holes: 0,
        };
        Self(Arc::new(Shared { dir: Reader::dir(state_dir), inner: Mutex::new(inner) }))
    }

    /// Takes other bounds; whether they are others. What is beyond them goes when the journal is
    /// [tidied](Self::tidy), or with the next request. Touches no file.
    #[must_use = "what is beyond other bounds goes when the journal is tidied"]
    pub fn configure(&self, bounds: Bounds) -> bool {
        std::mem::replace(&mut self.inner().bounds, bounds) != bounds
    }

    /// How it stands. Touches no file.
    #[must_use]
    pub fn state(&self) -> State {
        let inner = self.inner();
        State {
            max_bytes: inner.bounds.max_bytes,
            bytes: inner.tail.as_ref().map(Tail::bytes),
            holes: inner.holes,
            trouble: inner.missed.as_ref().map(|missed| missed.reason.clone()),
        }
    }

    /// Writes a request down and waits until the disk has it: before its first byte leaves. Blocks for an
    /// fsync, and at the first request for the reading of what stands.
    pub fn begin(&self, request: &Request, body: &[u8]) -> Flight {
        let mut inner = self.inner();
        let number = inner.begin(&self.0.dir, request, body);
        inner.flying = Some((number, request.runs.clone()));
        Flight { number }
    }

    /// Writes down what became of a request. It is on the disk with the next request, or when the journal is
    /// [synced](Self::sync); what a power cut takes of it reads as an outcome that is not known.
    #[expect(clippy::needless_pass_by_value, reason = "an outcome is told once")]
    pub fn end(&self, flight: Flight, outcome: Outcome) {
        let number = flight.number;
        let mut inner = self.inner();
        inner.flying = None;
        if let Some(number) = number {
            inner.end(number, outcome);
        }
    }

    /// The records of the request that is on its way now.
    #[must_use]
    pub fn flying(&self) -> Vec<Run> {
        self.inner().flying.as_ref().map(|(_, runs)| runs.clone()).unwrap_or_default()
    }

    /// The number of the request that is on its way now, where it could be written down.
    #[must_use]
    pub fn flying_number(&self) -> Option<u64> {
        self.inner().flying.as_ref().and_then(|(number, _)| *number)
    }

    /// Lets go what is beyond the bounds. Before the first request only names, lengths and times of files
    /// are looked at.
    pub fn tidy(&self, now: SystemTime) {
        let mut inner = self.inner();
        let bounds = inner.bounds;
        if bounds.max_bytes == 0 {
            inner.end_chain();
        }
        let tidied = match &mut inner.tail {
            Some(tail) => tail.fit(bounds, millis(now)),
            None => forget_unopened(&self.0.dir, bounds, now),
        };
        if let Err(error) = tidied {
            tracing::warn!(
                error = chain(&error),
                "what is beyond the journal's bounds could not be removed"
            );
        }
    }

    /// Puts the last outcome on the disk, and tells a hole where one can be told.
    pub fn sync(&self) {
        let mut inner = self.inner();
        inner.catch_up();
        if let Some(tail) = &mut inner.tail
            && let Err(error) = tail.sync()
        {
            tracing::warn!(error = chain(&error), "the journal could not be put on the disk");
        }
    }

    /// Removes every entry: `delete` does it. The next request begins a new journal.
    ///
    /// # Errors
    /// [`JournalError::Remove`]; what is left can be cleared again.
    pub fn clear(&self) -> Result<(), JournalError> {
        let mut inner = self.inner();
        inner.end_chain();
        Self::clear_in(&self.0.dir)
    }

    /// Removes every entry of the journal of an agent that does not run.
    ///
    /// # Errors
    /// [`JournalError::Remove`].
    pub fn clear_stopped(state_dir: &Path) -> Result<(), JournalError> {
        Self::clear_in(&Reader::dir(state_dir))
    }

    fn clear_in(dir: &Path) -> Result<(), JournalError> {
        for number in segment::list(dir)? {
            let path = segment::path(dir, number);
            std::fs::remove_file(&path).map_err(|source| JournalError::Remove { path, source })?;
        }
        if dir.exists() {
            candor_platform::sync_dir(dir).map_err(|source| JournalError::Directory { source })?;
        }
        Ok(())
    }

    /// What stands now, for reading beside what is written meanwhile.
    ///
    /// # Errors
    /// [`JournalError::List`].
    pub fn reader(&self) -> Result<Reader, JournalError> {
        let inner = self.inner();
        match &inner.tail {
            Some(tail) => Ok(Reader::of(&self.0.dir, tail.segments())),
            None => Reader::in_dir(&self.0.dir),
        }
    }

    /// Calls of fsync since this handle was made.
    #[must_use]
    pub fn fsyncs(&self) -> u64 {
        let inner = self.inner();
        inner.fsyncs + inner.tail.as_ref().map_or(0, |tail| tail.fsyncs)
    }

    /// Requests that could not be written down, since this handle was made.
    #[must_use]
    pub fn holes(&self) -> u64 {
        self.inner().holes
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn begin(&mut self, dir: &Path, request: &Request, body: &[u8]) -> Option<u64> {
        if self.bounds.max_bytes == 0 {
            return None;
        }
        let now = millis(request.time);
        let bounds = self.bounds;
        let room = self.tail(dir, now).and_then(|tail| tail.make_room(bounds, now, body.len()));
        let written = room.and_then(|()| {
            self.catch_up();
            let tail = self.tail(dir, now)?;
            let number = tail.next;
            tail.append_request(&RequestFacts::from(request), body)?;
            Ok(number)
        });
        written.map_err(|error| self.miss(now, chain(&error))).ok()
    }

    fn tail(&mut self, dir: &Path, now: u64) -> Result<&mut Tail, JournalError> {
        if self.tail.is_none() {
            self.tail = Some(Tail::open(dir, now)?);
        }
        self.tail.as_mut().ok_or_else(|| JournalError::List {
            path: dir.to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// What stands is about to be removed: nothing of it is gone on with.
    fn end_chain(&mut self) {
        self.fsyncs += self.tail.take().map_or(0, |tail| tail.fsyncs);
        (self.missed, self.owed) = (None, None);
        if let Some((number, _)) = &mut self.flying {
            *number = None;
        }
    }

    fn miss(&mut self, time: u64, reason: String) {
        self.holes += 1;
        let first = self.tail.as_ref().map(|tail| tail.next);
        // The number stays with the request that has no entry.
        if let Some(tail) = &mut self.tail {
            tail.next += 1;
        }
        let missed = self.missed.get_or_insert_with(|| {
            tracing::warn!(reason, "what leaves cannot be written into the journal");
            Missed { count: 0, first, time, reason: String::new() }
        });
        missed.count += 1;
        (missed.time, missed.reason) = (time, reason);
    }

    /// Writes what is owed from before. What cannot be written is owed on.
    fn catch_up(&mut self) {
        let Some(tail) = &mut self.tail else { return };
        if let Some((number, outcome)) = &self.owed {
            let facts = OutcomeFacts::from(outcome);
            if tail.append((What::Outcome, *number), &facts, &[]).is_ok() {
                self.owed = None;
            }
        }
        if let Some(missed) = &self.missed {
            // Where the journal could not even be opened, its numbers were not known.
            let first = missed.first.unwrap_or(tail.next);
            let last = first + missed.count - 1;
            let facts = HoleFacts { time: missed.time, first, reason: missed.reason.clone() };
            if tail.append((What::Hole, last), &facts, &[]).is_ok() {
                tail.next = tail.next.max(last + 1);
                self.missed = None;
            }
        }
    }

    fn end(&mut self, number: u64, outcome: Outcome) {
        let Some(tail) = &mut self.tail else { return };
        let facts = OutcomeFacts::from(&outcome);
        if let Err(error) = tail.append((What::Outcome, number), &facts, &[]) {
            tracing::warn!(error = chain(&error), "an outcome cannot be written into the journal");
            self.owed = Some((number, outcome));
        }
    }
}

/// Removes the oldest segments, as long as they are beyond the bounds.
fn forget_unopened(dir: &Path, bounds: Bounds, now: SystemTime) -> Result<(), JournalError> {
    let oldest = now.checked_sub(bounds.max_age);
    let facts = |number: &u64| std::fs::metadata(segment::path(dir, *number)).ok();
    let segments = segment::list(dir)?;
    let mut bytes: u64 = segments.iter().filter_map(facts).map(|facts| facts.len()).sum();
    for number in segments {
        let Some(facts) = facts(&number) else { continue };
        let written = facts.modified().ok();
        let is_old = written.zip(oldest).is_some_and(|(written, oldest)| written < oldest);
        if !is_old && bytes <= bounds.max_bytes {
            break;
        }
        let path = segment::path(dir, number);
        std::fs::remove_file(&path).map_err(|source| JournalError::Remove { path, source })?;
        bytes = bytes.saturating_sub(facts.len());
    }
    Ok(())
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
