//! Where each number is to be found outside the spool: runs of records that left, or were refused. Small: one
//! piece for a run, whatever it holds.
//!
//! # Invariants
//! - Numbers come out strictly falling, each once; of two pieces with one number the better known wins.

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use candor_journal::{Entry, Fate, Look, Reader};
use candor_spool::DeadLetter;

use crate::ChronicleError;
use crate::query::Query;

/// What a piece points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A dead letter, by its place.
    Dead(usize),
    /// An entry that was refused, by its place.
    Refused(usize),
    /// An entry that was taken, by its place.
    Taken(usize),
}

/// Numbers from `first` to the next one that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    due: u64,
    source: Source,
    first: u64,
}

/// Everything that left or was refused.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    heap: BinaryHeap<Piece>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) dead: Vec<DeadLetter>,
}

impl Pieces {
    /// The pieces below a number that may hold what is asked for.
    pub(crate) fn find(
        journal: &Reader,
        dead: Vec<DeadLetter>,
        query: &Query,
        before: u64,
    ) -> Result<Self, ChronicleError> {
        let mut pieces = Self { dead, ..Self::default() };
        let mut add = |entry: Entry| pieces.add_entry(entry, query, before);
        journal.newest_first(|look| {
            if let Look::Entry(entry, _) = look {
                add(*entry);
            }
            ControlFlow::<()>::Continue(())
        })?;
        pieces.add_dead(query, before);
        Ok(pieces)
    }

    fn add_entry(&mut self, mut entry: Entry, query: &Query, before: u64) {
        let at = self.entries.len();
        let (source, state) = match entry.fate() {
            Fate::Taken => (Source::Taken(at), "sent"),
            Fate::Refused => (Source::Refused(at), "rejected"),
            Fate::Open => return,
        };
        // A record is not younger than the request that it left with.
        let left = jiff::Timestamp::try_from(entry.request.time).ok();
        let is_old = query.since.zip(left).is_some_and(|(since, left)| left < since);
        if is_old || !query.wants_state(state) {
            return;
        }
        let runs = entry.request.runs.iter().filter(|run| query.wants_level(run.level.number()));
        let pieces: Vec<Piece> = runs
            .filter(|run| run.first < before)
            .map(|run| Piece { due: run.last().min(before - 1), source, first: run.first })
            .collect();
        if !pieces.is_empty() {
            self.heap.extend(pieces);
            entry.request.runs.shrink_to_fit();
            self.entries.push(entry);
        }
    }

    fn add_dead(&mut self, query: &Query, before: u64) {
        if !query.wants_state("rejected") {
            return;
        }
        for (at, letter) in self.dead.iter().enumerate() {
            if letter.seq < before && query.wants_level(letter.level.number()) {
                let (due, first) = (letter.seq, letter.seq);
                self.heap.push(Piece { due, source: Source::Dead(at), first });
            }
        }
    }

    /// The highest number that is left.
    pub(crate) fn peek(&self) -> Option<u64> {
        self.heap.peek().map(|piece| piece.due)
    }

    /// The highest number and where it is; it is not given again, wherever else it may be.
    pub(crate) fn next(&mut self) -> Option<(u64, Source)> {
        let found = *self.heap.peek()?;
        self.pass(found.due);
        Some((found.due, found.source))
    }

    /// Leaves out a number, and all above it.
    pub(crate) fn pass(&mut self, seq: u64) {
        while let Some(piece) = self.heap.peek().copied()
            && piece.due >= seq
        {
            self.heap.pop();
            if let Some(due) = seq.checked_sub(1).filter(|due| *due >= piece.first) {
                self.heap.push(Piece { due, ..piece });
            }
        }
    }

    /// Whether a number left or was refused, and is known by itself.
    pub(crate) fn has(&self, seq: u64) -> bool {
        let in_entry = |entry: &Entry| {
            entry.request.runs.iter().any(|run| (run.first..=run.last()).contains(&seq))
        };
        self.dead.iter().any(|letter| letter.seq == seq) || self.entries.iter().any(in_entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fall_and_come_once_from_where_they_are_best_known() {
        let piece = |first, due, source| Piece { due, source, first };
        let mut pieces = Pieces {
            heap: [
                piece(1, 5, Source::Taken(0)),
                piece(4, 7, Source::Refused(1)),
                piece(6, 6, Source::Dead(0)),
            ]
            .into(),
            ..Pieces::default()
        };
        let mut seen = Vec::new();
        while let Some(found) = pieces.next() {
            seen.push(found);
        }
        let (taken, refused) = (Source::Taken(0), Source::Refused(1));
        let expected = [
            (7, refused),
            (6, refused),
            (5, taken),
            (4, taken),
            (3, taken),
            (2, taken),
            (1, taken),
        ];
        assert_eq!(seen, expected);
    }
}
