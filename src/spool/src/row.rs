//! One row of the queue: a run of sealed OTLP frames of one level, kind and boot, with consecutive
//! sequence numbers, as the uploader gets it and as the checksum covers it.
//!
//! ```text
//! kind = signal (0 log, 1 metric, 2 span), + 4 where the body is one zstd frame (packing.rs);
//!        rows of an earlier version, and of a moment without memory, hold the frames as they are
//! ```
//!
//! # Invariants
//! - A row's id is the sequence number of its first record, so ids never overlap and never repeat.
//! - The checksum covers every column: a flipped bit in the level is found as surely as one in the
//!   body.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use candor_model::{Kind, Level};
use thiserror::Error;

use crate::packing;

/// In the column `kind`: the body is one zstd frame.
const PACKED: i64 = 4;

/// The name of a row: the sequence number of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub(crate) i64);

impl RowId {
    /// The sequence number of the row's first record.
    #[must_use]
    pub fn first_seq(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

/// A row that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name, for the answer.
    pub id: RowId,
    /// The lane it waits in.
    pub level: Level,
    /// Boot id of the boot in which its records were observed.
    pub boot: Arc<str>,
    /// Sequence number of its first record; the others follow without a gap.
    pub first_seq: u64,
    /// How many records it holds, at least one.
    pub records: u32,
    pub(crate) body: Body,
}

/// How a row's frames lie in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept<'a> {
    /// As they are.
    Plain(&'a [u8]),
    /// As one zstd frame that tells its content size.
    Packed(&'a [u8]),
}

/// The sealed frames of a row, one after the other, as they lie in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Plain(Vec<u8>),
    /// One zstd frame, and how long it is unpacked.
    Packed(Vec<u8>, usize),
}

/// A row that was whole by its checksum cannot be unpacked: it was stored like that.
#[derive(Debug, Error)]
#[error("cannot unpack the row that begins with record {first_seq}; it is lost")]
pub struct RowError {
    /// Sequence number of the row's first record.
    pub first_seq: u64,
    /// What zstd said.
    #[source]
    pub source: io::Error,
}

impl Row {
    /// The sealed frames, one after the other, ready to stand in a request body. Unpacks them each
    /// time: what they take is [`size`](Self::size), 1.1 MiB at most.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn frames(&self) -> Result<Cow<'_, [u8]>, RowError> {
        match &self.body {
            Body::Plain(frames) => Ok(Cow::Borrowed(frames)),
            Body::Packed(packed, _) => packing::unpack(packed)
                .map(Cow::Owned)
                .map_err(|source| RowError { first_seq: self.first_seq, source }),
        }
    }

    /// The frames as they lie in the store.
    #[must_use]
    pub fn kept(&self) -> Kept<'_> {
        match &self.body {
            Body::Plain(frames) => Kept::Plain(frames),
            Body::Packed(packed, _) => Kept::Packed(packed),
        }
    }

    /// Bytes of the frames, unpacked.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.body {
            Body::Plain(frames) => frames.len(),
            Body::Packed(_, size) => *size,
        }
    }
}

/// Rows of one kind for one request, security first, then oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The OTLP signal of all of them.
    pub kind: Kind,
    /// At least one row.
    pub rows: Vec<Row>,
}

/// What the caller of [`next`](crate::Spool::next) is ready to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Upper bound of the sum of [`Row::size`]. A single row above it still comes, alone.
    pub max_bytes: usize,
    /// Lanes above this level are left alone: `Security` asks for what goes at once, `Full` for
    /// everything.
    pub up_to: Level,
}

impl Want {
    /// Everything, in parcels of at most `max_bytes`.
    #[must_use]
    pub const fn all(max_bytes: usize) -> Self {
        Self { max_bytes, up_to: Level::Full }
    }
}

/// A row as it lies in the store, before it is trusted.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) level: i64,
    pub(crate) kind: i64,
    pub(crate) records: i64,
    /// Age clock at the commit, in milliseconds (`timeline.rs`).
    pub(crate) at: i64,
    pub(crate) boot: String,
    pub(crate) sum: i64,
    pub(crate) body: Vec<u8>,
}

impl Stored {
    /// CRC-32C over all columns but `sum`, numbers in little endian.
    pub(crate) fn checksum(&self) -> i64 {
        let mut sum = 0;
        for number in [self.id, self.level, self.kind, self.records, self.at] {
            sum = crc32c::crc32c_append(sum, &number.to_le_bytes());
        }
        sum = crc32c::crc32c_append(sum, self.boot.as_bytes());
        i64::from(crc32c::crc32c_append(sum, &self.body))
    }

    /// Takes the frames as one zstd frame in place of the frames themselves.
    pub(crate) fn pack(&mut self, packed: Vec<u8>) {
        self.kind |= PACKED;
        self.body = packed;
    }

    /// The same row with its frames as they are; `None` where they cannot be read.
    pub(crate) fn unpacked(&self) -> Option<Self> {
        let (kind, row) = self.clone().trusted()?;
        let mut plain =
            Self { kind: kind as i64, body: row.frames().ok()?.into_owned(), ..self.clone() };
        plain.sum = plain.checksum();
        Some(plain)
    }

    /// The row with its kind, if every column is what was once written.
    pub(crate) fn trusted(self) -> Option<(Kind, Row)> {
        if self.checksum() != self.sum {
            return None;
        }
        let body = if self.kind & PACKED == 0 {
            Body::Plain(self.body)
        } else {
            let size = packing::unpacked_len(&self.body)?;
            Body::Packed(self.body, size)
        };
        let row = Row {
            id: RowId(self.id),
            level: Level::from_number(self.level)?,
            first_seq: u64::try_from(self.id).ok()?,
            records: u32::try_from(self.records).ok().filter(|&n| n > 0)?,
            boot: self.boot.into(),
            body,
        };
        Some((signal(self.kind)?, row))
    }
}

/// The OTLP signal that the column `kind` names.
pub(crate) fn signal(kind: i64) -> Option<Kind> {
    Kind::from_number(kind & !PACKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        let mut row = Stored {
            id: 7,
            level: 2,
            kind: 1,
            records: 3,
            at: 99,
            boot: "b".into(),
            sum: 0,
            body: vec![1, 2, 3],
        };
        row.sum = row.checksum();
        row
    }

    #[test]
    fn a_row_is_trusted_only_while_every_column_is_as_written() {
        assert!(stored().trusted().is_some());
        let damages: [fn(&mut Stored); 7] = [
            |r| r.id ^= 1,
            |r| r.level ^= 1,
            |r| r.kind ^= 1,
            |r| r.records ^= 1,
            |r| r.at ^= 1,
            |r| r.boot.push('c'),
            |r| r.body[1] ^= 1,
        ];
        for (n, damage) in damages.into_iter().enumerate() {
            let mut row = stored();
            damage(&mut row);
            assert!(row.trusted().is_none(), "damage {n}");
        }
    }

    #[test]
    fn a_row_without_a_record_or_with_an_unknown_lane_is_never_trusted() {
        for (level, kind, records) in [(4, 1, 3), (2, 3, 3), (2, 1, 0), (2, 1, -1)] {
            let mut row = Stored { level, kind, records, ..stored() };
            row.sum = row.checksum();
            assert!(row.trusted().is_none());
        }
    }
}
