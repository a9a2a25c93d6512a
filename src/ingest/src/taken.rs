//! What became of one request's records: drafts to be kept, and what was refused by reason.
//!
//! # Invariants
//! - Every record of the request is either a draft or counted in one reason.
//! - Counts are of what OTLP counts: log records, data points, spans.

use std::fmt::Write as _;
use std::time::Duration;

use candor_model::Draft;
use candor_otlp::PartialSuccess;
use candor_providers::Reason;

/// What passed, not yet kept.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) bytes: usize,
    pub(crate) taken: Taken,
}

/// Memory that a draft costs beside its body.
const OVERHEAD: usize = size_of::<Draft>() + 32;

impl Judged {
    /// Takes a record that passed, which is so many units.
    pub(crate) fn keep(&mut self, draft: Draft, units: u64) {
        self.bytes += draft.body.len() + OVERHEAD;
        self.drafts.push(draft);
        self.taken.accept(units);
    }
}

/// What became of the records of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    accepted: u64,
    refused: [u64; Reason::ALL.len()],
    /// Nothing is kept at all, and why.
    closed: Option<&'static str>,
    /// The longest wait that a rate asks for, and whose it is.
    pub(crate) wait: Option<(Duration, String)>,
    /// What the first record that is too large has too much of.
    too_large: Option<String>,
}

impl Taken {
    /// Nothing is kept, for this reason.
    pub(crate) fn closed(why: &'static str) -> Self {
        Self { closed: Some(why), ..Self::default() }
    }

    pub(crate) const fn accept(&mut self, units: u64) {
        self.accepted += units;
    }

    pub(crate) fn refuse(&mut self, reason: Reason, units: u64) {
        self.refused[reason as usize] += units;
    }

    /// A provider's rate asks for this wait.
    pub(crate) fn wait_for(&mut self, wait: Option<Duration>, provider: &str) {
        if let Some(wait) = wait
            && self.wait.as_ref().is_none_or(|(longest, _)| *longest < wait)
        {
            self.wait = Some((wait, provider.to_owned()));
        }
    }

    pub(crate) fn too_large(&mut self, words: &str, units: u64) {
        self.refuse(Reason::Size, units);
        self.too_large.get_or_insert_with(|| words.to_owned());
    }

    /// Units that were accepted.
    #[must_use]
    pub const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Units that were refused for a reason.
    #[must_use]
    pub const fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason as usize]
    }

    /// Units that were refused for any reason.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Whether nothing passed and only time is in the way.
    pub(crate) fn is_only_early(&self) -> bool {
        let early = self.refused(Reason::Rate);
        self.accepted == 0 && early > 0 && early == self.refused_total()
    }

    /// The part of the answer that says what was not taken. What sampling leaves out is no complaint:
    /// the owner wants it so.
    #[must_use]
    pub fn partial_success(&self) -> PartialSuccess {
        let mut words = self.closed.map(str::to_owned).unwrap_or_default();
        let told = |reason: &Reason| *reason != Reason::Sampled && self.refused(*reason) > 0;
        for reason in Reason::ALL.into_iter().filter(told) {
            if self.closed.is_some() {
                break;
            }
            let separator = if words.is_empty() { "" } else { "; " };
            let detail = self.too_large.as_deref().filter(|_| reason == Reason::Size);
            // Writing to a `String` does not fail.
            let _ = write!(
                words,
                "{separator}{} refused ({}): {}",
                self.refused(reason),
                reason.word(),
                detail.unwrap_or(reason.meaning()),
            );
        }
        let rejected = self.refused_total() - self.refused(Reason::Sampled);
        PartialSuccess { rejected, error_message: words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_said_by_reason_with_its_count() {
        let mut taken = Taken::default();
        taken.accept(3);
        assert!(taken.partial_success().is_full());
        taken.refuse(Reason::UnknownEvent, 2);
        taken.too_large("the record has more than 128 attributes", 1);
        let partial = taken.partial_success();
        assert_eq!((partial.rejected, taken.accepted()), (3, 3));
        assert_eq!(
            partial.error_message,
            "2 refused (unknown_event): the provider's manifest does not declare this event; \
             1 refused (size): the record has more than 128 attributes"
        );
    }

    #[test]
    fn only_what_time_alone_holds_up_is_early() {
        let mut taken = Taken::default();
        assert!(!taken.is_only_early());
        taken.refuse(Reason::Rate, 1);
        taken.wait_for(Some(Duration::from_secs(2)), "cli");
        assert!(taken.is_only_early());
        assert_eq!(taken.wait, Some((Duration::from_secs(2), "cli".to_owned())));
        taken.refuse(Reason::UnknownEvent, 1);
        assert!(!taken.is_only_early());
    }

    #[test]
    fn while_nothing_is_kept_the_answer_says_why_and_how_much_it_was() {
        let mut taken = Taken::closed("telemetry is off on this host");
        taken.refuse(Reason::UnknownProvider, 4);
        let partial = taken.partial_success();
        assert_eq!(partial.rejected, 4);
        assert_eq!(partial.error_message, "telemetry is off on this host");
    }
}
