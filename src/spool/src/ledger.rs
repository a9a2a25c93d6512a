//! The ledger as others see it: a cheap copy of what was last committed, and the verdict of a
//! check that derives it again from the rows.
//!
//! # Invariants
//! - `generated = uploaded + dropped + pending`, and what was generated since the ids were renewed
//!   is `next_seq - 1`, in every copy that
//!   ever leaves this crate: `pending` is computed from the other three.

use std::time::{Duration, Instant, SystemTime};

use candor_model::{DropReason, Level};

/// How many records were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped(pub(crate) [u64; DropReason::ALL.len()]);

impl Dropped {
    /// The records dropped for one reason.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[place(reason)]
    }

    /// The records dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The records that the owner took back (`withdrawn`, `disabled`, `deleted`); they count in
    /// neither percentage.
    #[must_use]
    pub fn by_owner(&self) -> u64 {
        self.iter().filter(|(reason, _)| reason.is_owners_choice()).map(|(_, n)| n).sum()
    }

    /// Every reason with its count, zeros included, in the order of reports.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|reason| (reason, self.get(reason)))
    }

    pub(crate) fn add(&mut self, reason: DropReason, records: u64) {
        self.0[place(reason)] += records;
    }
}

/// Where a reason stands in the array: its place in [`DropReason::ALL`].
fn place(reason: DropReason) -> usize {
    DropReason::ALL.iter().position(|&r| r == reason).unwrap_or(0)
}

/// What is lost at most if power fails now: records that were handed over but not yet committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossBound {
    /// How many records linger.
    pub events: u64,
    /// How long the oldest of them has lingered.
    pub oldest: Duration,
    /// Since when, so that a copy can be brought up to date.
    pub(crate) since: Option<Instant>,
    /// Drafts that the writer thread had taken in when it published this bound.
    pub(crate) taken: u64,
}

impl LossBound {
    /// The same bound with the age of this moment.
    pub(crate) fn now(self) -> Self {
        Self { oldest: self.since.map(|since| since.elapsed()).unwrap_or_default(), ..self }
    }
}

/// Counters of the ledger up to a moment, or since one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Records that got a sequence number.
    pub generated: u64,
    /// Records that an endpoint acknowledged.
    pub uploaded: u64,
    /// Records that were dropped, by reason.
    pub dropped: Dropped,
}

/// A copy of the ledger. Its counters are those of the last commit; `withheld`, `refused` and
/// `lingering` are of the moment and are stored with the next commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Records that ever got a sequence number on this installation.
    pub generated: u64,
    /// Records that an endpoint acknowledged.
    pub uploaded: u64,
    /// Records that will never be uploaded, by reason.
    pub dropped: Dropped,
    /// Records that wait, in flight included.
    pub pending: u64,
    /// `generated`, by level.
    pub generated_by_level: [u64; Level::ALL.len()],
    /// Drafts above the ceiling; never generated, beside the identity.
    pub withheld: u64,
    /// Drafts that the room in memory could not hold while the store refused to commit; never
    /// generated, beside the identity.
    pub refused: u64,
    /// What a power cut would lose now.
    pub lingering: LossBound,
    /// Bytes that the store holds allocated (pages in use; the write-ahead log, at most 4 MiB
    /// beyond a single large purge, comes on top).
    pub bytes: u64,
    /// The cap of `bytes`.
    pub max_bytes: u64,
    /// When the oldest waiting record was committed, by today's wall clock.
    pub oldest: Option<SystemTime>,
    /// The number that the next record gets; the first under an id is 1.
    pub next_seq: u64,
    /// The counters when the owner had the ids renewed; zero before the first time.
    pub before: Before,
    /// When an endpoint last acknowledged a record.
    pub last_upload: Option<SystemTime>,
    /// Rows in the dead-letter table.
    pub dead_letters: u64,
    /// Ranges of dropped numbers that the receiver was not yet told of.
    pub gaps: usize,
    /// Calls of fsync since this spool was opened, derived and not measured: one a commit, two a
    /// checkpoint that moved pages, one for the new log's header after it, one a forced mirror.
    /// The making of a new store (about ten, once) is not in it.
    pub fsyncs: u64,
    /// Times that this installation set a damaged store aside.
    pub damages: u64,
}

impl Ledger {
    /// Whether the identity holds.
    #[must_use]
    pub fn balances(&self) -> bool {
        let levels: u64 = self.generated_by_level.iter().sum();
        self.generated == self.uploaded + self.dropped.total() + self.pending
            && self.generated + 1 == self.next_seq + self.before.generated
            && self.generated == levels
    }

    /// What was generated, uploaded and dropped since the ids were renewed: what a receiver may be
    /// told, since the sums of a former id would join it with the present one.
    #[must_use]
    pub fn since_renewal(&self) -> Before {
        let mut dropped = self.dropped;
        for (now, before) in dropped.0.iter_mut().zip(self.before.dropped.0) {
            *now = now.saturating_sub(before);
        }
        Before {
            generated: self.generated.saturating_sub(self.before.generated),
            uploaded: self.uploaded.saturating_sub(self.before.uploaded),
            dropped,
        }
    }

    /// The ledger with its lingering age of this moment.
    pub(crate) fn now(mut self) -> Self {
        self.lingering = self.lingering.now();
        self
    }
}

/// What a check of every row found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// `pending` by the counters.
    pub pending_by_ledger: u64,
    /// Records in rows whose checksum holds.
    pub pending_by_rows: u64,
    /// Rows whose checksum does not hold. The check removes nothing; they count `corrupt` when
    /// they are next read.
    pub damaged_rows: u64,
    /// Rows whose numbers overlap the row before, or reach beyond `next_seq`.
    pub misnumbered_rows: u64,
    /// Whether the counters balance among themselves, and stand in the store as in memory.
    pub balances: bool,
    /// Whether no more records are in ranges that wait to be told than were dropped, reason by
    /// reason.
    pub gaps_agree: bool,
}

impl Verdict {
    /// Whether rows and counters agree to the last record.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.balances
            && self.gaps_agree
            && self.pending_by_ledger == self.pending_by_rows
            && self.damaged_rows == 0
            && self.misnumbered_rows == 0
    }

    /// What disagrees, each in a sentence; none when it is sound.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let Self { pending_by_ledger, pending_by_rows, damaged_rows, misnumbered_rows, .. } = self;
        let mut findings = Vec::new();
        let mut note = |disagrees: bool, text: String| {
            if disagrees {
                findings.push(text);
            }
        };
        note(!self.balances, "the counters do not balance, or do not stand as in memory".into());
        note(!self.gaps_agree, "more records are named as gone than were dropped".into());
        note(
            pending_by_ledger != pending_by_rows,
            format!(
                "{pending_by_ledger} records wait by the counters, {pending_by_rows} by the rows"
            ),
        );
        note(*damaged_rows > 0, format!("{damaged_rows} rows are damaged"));
        note(*misnumbered_rows > 0, format!("{misnumbered_rows} rows have numbers of others"));
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count() {
        let mut dropped = Dropped::default();
        for (n, reason) in (1..).zip(DropReason::ALL) {
            dropped.add(reason, n);
        }
        assert!((1..).zip(DropReason::ALL).all(|(n, reason)| dropped.get(reason) == n));
        assert_eq!(dropped.total(), 36);
        assert_eq!(dropped.by_owner(), 5 + 6 + 7);
    }

    #[test]
    fn a_ledger_that_is_off_by_one_does_not_balance() {
        let ledger = Ledger {
            generated: 2,
            uploaded: 1,
            pending: 1,
            generated_by_level: [2, 0, 0, 0],
            next_seq: 3,
            ..Ledger::default()
        };
        assert!(ledger.balances());
        assert!(!Ledger { pending: 2, ..ledger.clone() }.balances());
        assert!(!Ledger { next_seq: 4, ..ledger.clone() }.balances());
        assert!(!Ledger { generated_by_level: [1, 0, 0, 0], ..ledger }.balances());
    }
}
