//! From a segment's bytes to its records, over damage as well: what cannot be read is a broken stretch, and
//! the walk goes on at the next whole record.
//!
//! # Invariants
//! - Every step goes forward, so that a walk ends whatever the bytes are.
//! - Only the end of a segment can be unfinished; a stretch before a whole record is broken.

use crate::frame::{HASH, HEAD, Head, MAGIC};
use crate::hash::{Hash, link};

/// A whole record: its head is right and all its bytes are there. Its hash is not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) head: Head,
    /// Where it begins in the segment.
    pub(crate) at: usize,
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn facts(&self) -> &'a [u8] {
        &self.bytes[HEAD..HEAD + self.head.facts as usize]
    }

    pub(crate) fn body(&self) -> &'a [u8] {
        &self.bytes[HEAD + self.head.facts as usize..self.bytes.len() - HASH]
    }

    /// The hash that stands at its end.
    pub(crate) fn stored(&self) -> Hash {
        let mut hash = [0; HASH];
        hash.copy_from_slice(&self.bytes[self.bytes.len() - HASH..]);
        hash
    }

    /// The hash that it should have after `previous`.
    pub(crate) fn computed(&self, previous: &Hash) -> Hash {
        link(previous, &[&self.bytes[..self.bytes.len() - HASH]])
    }

    /// The record at `at`, if it is whole.
    pub(crate) fn read(segment: &'a [u8], at: usize) -> Option<Self> {
        let rest = segment.get(at..)?;
        let head = Head::read(rest)?;
        let bytes = rest.get(..head.record_len())?;
        Some(Self { head, at, bytes })
    }
}

/// One step of a walk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    Record(Record<'a>),
    /// Bytes that are no record, and more behind them.
    Broken {
        bytes: &'a [u8],
    },
    /// The end, begun and not finished: a power cut, not a change.
    Torn {
        at: usize,
    },
}

/// The records of a segment, in order.
pub(crate) struct Walk<'a> {
    segment: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    pub(crate) const fn new(segment: &'a [u8]) -> Self {
        Self { segment, at: 0 }
    }

    fn next_whole(&self) -> Option<usize> {
        (self.at + 1..self.segment.len().saturating_sub(HEAD + HASH - 1)).find(|at| {
            self.segment[*at..].starts_with(&MAGIC) && Record::read(self.segment, *at).is_some()
        })
    }

    fn broken(&mut self) -> Step<'a> {
        let at = self.at;
        let end = self.next_whole();
        self.at = end.unwrap_or(self.segment.len());
        let bytes = &self.segment[at..self.at];
        if end.is_none() && is_unfinished(bytes) {
            Step::Torn { at }
        } else {
            Step::Broken { bytes }
        }
    }
}

/// Whether the end of a segment was begun and not finished. A changed byte does not make it shorter.
fn is_unfinished(end: &[u8]) -> bool {
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    end.len() < HEAD || Head::read(end).is_some() || is_zero(end)
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        if self.at >= self.segment.len() {
            return None;
        }
        let Some(record) = Record::read(self.segment, self.at) else { return Some(self.broken()) };
        let at = self.at;
        self.at += record.head.record_len();
        // Space that was given and never written: the last record's hash is not there.
        if self.at == self.segment.len() && record.stored() == [0; HASH] {
            return Some(Step::Torn { at });
        }
        Some(Step::Record(record))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Made, What};

    fn record(number: u64, body: &[u8]) -> Vec<u8> {
        let made = Made::new(&[7; 32], (What::Request, number), b"{}".to_vec(), body).unwrap();
        [&made.head[..], &made.facts, made.body, &made.hash].concat()
    }

    fn seen(bytes: &[u8]) -> Vec<String> {
        Walk::new(bytes)
            .map(|step| match step {
                Step::Record(record) => record.head.number.to_string(),
                Step::Broken { .. } => "broken".into(),
                Step::Torn { .. } => "torn".into(),
            })
            .collect()
    }

    #[test]
    fn what_is_cut_is_torn_and_what_is_bent_is_broken() {
        let (one, two) = (record(1, b"abc"), record(2, b"defg"));
        let both = [one.clone(), two.clone()].concat();
        assert_eq!(seen(&both), ["1", "2"]);
        for cut in 1..two.len() {
            assert_eq!(seen(&both[..one.len() + cut]), ["1", "torn"], "{cut}");
        }
        for place in 0..HEAD {
            let mut bent = both.clone();
            bent[place] ^= 1;
            assert_eq!(seen(&bent), ["broken", "2"], "{place}");
            let mut bent = both.clone();
            bent[one.len() + place] ^= 1;
            assert_eq!(seen(&bent), ["1", "broken"], "{place}");
        }
        assert_eq!(seen(&[&both[..], &[0; 4096]].concat()), ["1", "2", "torn"]);
        let hash = both.len() - HASH;
        assert_eq!(seen(&[&both[..hash], &[0; HASH]].concat()), ["1", "torn"]);
    }

    proptest! {
        #[test]
        fn a_walk_over_any_bytes_ends(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0..200_usize) {
            let whole = [&record(1, &bytes)[..], &bytes, &record(2, b"x")[..]].concat();
            prop_assert!(Walk::new(&bytes).count() <= bytes.len());
            prop_assert!(Walk::new(&whole[cut.min(whole.len())..]).count() <= whole.len());
        }
    }
}
