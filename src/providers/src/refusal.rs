//! Why something of a program does not pass, and how often that happened.
//!
//! # Invariants
//! - A record that is refused is counted once, under one reason; a field that is taken away from a
//!   record that passes is counted as a field.
//! - Counts survive a new reading of the manifests.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a record or a field does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No manifest that is switched on knows the program.
    UnknownProvider,
    /// The manifest does not declare the event.
    UnknownEvent,
    /// The manifest does not declare the field.
    UnknownField,
    /// The event stands above the effective level.
    Level,
    /// More records than the manifest allows.
    Rate,
    /// The record says that its program's user opted out.
    OptOut,
    /// The value is not of the declared type or format.
    Type,
    /// Larger than the manifest allows.
    Size,
    /// Left out by sampling.
    Sampled,
}

impl Reason {
    /// Every reason, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::UnknownProvider,
        Self::UnknownEvent,
        Self::UnknownField,
        Self::Level,
        Self::Rate,
        Self::OptOut,
        Self::Type,
        Self::Size,
        Self::Sampled,
    ];

    /// The word in JSON and in the documentation.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnknownProvider => "unknown_provider",
            Self::UnknownEvent => "unknown_event",
            Self::UnknownField => "unknown_field",
            Self::Level => "level",
            Self::Rate => "rate",
            Self::OptOut => "opt_out",
            Self::Type => "type",
            Self::Size => "size",
            Self::Sampled => "sampled",
        }
    }

    /// What happened, for the program's log.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::UnknownProvider => {
                "no provider that is switched on matches this program: see `agentctl providers`"
            }
            Self::UnknownEvent => "the provider's manifest does not declare this event",
            Self::UnknownField => "the provider's manifest does not declare this field",
            Self::Level => "the event stands above the effective level",
            Self::Rate => "more records than the provider's manifest allows",
            Self::OptOut => "the record says that its user opted out",
            Self::Type => "the value is not of the declared type or format",
            Self::Size => "the record is larger than the provider's manifest allows",
            Self::Sampled => "left out by the provider's sampling",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

impl std::error::Error for Reason {}

/// What one provider sent and what became of it, since the agent started.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: AtomicU64,
    records: [AtomicU64; Reason::ALL.len()],
    fields: [AtomicU64; Reason::ALL.len()],
}

impl Counts {
    /// Records that passed the manifest.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Records refused for a reason.
    #[must_use]
    pub fn refused(&self, reason: Reason) -> u64 {
        self.records[reason as usize].load(Ordering::Relaxed)
    }

    /// Fields taken away for a reason from records that passed.
    #[must_use]
    pub fn fields(&self, reason: Reason) -> u64 {
        self.fields[reason as usize].load(Ordering::Relaxed)
    }

    /// Counts a record that is refused after its admission, such as by the level.
    pub fn refuse(&self, reason: Reason) {
        self.refuse_many(reason, 1);
    }

    /// The same for many records.
    pub fn refuse_many(&self, reason: Reason, records: u64) {
        self.records[reason as usize].fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn take_field(&self, reason: Reason) {
        self.take_fields(reason, 1);
    }

    /// Counts fields of a record that passes without them.
    pub fn take_fields(&self, reason: Reason, count: u64) {
        self.fields[reason as usize].fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_place_and_a_word_of_its_own() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn records_and_fields_are_counted_apart() {
        let counts = Counts::default();
        counts.accept();
        counts.refuse(Reason::Level);
        counts.take_field(Reason::Type);
        assert_eq!((counts.accepted(), counts.refused(Reason::Level)), (1, 1));
        assert_eq!((counts.fields(Reason::Type), counts.refused(Reason::Type)), (1, 0));
    }
}
