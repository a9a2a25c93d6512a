//! Drafts on their way to the writer thread: handed over by a caller, and not yet in what the writer last
//! showed of itself. While it is in a slow commit, they are what a power cut would lose as well.
//!
//! # Invariants
//! - What was handed over is counted here before the caller goes on, until a ledger was published that
//!   knows of it; so the loss bound is never below the truth.
//! - Drafts are counted in the order in which the writer takes them.
//!
//! On failure: what could not be sent is not counted.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::ledger::LossBound;

/// What was handed over so far.
#[derive(Debug, Default)]
pub(crate) struct Handed(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    /// Drafts in all.
    total: u64,
    /// For each call that is not known to be taken in: `total` after it, and when it came.
    calls: VecDeque<(u64, Instant)>,
}

impl Count {
    /// Forgets what the writer knows.
    fn forget(&mut self, taken: u64) {
        while self.calls.front().is_some_and(|(total, _)| *total <= taken) {
            self.calls.pop_front();
        }
    }
}

impl Handed {
    /// Sends drafts to the writer, which knows of `taken` by now, and counts them.
    pub(crate) fn send<E>(
        &self,
        drafts: usize,
        taken: u64,
        send: impl FnOnce(Instant) -> Result<(), E>,
    ) -> Result<(), E> {
        // Locked meanwhile, so that they are counted in the order in which they go.
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        send(now)?;
        count.forget(taken);
        count.total += u64::try_from(drafts).unwrap_or(u64::MAX);
        let total = count.total;
        count.calls.push_back((total, now));
        Ok(())
    }

    /// A bound as the writer published it, and what it did not know of then.
    pub(crate) fn beyond(&self, bound: LossBound) -> LossBound {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.forget(bound.taken);
        let events = bound.events + count.total.saturating_sub(bound.taken);
        let first = count.calls.front().map(|(_, since)| *since);
        let since = bound.since.into_iter().chain(first).min();
        LossBound { events, since, ..bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(handed: &Handed, drafts: usize, taken: u64) {
        handed.send(drafts, taken, |_| Ok::<(), ()>(())).unwrap();
    }

    #[test]
    fn what_the_writer_does_not_know_of_is_in_the_bound_until_it_does() {
        let handed = Handed::default();
        give(&handed, 3, 0);
        give(&handed, 4, 0);
        let shown = |events, taken| LossBound { events, taken, ..LossBound::default() };
        assert_eq!(handed.beyond(shown(0, 0)).events, 7);
        // It took the first in, and they linger.
        assert_eq!(handed.beyond(shown(3, 3)).events, 7);
        // It has committed them, and the others linger.
        assert_eq!(handed.beyond(shown(4, 7)).events, 4);
        assert_eq!(handed.beyond(shown(0, 7)), shown(0, 7));
    }

    #[test]
    fn the_oldest_of_both_is_the_age_and_nothing_is_remembered_that_is_known() {
        let handed = Handed::default();
        give(&handed, 1, 0);
        let first = handed.beyond(LossBound::default()).since.unwrap();
        give(&handed, 1, 0);
        let earlier =
            Instant::now().checked_sub(std::time::Duration::from_secs(1)).unwrap_or(first);
        let shown = LossBound { since: Some(earlier.min(first)), ..LossBound::default() };
        assert_eq!(handed.beyond(shown).since, shown.since);
        assert_eq!(handed.beyond(LossBound::default()).since, Some(first));
        give(&handed, 1, 2);
        assert_eq!(handed.0.lock().unwrap().calls.len(), 1);
    }

    #[test]
    fn what_could_not_be_sent_is_not_counted() {
        let handed = Handed::default();
        assert_eq!(handed.send(5, 0, |_| Err("closed")), Err("closed"));
        assert_eq!(handed.beyond(LossBound::default()), LossBound::default());
    }
}
