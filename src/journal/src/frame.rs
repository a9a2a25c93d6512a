//! One record: its head, and the bytes that are written for it.
//!
//! # Invariants
//! - A head with a wrong byte is never read as one: it has a checksum of its own, so that a length is
//!   believed before the bytes that it counts are looked at.
//! - A body is never copied on its way to the file.

use crate::hash::{Hash, link};

pub(crate) const HEAD: usize = 25;
pub(crate) const HASH: usize = 32;
pub(crate) const MAGIC: [u8; 4] = *b"CJR1";

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum What {
    Start = 0,
    Request = 1,
    Outcome = 2,
    Hole = 3,
    Repair = 4,
}

impl What {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Start, Self::Request, Self::Outcome, Self::Hole, Self::Repair]
            .into_iter()
            .find(|what| *what as u8 == byte)
    }
}

/// A record's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) what: What,
    pub(crate) number: u64,
    pub(crate) facts: u32,
    pub(crate) body: u32,
}

impl Head {
    /// The head of these parts; `None` where a part is too long to be counted.
    pub(crate) fn of(what: What, number: u64, facts: &[u8], body: &[u8]) -> Option<Self> {
        let (facts, body) = (u32::try_from(facts.len()).ok()?, u32::try_from(body.len()).ok()?);
        Some(Self { what, number, facts, body })
    }

    pub(crate) fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self.what as u8;
        bytes[5..13].copy_from_slice(&self.number.to_le_bytes());
        bytes[13..17].copy_from_slice(&self.facts.to_le_bytes());
        bytes[17..21].copy_from_slice(&self.body.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..21]);
        bytes[21..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The head at the beginning of `bytes`, if every byte of it is as it was written.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD>()?;
        let word = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
        if !head.starts_with(&MAGIC) || word(21)? != crc32c::crc32c(&head[..21]) {
            return None;
        }
        Some(Self {
            what: What::from_byte(head[4])?,
            number: u64::from_le_bytes(*head[5..].first_chunk()?),
            facts: word(13)?,
            body: word(17)?,
        })
    }

    /// Length of the whole record.
    pub(crate) const fn record_len(&self) -> usize {
        HEAD + self.facts as usize + self.body as usize + HASH
    }
}

/// A record that is ready to be written.
pub(crate) struct Made<'a> {
    pub(crate) head: [u8; HEAD],
    pub(crate) facts: Vec<u8>,
    pub(crate) body: &'a [u8],
    pub(crate) hash: Hash,
}

impl<'a> Made<'a> {
    /// Makes a record after `previous`; `None` where it would be too long.
    pub(crate) fn new(
        previous: &Hash,
        (what, number): (What, u64),
        facts: Vec<u8>,
        body: &'a [u8],
    ) -> Option<Self> {
        let head = Head::of(what, number, &facts, body)?.to_bytes();
        let hash = link(previous, &[&head, &facts, body]);
        Some(Self { head, facts, body, hash })
    }

    pub(crate) fn len(&self) -> u64 {
        u64::try_from(HEAD + self.facts.len() + self.body.len() + HASH).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_with_any_wrong_byte_is_no_head() {
        let head = Head { what: What::Outcome, number: 70_000, facts: 300, body: 5 };
        let bytes = head.to_bytes();
        assert_eq!(Head::read(&bytes), Some(head));
        assert_eq!(Head::read(&bytes[..HEAD - 1]), None);
        for place in 0..HEAD {
            for bit in 0..8 {
                let mut bytes = bytes;
                bytes[place] ^= 1 << bit;
                assert_eq!(Head::read(&bytes), None, "byte {place}, bit {bit}");
            }
        }
    }
}
