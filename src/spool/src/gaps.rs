//! Which numbers will never arrive, and why: ranges that wait until a `candor.gap` record has told
//! the receiver of them. Kept beside the counters, committed with them, pure.
//!
//! # Invariants
//! - A range of `last - first + 1` records is exact: each number in it is gone. One of fewer says
//!   that so many of the numbers in it are gone, and not which.
//! - A number that was dropped is covered until it is told; joining ranges loses no count.
//! - At most [`MOST`] ranges; beyond, the two of one reason that lie closest are joined.
//!
//! On failure: what the medium damaged of the list is left out; the counters do not depend on it.

use candor_model::DropReason;

/// Ranges kept at most.
pub(crate) const MOST: usize = 256;

/// A range of numbers in which records were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first number.
    pub first: u64,
    /// The last number; in an exact range each number from the first to it is gone.
    pub last: u64,
    /// How many of them are gone.
    pub count: u64,
    /// Why.
    pub reason: DropReason,
}

impl Gap {
    /// Whether every number of the range is gone.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.count == self.width()
    }

    /// Its place, in the list and in the store.
    const fn key(&self) -> (u64, &'static str) {
        (self.first, self.reason.word())
    }

    const fn width(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Whether two ranges of one reason can be one without saying less.
    fn continues(&self, next: &Self) -> bool {
        let both_exact = self.is_exact() && next.is_exact();
        let joins = if both_exact { self.last + 1 == next.first } else { next.first <= self.last };
        self.reason == next.reason && joins
    }

    fn join(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.width().min(self.count + other.count);
    }

    /// CRC-32C over the numbers and the word.
    pub(crate) fn checksum(&self) -> i64 {
        let mut sum = crc32c::crc32c(self.reason.word().as_bytes());
        for number in [self.first, self.last, self.count] {
            sum = crc32c::crc32c_append(sum, &number.to_le_bytes());
        }
        i64::from(sum)
    }
}

/// The ranges that are not yet told, in the order of their first numbers; no two have the same
/// first number and reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gaps(Vec<Gap>);

impl Gaps {
    /// The ranges of a store, as they lie there; one that is impossible is left out.
    pub(crate) fn of(mut list: Vec<Gap>) -> Self {
        list.retain(|gap| gap.first <= gap.last && gap.count > 0 && gap.count <= gap.width());
        list.sort_by_key(Gap::key);
        list.truncate(MOST);
        Self(list)
    }

    pub(crate) fn list(&self) -> &[Gap] {
        &self.0
    }

    /// Records that a reason took and that are not yet told.
    pub(crate) fn untold(&self, reason: DropReason) -> u64 {
        self.0.iter().filter(|gap| gap.reason == reason).map(|gap| gap.count).sum()
    }

    /// Whether an exact range holds all these numbers.
    pub(crate) fn covers(&self, first: u64, last: u64) -> bool {
        self.0.iter().any(|gap| gap.is_exact() && gap.first <= first && last <= gap.last)
    }

    /// Adds a range.
    pub(crate) fn add(&mut self, gap: Gap) {
        let place = self.0.partition_point(|known| known.key() <= gap.key());
        let before = self.0[..place].iter().rposition(|known| known.continues(&gap));
        let place = if let Some(known) = before {
            self.0[known].join(&gap);
            known
        } else {
            self.0.insert(place, gap);
            place
        };
        let grown = self.0[place];
        let after = self.0[place + 1..].iter().position(|known| grown.continues(known));
        if let Some(after) = after {
            let joined = self.0.remove(place + 1 + after);
            self.0[place].join(&joined);
        }
        self.bound();
    }

    /// Takes out what was told; what a range gained since stays.
    pub(crate) fn tell(&mut self, told: &[Gap]) {
        for told in told {
            let holds = |known: &Gap| {
                known.reason == told.reason && known.first <= told.first && told.last <= known.last
            };
            let Some(place) = self.0.iter().position(holds) else { continue };
            let known = self.0.remove(place);
            let rest = if known.is_exact() && told.is_exact() {
                pieces(&known, told)
            } else {
                let count = known.count.saturating_sub(told.count);
                vec![Gap { count, ..known }]
            };
            self.0.splice(place..place, rest.into_iter().filter(|gap| gap.count > 0));
        }
    }

    /// Joins the two closest of one reason while there are too many.
    fn bound(&mut self) {
        while self.0.len() > MOST {
            let Some((first, second)) = self.closest() else { return };
            let joined = self.0.remove(second);
            self.0[first].join(&joined);
        }
    }

    fn closest(&self) -> Option<(usize, usize)> {
        let mut last_of = [None; DropReason::ALL.len()];
        let mut best: Option<(u64, usize, usize)> = None;
        for (place, gap) in self.0.iter().enumerate() {
            let reason = DropReason::ALL.iter().position(|reason| *reason == gap.reason)?;
            if let Some(before) = last_of[reason].replace(place) {
                let before_gap: &Gap = &self.0[before];
                let distance = gap.first.saturating_sub(before_gap.last);
                if best.is_none_or(|(least, ..)| distance < least) {
                    best = Some((distance, before, place));
                }
            }
        }
        best.map(|(_, first, second)| (first, second))
    }
}

/// What is left and right of a told part.
fn pieces(known: &Gap, told: &Gap) -> Vec<Gap> {
    let part = |first: u64, end: u64| {
        (first < end).then(|| Gap { first, last: end - 1, count: end - first, ..*known })
    };
    [part(known.first, told.first), part(told.last + 1, known.last + 1)]
        .into_iter()
        .flatten()
        .collect()
}

/// The numbers below `end` that no row holds.
#[derive(Debug, Default)]
pub(crate) struct Holes {
    runs: Vec<(u64, u64)>,
    free: u64,
}

impl Holes {
    pub(crate) fn new() -> Self {
        Self { runs: Vec::new(), free: 1 }
    }

    /// A row holds these numbers; rows come in order.
    pub(crate) fn row(&mut self, first: u64, records: u64, known: &Gaps) {
        if first > self.free {
            self.hole(self.free, first - 1, known);
        }
        self.free = self.free.max(first + records);
    }

    /// No row comes any more; numbers were given below `end`. Where `gone` of the numbers in the
    /// holes are, as exactly as that can be told.
    pub(crate) fn end(mut self, end: u64, gone: u64, known: &Gaps) -> Vec<Gap> {
        if end > self.free {
            self.hole(self.free, end - 1, known);
        }
        let reason = DropReason::Corrupt;
        let width: u64 = self.runs.iter().map(|(first, last)| last - first + 1).sum();
        if width == gone && self.runs.len() < MOST {
            let exact =
                |&(first, last): &(u64, u64)| Gap { first, last, count: last - first + 1, reason };
            return self.runs.iter().map(exact).collect();
        }
        match (self.runs.first(), self.runs.last()) {
            (Some(&(first, ..)), Some(&(.., last))) if gone > 0 => {
                vec![Gap { first, last, count: gone.min(last - first + 1), reason }]
            }
            _ => Vec::new(),
        }
    }

    fn hole(&mut self, first: u64, last: u64, known: &Gaps) {
        if known.covers(first, last) {
            return;
        }
        // At the bound the last run swallows what lies between: `end` then gives the hull.
        let is_full = self.runs.len() >= MOST;
        match self.runs.last_mut().filter(|_| is_full) {
            Some(run) => run.1 = last,
            None => self.runs.push((first, last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gap(first: u64, last: u64, reason: DropReason) -> Gap {
        Gap { first, last, count: last - first + 1, reason }
    }

    const FULL: DropReason = DropReason::SpoolFull;
    const OLD: DropReason = DropReason::Expired;

    #[test]
    fn what_touches_is_one_range_from_whichever_side_it_grows() {
        let mut gaps = Gaps::default();
        for (first, last) in [(5, 6), (9, 9), (7, 8), (1, 4)] {
            gaps.add(gap(first, last, FULL));
        }
        assert_eq!(gaps.list(), [gap(1, 9, FULL)]);
        gaps.add(gap(10, 12, OLD));
        assert_eq!(gaps.list().len(), 2);
        assert_eq!((gaps.untold(FULL), gaps.untold(OLD)), (9, 3));
    }

    #[test]
    fn a_range_that_grew_after_it_was_read_keeps_what_was_not_told() {
        let mut gaps = Gaps::default();
        gaps.add(gap(5, 6, FULL));
        let told = gaps.list().to_vec();
        gaps.add(gap(3, 4, FULL));
        gaps.add(gap(7, 9, FULL));
        gaps.tell(&told);
        assert_eq!(gaps.list(), [gap(3, 4, FULL), gap(7, 9, FULL)]);
        gaps.tell(&told);
        assert_eq!(gaps.list().len(), 2, "told twice is told once");
    }

    #[test]
    fn some_of_a_range_add_up_and_are_told_by_count() {
        let mut gaps = Gaps::default();
        gaps.add(Gap { first: 1, last: 20, count: 2, reason: DropReason::Rejected });
        let told = gaps.list().to_vec();
        gaps.add(Gap { first: 11, last: 30, count: 1, reason: DropReason::Rejected });
        assert_eq!((gaps.list().len(), gaps.untold(DropReason::Rejected)), (1, 3));
        gaps.tell(&told);
        let left = Gap { first: 1, last: 30, count: 1, reason: DropReason::Rejected };
        assert_eq!(gaps.list(), [left]);
    }

    #[test]
    fn beyond_the_bound_the_closest_are_joined_and_no_count_is_lost() {
        let mut gaps = Gaps::default();
        for n in 0..1000 {
            gaps.add(gap(n * 10 + 1, n * 10 + 3, if n % 2 == 0 { FULL } else { OLD }));
        }
        assert!(gaps.list().len() <= MOST);
        assert_eq!((gaps.untold(FULL), gaps.untold(OLD)), (1500, 1500));
    }

    #[test]
    fn holes_are_named_exactly_where_all_of_them_are_lost_and_as_a_hull_where_not() {
        let known = Gaps::of(vec![gap(4, 5, FULL)]);
        let holes = || {
            let mut holes = Holes::new();
            for (first, records) in [(1, 3), (6, 1), (9, 2)] {
                holes.row(first, records, &known);
            }
            holes
        };
        let corrupt = DropReason::Corrupt;
        assert_eq!(holes().end(12, 3, &known), [gap(7, 8, corrupt), gap(11, 11, corrupt)]);
        let hull = Gap { first: 7, last: 11, count: 1, reason: corrupt };
        assert_eq!(holes().end(12, 1, &known), [hull]);
        assert_eq!(holes().end(11, 0, &known), []);
    }

    proptest! {
        /// Exact ranges are the same set of numbers in whatever order they come and are told.
        #[test]
        fn ranges_are_a_set_of_numbers(
            order in Just((1..60_u64).collect::<Vec<_>>()).prop_shuffle(),
            told in prop::collection::btree_set(1..60_u64, 0..20),
        ) {
            let mut gaps = Gaps::default();
            for &n in &order {
                gaps.add(gap(n, n, if n % 7 == 0 { OLD } else { FULL }));
            }
            prop_assert_eq!(gaps.untold(FULL) + gaps.untold(OLD), 59);
            for &n in &told {
                gaps.tell(&[gap(n, n, if n % 7 == 0 { OLD } else { FULL })]);
            }
            let mut left: Vec<u64> =
                gaps.list().iter().flat_map(|gap| gap.first..=gap.last).collect();
            left.sort_unstable();
            let expected: Vec<u64> = (1..60).filter(|n| !told.contains(n)).collect();
            prop_assert_eq!(left, expected);
        }
    }
}
