//! One row of the queue: a run of sealed OTLP frames of one level, kind and boot, with consecutive
//! sequence numbers, as the uploader gets it and as the checksum covers it.
//!
//! # Invariants
//! - A row's id is the sequence number of its first record, so ids never overlap and never repeat.
//! - The checksum covers every column: a flipped bit in the level is found as surely as one in the
//!   body.

use std::sync::Arc;

use candor_model::{Kind, Level};

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
    /// The sealed frames, one after the other, ready to stand in a request body.
    pub bytes: Vec<u8>,
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
    /// Upper bound of the sum of [`Row::bytes`]. A single row above it still comes, alone.
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

    /// The row with its kind, if every column is what was once written.
    pub(crate) fn trusted(self) -> Option<(Kind, Row)> {
        if self.checksum() != self.sum {
            return None;
        }
        let row = Row {
            id: RowId(self.id),
            level: Level::from_number(self.level)?,
            first_seq: u64::try_from(self.id).ok()?,
            records: u32::try_from(self.records).ok().filter(|&n| n > 0)?,
            boot: self.boot.into(),
            bytes: self.body,
        };
        Some((Kind::from_number(self.kind)?, row))
    }
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
