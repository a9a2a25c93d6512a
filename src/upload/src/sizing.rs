//! How much goes into the next request: small enough for memory and for the receiver, and halved
//! again and again to find the record that a receiver refuses. Pure; `drain` asks and reports.
//!
//! # Invariants
//! - A request always has at least one row.
//! - A search for a refused record ends when as many rows as it began with are decided.
//! - A limit learnt from 413 lasts until the destination changes; `uploader` keeps it over a restart.

/// A request's rows, unpacked: far below the 4 MiB that receivers commonly allow. It is held in memory
/// twice, packed; only where a receiver wants another form, unpacked as well.
const PARCEL: usize = 512 * 1024;
/// A limit learnt from 413 is not believed below this: the single record stands alone by then.
const SMALLEST: usize = 4 * 1024;

/// The size of the next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizing {
    bytes: usize,
    search: Option<Search>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Search {
    /// Rows of the next request.
    rows: usize,
    /// Rows that are still to be decided.
    remaining: usize,
}

impl Sizing {
    pub(crate) const fn new() -> Self {
        Self { bytes: PARCEL, search: None }
    }

    /// As before the start, with the limit that was learnt then.
    pub(crate) fn with_limit(bytes: usize) -> Self {
        Self { bytes: bytes.clamp(SMALLEST, PARCEL), search: None }
    }

    /// The limit that a receiver taught, if one did.
    pub(crate) fn limit(&self) -> Option<usize> {
        (self.bytes < PARCEL).then_some(self.bytes)
    }

    /// Bytes of rows to ask the spool for.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many of them to send at most.
    pub(crate) fn rows(&self) -> usize {
        self.search.as_ref().map_or(usize::MAX, |search| search.rows)
    }

    /// A request with these rows was too large for the receiver.
    pub(crate) fn too_large(&mut self, bytes: usize) {
        self.bytes = (bytes / 2).clamp(SMALLEST, self.bytes.max(SMALLEST));
    }

    /// A request with so many rows, more than one, holds a record that is refused.
    pub(crate) fn halve(&mut self, rows: usize) {
        let remaining = self.search.as_ref().map_or(0, |search| search.remaining).max(rows);
        self.search = Some(Search { rows: (rows / 2).max(1), remaining });
    }

    /// The one row of a request was split into two.
    pub(crate) fn split(&mut self) {
        let remaining = self.search.as_ref().map_or(1, |search| search.remaining);
        self.search = Some(Search { rows: 1, remaining: remaining.saturating_add(1) });
    }

    /// So many rows are decided, one way or the other.
    pub(crate) fn decided(&mut self, rows: usize) {
        if let Some(search) = &mut self.search {
            search.remaining = search.remaining.saturating_sub(rows);
            // One refused record is found: the others may go together again.
            if search.remaining == 0 {
                self.search = None;
            }
        }
    }

    /// The refused record is found and gone: what is left may go together again.
    pub(crate) fn found(&mut self) {
        self.search = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests that it takes to get `rows` rows past a receiver that refuses some of them.
    fn requests(rows: usize, refused: &[usize]) -> usize {
        let mut sizing = Sizing::new();
        let mut waiting: Vec<usize> = (0..rows).collect();
        let mut requests = 0;
        while !waiting.is_empty() {
            requests += 1;
            assert!(requests < 10_000, "the search does not end");
            let sent = sizing.rows().min(waiting.len());
            let bad = waiting[..sent].iter().any(|row| refused.contains(row));
            match (bad, sent) {
                (true, 1) => sizing.found(),
                (true, _) => {
                    sizing.halve(sent);
                    continue;
                }
                (false, _) => sizing.decided(sent),
            }
            waiting.drain(..sent);
        }
        requests
    }

    #[test]
    fn one_refused_row_among_many_is_found_by_halving() {
        assert_eq!(requests(1000, &[]), 1);
        for bad in [0, 1, 499, 500, 998, 999] {
            assert!(requests(1000, &[bad]) <= 40, "{bad}: {}", requests(1000, &[bad]));
        }
    }

    #[test]
    fn every_row_refused_ends_too() {
        assert!(requests(64, &(0..64).collect::<Vec<_>>()) < 64 * 8);
    }

    #[test]
    fn a_search_ends_when_nothing_alone_is_refused() {
        let mut sizing = Sizing::new();
        sizing.halve(8);
        assert_eq!(sizing.rows(), 4);
        sizing.decided(4);
        assert_eq!(sizing.rows(), 4);
        sizing.decided(4);
        assert_eq!(sizing.rows(), usize::MAX);
    }

    #[test]
    fn a_limit_that_was_learnt_stays() {
        let mut sizing = Sizing::new();
        sizing.too_large(100_000);
        assert_eq!(sizing.bytes(), 50_000);
        sizing.too_large(1);
        assert_eq!(sizing.bytes(), SMALLEST);
        sizing.too_large(1_000_000);
        assert_eq!(sizing.bytes(), SMALLEST);
    }

    #[test]
    fn a_limit_from_before_the_start_counts_and_nonsense_is_bounded() {
        assert_eq!(Sizing::new().limit(), None);
        assert_eq!(Sizing::with_limit(50_000).limit(), Some(50_000));
        assert_eq!(Sizing::with_limit(0).bytes(), SMALLEST);
        assert_eq!(Sizing::with_limit(usize::MAX), Sizing::new());
    }
}
