//! What an owner does with the whole store: has everything deleted and the ids renewed, takes a copy
//! of what waits away by hand, and brings the receipt back.
//!
//! # Invariants
//! - A renewal leaves no record, no range and no number by which the new id could be joined with the
//!   old one; the ledger goes on, and what it counted before is kept apart (`books.rs`).
//! - A look at what waits settles nothing.
//! - A row is settled by a receipt as a whole: one of which the receipt does not know every record
//!   waits on.

use candor_model::{DropReason, Kind};

use crate::books::Fate;
use crate::damage::StoreError;
use crate::identity::Identity;
use crate::lanes::{self, Which};
use crate::mirror::Slot;
use crate::queue;
use crate::row::Row;
use crate::schema::{self, INSTALL_ID, INSTALL_KEY};
use crate::store::Store;

/// Numbers of records from the first to the last, both included.
pub type Range = (u64, u64);

/// What a receipt came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Records that count as uploaded now.
    pub uploaded: u64,
    /// Records that the receiver refused.
    pub rejected: u64,
}

/// Deletes everything and makes other ids; how many records waited.
pub(crate) fn renew(store: &mut Store) -> Result<u64, StoreError> {
    let deleted = queue::clear(store, DropReason::Deleted)?;
    let Identity { id, key } = Identity::new();
    let former = store.mirror.install_id().to_owned();
    store.mirror.rename(id.clone());
    let renewed = store.write(|conn, books| {
        books.renew();
        schema::write_meta(conn, INSTALL_KEY, &key.to_string())?;
        Ok(schema::write_meta(conn, INSTALL_ID, &id)?)
    });
    if let Err(error) = renewed {
        store.mirror.rename(former);
        store.mirror.write(Slot::Intent, &store.books);
        return Err(error);
    }
    Ok(deleted)
}

/// Whole rows from the first whose number is above `after` on: at least one, then as many as hold
/// `max_bytes`. Damaged rows are passed over.
pub(crate) fn page(
    store: &mut Store,
    after: u64,
    max_bytes: usize,
) -> Result<Vec<(Kind, Row)>, StoreError> {
    let mut last = i64::try_from(after).unwrap_or(i64::MAX);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = lanes::after(&store.conn, last)? {
        last = row.id;
        let Some((kind, row)) = row.trusted() else { continue };
        bytes += row.size();
        if bytes > max_bytes && !rows.is_empty() {
            break;
        }
        rows.push((kind, row));
    }
    Ok(rows)
}

/// Settles every row whose records the ranges name, each as accepted or as refused.
pub(crate) fn settle(
    store: &mut Store,
    accepted: &[Range],
    rejected: &[Range],
) -> Result<Settled, StoreError> {
    let rows = lanes::spans(&store.conn)?;
    let wall = crate::timeline::unix_millis(store.place.outside.clock.wall());
    let (settled, gone) = store.write(|conn, books| {
        let (mut settled, mut gone) = (Settled::default(), Vec::new());
        for (id, records) in rows {
            let span = (id.first_seq(), id.first_seq() + records.saturating_sub(1));
            let refused = covered(span, rejected);
            if covered(span, accepted) + refused != records {
                continue;
            }
            lanes::remove(conn, books, Which::One(id), Fate::Uploaded { rejected: refused })?;
            settled.uploaded += records - refused;
            settled.rejected += refused;
            gone.push(id);
        }
        if settled.uploaded > 0 {
            books.last_upload = wall;
        }
        Ok((settled, gone))
    })?;
    store.settled(&gone);
    Ok(settled)
}

/// How many numbers of a span the ranges name.
fn covered((first, last): Range, ranges: &[Range]) -> u64 {
    let common = |(from, to): &Range| {
        let (from, to) = (first.max(*from), last.min(*to));
        to.saturating_add(1).saturating_sub(from)
    };
    ranges.iter().map(common).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_what_they_share_with_a_span() {
        assert_eq!(covered((10, 19), &[(1, 9), (20, 30)]), 0);
        assert_eq!(covered((10, 19), &[(1, 10), (19, 30)]), 2);
        assert_eq!(covered((10, 19), &[(0, u64::MAX)]), 10);
        assert_eq!(covered((10, 10), &[(10, 10)]), 1);
    }
}
