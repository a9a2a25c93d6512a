//! The counters themselves: what a transaction changes together with its rows, and the list of
//! words and numbers in which both the store and the mirror keep them.
//!
//! # Invariants
//! - Records come in by [`Books::generate`] and go out by [`Books::settle`], nowhere else; a number
//!   is given once.
//! - More records than wait cannot go out: that is [`Unbalanced`], a sign of damage, and the
//!   transaction does not happen.
//! - The list carries its own CRC-32C, so a flipped bit in a counter is noticed and not believed.

use candor_model::{DropReason, Level};

use crate::gaps::{Gap, Gaps, Holes};
use crate::ledger::{Before, Dropped};
use crate::timeline::Mark;

/// More records were to leave than wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unbalanced;

/// How records leave the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// An endpoint has them, but for `rejected` of them that it refused.
    Uploaded {
        /// Refused by a partial success.
        rejected: u64,
    },
    /// They will never be uploaded.
    Dropped(DropReason),
}

/// Every counter that is committed with the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    /// Number of the commit that wrote these books.
    pub(crate) serial: u64,
    pub(crate) uploaded: u64,
    pub(crate) dropped: Dropped,
    pub(crate) by_level: [u64; Level::ALL.len()],
    pub(crate) withheld: u64,
    pub(crate) refused: u64,
    pub(crate) damages: u64,
    pub(crate) mark: Mark,
    /// Milliseconds since 1970; zero = never.
    pub(crate) last_upload: u64,
    /// What was dropped and is not yet told to the receiver. Not in the list of words.
    pub(crate) gaps: Gaps,
    /// The counters when the owner had the ids renewed; zero before the first time.
    pub(crate) before: Before,
}

/// Numbers of records that leave together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// How many records; each number of the span, or some of them.
    pub(crate) records: u64,
}

impl Span {
    /// Consecutive numbers.
    pub(crate) const fn run(first: u64, records: u64) -> Self {
        Self { first, last: first + records.saturating_sub(1), records }
    }

    /// The hull of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            records: self.records + other.records,
        }
    }
}

/// The words of the list, in order; the drop reasons follow under their own words.
const WORDS: [&str; 13] = [
    "serial",
    "next_seq",
    "uploaded",
    "generated_security",
    "generated_basic",
    "generated_enhanced",
    "generated_full",
    "withheld",
    "refused",
    "damages",
    "age_millis",
    "wall_millis",
    "last_upload_millis",
];

/// The before's word for what was uploaded; its drop reasons stand behind [`BEFORE`].
const UPLOADED_BEFORE: &str = "before_uploaded";
/// The before's words, in the order of [`DropReason::ALL`]. They are in the list where they are not
/// zero, so that a store whose ids were never renewed is one that earlier versions read.
const BEFORE: [&str; DropReason::ALL.len()] = [
    "before_spool_full",
    "before_expired",
    "before_rejected",
    "before_corrupt",
    "before_withdrawn",
    "before_disabled",
    "before_deleted",
    "before_oversize",
];

impl Books {
    pub(crate) fn generated(&self) -> u64 {
        self.by_level.iter().sum()
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.generated().saturating_sub(self.before.generated) + 1
    }

    /// Begins anew under other ids: everything that waited was settled before.
    pub(crate) fn renew(&mut self) {
        self.before =
            Before { generated: self.generated(), uploaded: self.uploaded, dropped: self.dropped };
        self.gaps = Gaps::default();
        self.last_upload = 0;
    }

    pub(crate) fn pending(&self) -> u64 {
        self.generated().saturating_sub(self.uploaded + self.dropped.total())
    }

    /// Gives numbers to `records` of a level; the first of them is returned.
    pub(crate) fn generate(&mut self, level: Level, records: u64) -> u64 {
        let first = self.next_seq();
        self.by_level[usize::from(level.number())] += records;
        first
    }

    /// Takes records out of the queue.
    pub(crate) fn settle(&mut self, span: Span, fate: Fate) -> Result<(), Unbalanced> {
        let Span { first, last, records } = span;
        if records > self.pending() {
            return Err(Unbalanced);
        }
        let (reason, count) = match fate {
            Fate::Dropped(reason) => (reason, records),
            Fate::Uploaded { rejected } => (DropReason::Rejected, rejected.min(records)),
        };
        if matches!(fate, Fate::Uploaded { .. }) {
            self.uploaded += records - count;
        }
        self.dropped.add(reason, count);
        if count > 0 {
            self.gaps.add(Gap { first, last, count, reason });
        }
        Ok(())
    }

    /// Whether no more records of a reason are untold than were dropped for it.
    pub(crate) fn gaps_agree(&self) -> bool {
        self.dropped.iter().all(|(reason, dropped)| self.gaps.untold(reason) <= dropped)
    }

    /// Makes the counters agree with `waiting` records that are really there. What is missing is
    /// `corrupt`, and in the `holes` between the rows. What is there too much was settled by a
    /// commit that the medium lost: it waits again and will be counted again, so it is taken out
    /// of what it was counted as.
    pub(crate) fn reconcile(&mut self, waiting: u64, holes: Holes) {
        let pending = self.pending();
        if waiting <= pending {
            let lost = pending - waiting;
            self.dropped.add(DropReason::Corrupt, lost);
            for gap in holes.end(self.next_seq(), lost, &self.gaps) {
                self.gaps.add(gap);
            }
            return;
        }
        let mut surplus = waiting - pending;
        for count in std::iter::once(&mut self.uploaded).chain(self.dropped.0.iter_mut()) {
            let back = surplus.min(*count);
            *count -= back;
            surplus -= back;
        }
    }

    /// The books after the medium lost the last commits of the store: numbers that `later` gave
    /// are never given again, and the records that had them are `corrupt`.
    pub(crate) fn catch_up(&mut self, later: &Self) {
        self.before = later.before;
        let first = self.next_seq();
        for (mine, theirs) in self.by_level.iter_mut().zip(later.by_level) {
            let lost = theirs.saturating_sub(*mine);
            *mine += lost;
            self.dropped.add(DropReason::Corrupt, lost);
        }
        if let Some(count @ 1..) = self.next_seq().checked_sub(first) {
            let (last, reason) = (first + count - 1, DropReason::Corrupt);
            self.gaps.add(Gap { first, last, count, reason });
        }
        self.serial = later.serial;
        self.withheld = self.withheld.max(later.withheld);
        self.refused = self.refused.max(later.refused);
        self.damages = self.damages.max(later.damages) + 1;
        self.last_upload = self.last_upload.max(later.last_upload);
        self.mark.at = self.mark.at.max(later.mark.at);
    }

    /// Words and numbers, with `sum` as the last.
    pub(crate) fn list(&self) -> Vec<(&'static str, u64)> {
        let [security, basic, enhanced, full] = self.by_level;
        let numbers: [u64; WORDS.len()] = [
            self.serial,
            self.next_seq(),
            self.uploaded,
            security,
            basic,
            enhanced,
            full,
            self.withheld,
            self.refused,
            self.damages,
            self.mark.at,
            self.mark.wall,
            self.last_upload,
        ];
        let mut list: Vec<_> = WORDS.into_iter().zip(numbers).collect();
        list.extend(self.dropped.iter().map(|(reason, n)| (reason.word(), n)));
        let before = BEFORE.into_iter().zip(self.before.dropped.iter().map(|(_, n)| n));
        let before = std::iter::once((UPLOADED_BEFORE, self.before.uploaded)).chain(before);
        list.extend(before.filter(|(_, n)| *n > 0));
        let sum = checksum(&list);
        list.push(("sum", sum));
        list
    }

    /// The books of a list, if it is whole: each word there, the sum right. Unknown words are
    /// covered by the sum of a later version, so they make the list unreadable for this one.
    pub(crate) fn read(find: impl Fn(&str) -> Option<u64>) -> Option<Self> {
        let mut books = Self {
            serial: find("serial")?,
            uploaded: find("uploaded")?,
            dropped: Dropped::default(),
            by_level: [0; Level::ALL.len()],
            withheld: find("withheld")?,
            refused: find("refused")?,
            damages: find("damages")?,
            mark: Mark { at: find("age_millis")?, wall: find("wall_millis")? },
            last_upload: find("last_upload_millis")?,
            gaps: Gaps::default(),
            before: Before::default(),
        };
        for (count, word) in books.by_level.iter_mut().zip(&WORDS[3..7]) {
            *count = find(word)?;
        }
        for reason in DropReason::ALL {
            books.dropped.add(reason, find(reason.word())?);
        }
        books.before = Before {
            generated: (books.generated() + 1).checked_sub(find("next_seq")?)?,
            uploaded: find(UPLOADED_BEFORE).unwrap_or(0),
            dropped: Dropped::default(),
        };
        for (reason, word) in DropReason::ALL.into_iter().zip(BEFORE) {
            books.before.dropped.add(reason, find(word).unwrap_or(0));
        }
        let whole = books.list().last().map(|&(_, sum)| sum) == find("sum");
        whole.then_some(books)
    }
}

/// CRC-32C over `word value` lines.
fn checksum(list: &[(&'static str, u64)]) -> u64 {
    let mut sum = 0;
    for (word, number) in list {
        sum = crc32c::crc32c_append(sum, word.as_bytes());
        sum = crc32c::crc32c_append(sum, &number.to_le_bytes());
    }
    u64::from(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        let mut books = Books { serial: 9, ..Books::default() };
        assert_eq!(books.generate(Level::Basic, 5), 1);
        assert_eq!(books.generate(Level::Full, 2), 6);
        books.settle(Span::run(1, 3), Fate::Uploaded { rejected: 1 }).unwrap();
        books
    }

    fn find<'a>(list: &'a [(&'static str, u64)]) -> impl Fn(&str) -> Option<u64> + 'a {
        move |word| list.iter().find(|(w, _)| *w == word).map(|&(_, n)| n)
    }

    #[test]
    fn a_partial_success_counts_its_rejects_as_dropped() {
        let books = books();
        assert_eq!((books.uploaded, books.dropped.get(DropReason::Rejected)), (2, 1));
        assert_eq!(books.pending(), 4);
    }

    #[test]
    fn more_than_waits_cannot_leave() {
        let five = Span::run(4, 5);
        assert_eq!(books().settle(five, Fate::Dropped(DropReason::Expired)), Err(Unbalanced));
    }

    #[test]
    fn a_list_reads_back_and_a_change_of_any_number_makes_it_unreadable() {
        let books = Books { gaps: Gaps::default(), ..books() };
        let list = books.list();
        assert_eq!(Books::read(find(&list)), Some(books));
        for n in 0..list.len() {
            let mut bent = list.clone();
            bent[n].1 ^= 1;
            assert_eq!(Books::read(find(&bent)), None, "{}", list[n].0);
        }
        for n in 0..list.len() {
            let mut short = list.clone();
            short.remove(n);
            assert_eq!(Books::read(find(&short)), None);
        }
    }

    #[test]
    fn reconciling_counts_what_is_missing_and_takes_back_what_returned() {
        let mut missing = books();
        missing.reconcile(1, Holes::new());
        assert_eq!((missing.pending(), missing.dropped.get(DropReason::Corrupt)), (1, 3));
        let mut returned = books();
        returned.reconcile(6, Holes::new());
        assert_eq!((returned.pending(), returned.uploaded, returned.generated()), (6, 0, 7));
    }

    #[test]
    fn catching_up_gives_no_number_twice_and_counts_the_lost_ones() {
        let mut old = books();
        let mut later = books();
        later.serial = 12;
        later.generate(Level::Basic, 10);
        later.settle(Span::run(1, 10), Fate::Uploaded { rejected: 0 }).unwrap();
        old.catch_up(&later);
        assert_eq!((old.next_seq(), old.serial), (later.next_seq(), 12));
        assert_eq!((old.pending(), old.dropped.get(DropReason::Corrupt)), (4, 10));
        let lost = Gap { first: 8, last: 17, count: 10, reason: DropReason::Corrupt };
        assert_eq!(old.gaps.list().last(), Some(&lost));
    }
}
