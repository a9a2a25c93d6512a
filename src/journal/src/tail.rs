//! The end of the journal, where it grows: found again at the first request after a start, and kept within
//! its bounds.
//!
//! # Invariants
//! - What stands is never written over: a record that cannot be written whole is cut off again.
//! - An unfinished end is cut off and told by a record; changed bytes are left for an audit, and a new
//!   segment goes on after them.
//!
//! On failure: a [`JournalError`]; the journal stands as before.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use candor_platform::{create_private_dir, open_private, sync_dir};
use serde::Serialize;

use crate::bounds::Bounds;
use crate::entry::{RepairFacts, RequestFacts, StartFacts, millis};
use crate::error::JournalError;
use crate::frame::{Made, What};
use crate::hash::{BEGINNING, Hash, to_hex};
use crate::reader::follows;
use crate::segment;
use crate::walk::{Record, Step, Walk};

const VERSION: u32 = 1;
/// The start of a segment is within its first bytes.
const BEGINNING_BYTES: u64 = 1024;
/// More than what a request, its outcome and a hole before it take beside the body; runs aside.
const BESIDE_BODY: u64 = 1024;

/// A segment that is no longer written.
#[derive(Clone, Copy, Debug)]
struct Closed {
    segment: u64,
    bytes: u64,
    /// When it was begun, in milliseconds: no entry in it is older.
    since: u64,
}

/// The open end.
#[derive(Debug)]
pub(crate) struct Tail {
    dir: PathBuf,
    closed: VecDeque<Closed>,
    open: Closed,
    file: File,
    previous: Hash,
    /// Whether the open segment has more than its start.
    is_used: bool,
    /// The number of the next request.
    pub(crate) next: u64,
    /// Calls of fsync since it was opened.
    pub(crate) fsyncs: u64,
}

/// How the last segment ends.
struct Found {
    is_used: bool,
    /// The highest number in it.
    last: u64,
    stored: Hash,
    /// Where an unfinished end begins.
    torn: Option<usize>,
    is_broken: bool,
    has_start: bool,
}

impl Tail {
    /// Finds the end in a directory, or makes a journal there.
    pub(crate) fn open(dir: &Path, now: u64) -> Result<Self, JournalError> {
        create_private_dir(dir).map_err(|source| JournalError::Directory { source })?;
        let mut closed = VecDeque::new();
        for segment in segment::list(dir)? {
            closed.extend(begun(dir, segment)?);
        }
        let Some(open) = closed.pop_back() else {
            return Self::start((dir, now), VecDeque::new(), (1, 1), BEGINNING);
        };
        let bytes = segment::load(&segment::path(dir, open.segment), None)?.unwrap_or_default();
        Self::go_on((dir, now), closed, open, &look(&bytes))
    }

    fn go_on(
        (dir, now): (&Path, u64),
        mut closed: VecDeque<Closed>,
        open: Closed,
        found: &Found,
    ) -> Result<Self, JournalError> {
        let next = found.last + 1;
        if !found.has_start || found.is_broken {
            closed.push_back(open);
            // A number that a broken stretch may have is not given again.
            return Self::start((dir, now), closed, (open.segment + 1, next + 1), found.stored);
        }
        let path = segment::path(dir, open.segment);
        let mut tail = Self {
            dir: dir.to_owned(),
            closed,
            open,
            file: open_private(&path).map_err(|source| JournalError::Directory { source })?,
            previous: found.stored,
            is_used: found.is_used,
            next,
            fsyncs: 0,
        };
        if let Some(at) = found.torn {
            let cut = open.bytes - at as u64;
            tracing::warn!(
                bytes = cut,
                after = found.last,
                "the journal's unfinished end is cut off"
            );
            tail.cut(at as u64)?;
            tail.append((What::Repair, found.last), &RepairFacts { cut }, &[])?;
        }
        Ok(tail)
    }

    /// Begins a segment; `(segment, next)` is its number and that of its first entry.
    fn start(
        (dir, now): (&Path, u64),
        closed: VecDeque<Closed>,
        (segment, next): (u64, u64),
        previous: Hash,
    ) -> Result<Self, JournalError> {
        let path = segment::path(dir, segment);
        let file = open_private(&path).map_err(|source| JournalError::Directory { source })?;
        let open = Closed { segment, bytes: 0, since: now };
        let (dir, is_used) = (dir.to_owned(), false);
        let mut tail = Self { dir, closed, open, file, previous, is_used, next, fsyncs: 0 };
        let facts = StartFacts { version: VERSION, time: now, previous: to_hex(&previous) };
        tail.append((What::Start, next), &facts, &[]).inspect_err(|_| {
            // Without its first record it is no segment.
            let _ = std::fs::remove_file(&path);
        })?;
        sync_dir(&tail.dir).map_err(|source| JournalError::Directory { source })?;
        tail.fsyncs += 1;
        Ok(tail)
    }

    /// Appends a record; when it fails, nothing of it stands.
    pub(crate) fn append(
        &mut self,
        (what, number): (What, u64),
        facts: &impl Serialize,
        body: &[u8],
    ) -> Result<(), JournalError> {
        let failed = |source| self.failed(source);
        let facts = serde_json::to_vec(facts).map_err(|error| failed(io::Error::other(error)))?;
        let made = Made::new(&self.previous, (what, number), facts, body)
            .ok_or_else(|| failed(io::ErrorKind::FileTooLarge.into()))?;
        let written = write(&self.file, &made);
        if let Err(source) = written {
            let error = self.failed(source);
            self.cut(self.open.bytes)?;
            return Err(error);
        }
        self.open.bytes += made.len();
        self.previous = made.hash;
        Ok(())
    }

    /// Appends a request, for which there is [room](Self::make_room), and puts it on the disk.
    pub(crate) fn append_request(
        &mut self,
        facts: &RequestFacts,
        body: &[u8],
    ) -> Result<(), JournalError> {
        self.append((What::Request, self.next), facts, body)?;
        self.next += 1;
        self.is_used = true;
        self.sync()
    }

    /// Puts what was appended on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        self.fsyncs += 1;
        self.file.sync_data().map_err(|source| self.failed(source))
    }

    /// Lets the oldest segments go until there is room for a request with such a body, and begins a new one
    /// where the open one is full.
    pub(crate) fn make_room(
        &mut self,
        bounds: Bounds,
        now: u64,
        body: usize,
    ) -> Result<(), JournalError> {
        let bytes = body as u64 + BESIDE_BODY;
        if bytes > bounds.max_bytes {
            let text = "a request is larger than journal.max_bytes";
            return Err(self.failed(io::Error::new(io::ErrorKind::FileTooLarge, text)));
        }
        let is_old = now.saturating_sub(self.open.since) > bounds.segment_millis();
        let is_full = self.open.bytes + bytes > bounds.segment_bytes() && self.is_used;
        if is_full || is_old {
            self.roll(now)?;
        }
        self.forget_old(bounds, now)?;
        self.forget_beyond(bounds.max_bytes - bytes, now)
    }

    /// Lets go what is beyond the bounds.
    pub(crate) fn fit(&mut self, bounds: Bounds, now: u64) -> Result<(), JournalError> {
        self.forget_old(bounds, now)?;
        self.forget_beyond(bounds.max_bytes, now)
    }

    /// Lets the oldest segments go until so many bytes are left, or nothing but a beginning.
    fn forget_beyond(&mut self, most: u64, now: u64) -> Result<(), JournalError> {
        while self.bytes() > most {
            if self.closed.is_empty() {
                if !self.is_used {
                    break;
                }
                self.roll(now)?;
            }
            self.forget_oldest()?;
        }
        Ok(())
    }

    /// Closes the open segment and begins the next.
    fn roll(&mut self, now: u64) -> Result<(), JournalError> {
        let place = (self.open.segment + 1, self.next);
        let fresh = Self::start((&self.dir, now), VecDeque::new(), place, self.previous)?;
        let before = std::mem::replace(self, fresh);
        self.fsyncs += before.fsyncs;
        self.closed = before.closed;
        self.closed.push_back(before.open);
        Ok(())
    }

    /// Lets go what is older than it may become.
    fn forget_old(&mut self, bounds: Bounds, now: u64) -> Result<(), JournalError> {
        let is_old = |closed: &Closed| now.saturating_sub(closed.since) > bounds.age_millis();
        if self.is_used && is_old(&self.open) {
            self.roll(now)?;
        }
        while self.closed.front().is_some_and(is_old) {
            self.forget_oldest()?;
        }
        Ok(())
    }

    fn forget_oldest(&mut self) -> Result<(), JournalError> {
        let Some(oldest) = self.closed.front() else { return Ok(()) };
        let path = segment::path(&self.dir, oldest.segment);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(JournalError::Remove { path, source });
            }
            _ => {}
        }
        self.closed.pop_front();
        Ok(())
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.closed.iter().map(|closed| closed.bytes).sum::<u64>() + self.open.bytes
    }

    /// Every segment with its length, oldest first.
    pub(crate) fn segments(&self) -> Vec<(u64, u64)> {
        self.closed
            .iter()
            .chain([&self.open])
            .map(|closed| (closed.segment, closed.bytes))
            .collect()
    }

    /// Cuts the open segment at a length.
    fn cut(&mut self, length: u64) -> Result<(), JournalError> {
        let path = segment::path(&self.dir, self.open.segment);
        // A handle that only appends may not shorten a file everywhere.
        let cut = File::options().write(true).open(&path).and_then(|file| {
            file.set_len(length)?;
            file.sync_data()
        });
        self.open.bytes = length;
        self.fsyncs += 1;
        cut.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::Write { path: segment::path(&self.dir, self.open.segment), source }
    }
}

fn write(mut file: &File, made: &Made<'_>) -> io::Result<()> {
    // Head and facts in one call: an outcome is one write and its hash.
    file.write_all(&[&made.head[..], &made.facts].concat())?;
    if !made.body.is_empty() {
        file.write_all(made.body)?;
    }
    file.write_all(&made.hash)
}

/// What is known of a segment from its beginning; `None` where it is gone.
fn begun(dir: &Path, segment: u64) -> Result<Option<Closed>, JournalError> {
    let path = segment::path(dir, segment);
    let Some(bytes) = segment::load(&path, Some(BEGINNING_BYTES))? else { return Ok(None) };
    let Ok(metadata) = std::fs::metadata(&path) else { return Ok(None) };
    let start = Record::read(&bytes, 0).filter(|record| record.head.what == What::Start);
    let start = start.filter(|s| follows(s).is_some_and(|hash| s.computed(&hash) == s.stored()));
    let facts = start.and_then(|start| serde_json::from_slice::<StartFacts>(start.facts()).ok());
    let since = facts.map(|facts| facts.time);
    // Where it cannot be read, it is at least not younger than it was written.
    let since = since.or_else(|| metadata.modified().ok().map(millis)).unwrap_or_default();
    Ok(Some(Closed { segment, bytes: metadata.len(), since }))
}

fn look(segment: &[u8]) -> Found {
    let mut found = Found {
        is_used: false,
        last: 0,
        stored: BEGINNING,
        torn: None,
        is_broken: false,
        has_start: false,
    };
    let mut previous = None;
    for step in Walk::new(segment) {
        match step {
            Step::Record(record) => found.record(&record, &mut previous),
            Step::Broken { .. } => found.is_broken = true,
            Step::Torn { at } => found.torn = Some(at),
        }
    }
    found
}

impl Found {
    fn record(&mut self, record: &Record<'_>, previous: &mut Option<Hash>) {
        let number = record.head.number;
        if record.head.what == What::Start {
            self.has_start |= record.at == 0;
            self.last = self.last.max(number.saturating_sub(1));
        } else {
            self.is_used = true;
            self.last = self.last.max(number);
        }
        if let Some(previous) = *previous {
            self.is_broken |= record.computed(&previous) != record.stored();
        }
        self.stored = record.stored();
        *previous = Some(self.stored);
    }
}
