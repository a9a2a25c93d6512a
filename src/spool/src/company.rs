//! Whom a commit waits for. Callers who wait for their answers come back soon after they got them,
//! so a commit that had several of them is followed by one that waits a moment for as many: fewer
//! and larger commits, for everybody's good.
//!
//! # Invariants
//! - A commit waits [`PATIENCE`] at most, and not at all where the one before had no more callers or
//!   was long ago: who is alone never waits.

use std::time::{Duration, Instant};

/// How long a commit waits for others, counted from its first caller.
const PATIENCE: Duration = Duration::from_millis(2);
/// Callers of a commit that is longer ago are not expected back.
const MEMORY: Duration = Duration::from_millis(20);

/// The callers of the last commit.
#[derive(Debug, Default)]
pub(crate) struct Company {
    callers: usize,
    ended: Option<Instant>,
}

impl Company {
    /// Until when a commit that so many wait for since `first` may wait for more.
    pub(crate) fn until(&self, callers: usize, first: Instant) -> Option<Instant> {
        let is_fresh = self.ended.is_some_and(|ended| first.duration_since(ended) < MEMORY);
        (is_fresh && callers < self.callers).then(|| first + PATIENCE)
    }

    /// A commit ended now that so many waited for.
    pub(crate) fn committed(&mut self, callers: usize, now: Instant) {
        *self = Self { callers, ended: Some(now) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_as_many_as_came_together_last_and_no_longer_than_a_moment() {
        let mut company = Company::default();
        let now = Instant::now();
        assert_eq!(company.until(1, now), None, "nobody came before");
        company.committed(3, now);
        assert_eq!(company.until(1, now), Some(now + PATIENCE));
        assert_eq!(company.until(3, now), None, "all are here");
        assert_eq!(company.until(1, now + MEMORY * 2), None, "they have gone");
        company.committed(1, now);
        assert_eq!(company.until(1, now), None, "who is alone does not wait");
    }
}
