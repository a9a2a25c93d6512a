//! Drafts that wait for a commit: ordinary ones for company, urgent ones for their turn.
//!
//! # Invariants
//! - What is here has no number and is in no counter but the loss bound.
//! - What leaves here while it is in a commit in doubt is counted once that is settled: by the store where
//!   it happened, as withheld or refused where it did not.
//! - Bounded: [`MOST_BYTES`] of ordinary drafts, reached only while the store refuses to commit;
//!   then the least valuable level's oldest is refused. Urgent drafts never outlive one attempt.

use std::time::{Duration, Instant};

use candor_model::{Draft, Level};

use crate::command::Done;
use crate::ledger::LossBound;
use crate::then::Then;

/// Bytes that are committed without waiting for more.
pub(crate) const GROUP_BYTES: usize = 256 * 1024;
/// Bytes of ordinary drafts held at most.
const MOST_BYTES: usize = 1024 * 1024;
/// Memory that a draft costs beside its body.
const OVERHEAD: usize = size_of::<Draft>();

/// How many drafts are lost, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) withheld: u64,
    pub(crate) refused: u64,
}

/// The drafts that wait.
#[derive(Debug, Default)]
pub(crate) struct Linger {
    ordinary: Vec<Draft>,
    /// The first so many of them may have been committed, by a commit that is in doubt.
    doubted: usize,
    /// What was among them and left; lost only where that commit did not happen.
    parted: Lost,
    urgent: Vec<Draft>,
    thens: Vec<Then>,
    waiting: Vec<Done<()>>,
    bytes: usize,
    since: Option<Instant>,
    due: Option<Instant>,
    hurry: bool,
    /// The store refused; nothing is due before the pause is over.
    paused: bool,
}

impl Linger {
    /// Adds ordinary drafts that were handed over at a moment; they are due `linger` later, or at once
    /// when one is of the security level or the group is full. How many had to be refused.
    pub(crate) fn add(&mut self, drafts: Vec<Draft>, (since, linger): (Instant, Duration)) -> u64 {
        if drafts.is_empty() {
            return 0;
        }
        self.since.get_or_insert(since);
        self.due.get_or_insert(since + linger);
        self.hurry |= drafts.iter().any(|draft| draft.level == Level::Security);
        self.bytes += drafts.iter().map(size).sum::<usize>();
        self.ordinary.extend(drafts);
        self.shed()
    }

    /// Adds drafts that somebody waits for.
    pub(crate) fn add_urgent(&mut self, drafts: Vec<Draft>, done: Done<()>) {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += drafts.iter().map(size).sum::<usize>();
        self.urgent.extend(drafts);
        self.waiting.push(done);
    }

    /// Adds what becomes true with the urgent drafts.
    pub(crate) fn add_then(&mut self, then: Then) {
        self.thens.push(then);
    }

    /// What becomes true with everything that waits.
    pub(crate) fn thens(&self) -> &[Then] {
        &self.thens
    }

    /// Whether a commit should not wait any longer.
    pub(crate) fn is_due(&self) -> bool {
        !self.waiting.is_empty() || self.wait() == Some(Duration::ZERO)
    }

    /// Whether the group is as large as a commit should be.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= GROUP_BYTES
    }

    /// How long until the commit is due; `None` when nothing waits.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let due = self.due?;
        let at_once = !self.paused && (self.hurry || self.is_full());
        Some(if at_once { Duration::ZERO } else { due.saturating_duration_since(Instant::now()) })
    }

    /// How many callers wait for the commit.
    pub(crate) fn callers(&self) -> usize {
        self.waiting.len()
    }

    /// Everything that waits, most valuable first, then by what may share a row; the order of
    /// arrival within.
    pub(crate) fn sorted(&self) -> Vec<&Draft> {
        let mut drafts: Vec<&Draft> = self.ordinary.iter().chain(&self.urgent).collect();
        drafts.sort_by_key(|draft| (draft.level, draft.kind, &draft.boot));
        drafts
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ordinary.is_empty() && self.urgent.is_empty() && self.waiting.is_empty()
    }

    /// Everything was committed; who waited for it.
    pub(crate) fn committed(&mut self) -> Vec<Done<()>> {
        std::mem::take(self).waiting
    }

    /// The store refused: urgent drafts go back to those who wait, ordinary ones stay and are due
    /// again after `pause`.
    pub(crate) fn refused(&mut self, pause: Duration) -> Vec<Done<()>> {
        self.urgent.clear();
        self.thens.clear();
        self.bytes = self.ordinary.iter().map(size).sum();
        let now = Instant::now();
        self.hurry = false;
        self.since = self.since.filter(|_| !self.ordinary.is_empty());
        self.due = (!self.ordinary.is_empty()).then(|| now + pause);
        self.paused = self.due.is_some();
        std::mem::take(&mut self.waiting)
    }

    /// Nobody knows whether the commit of what waits happened.
    pub(crate) fn doubt(&mut self) {
        self.doubted = self.ordinary.len();
    }

    /// Whether it is still to be [settled](Self::settled) here.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted > 0 || self.parted != Lost::default()
    }

    /// The commit in doubt is settled: where it happened, what was in it does not wait any more; where it
    /// did not, what left meanwhile is lost.
    pub(crate) fn settled(&mut self, has_happened: bool) -> Lost {
        let doubted = std::mem::take(&mut self.doubted);
        let parted = std::mem::take(&mut self.parted);
        if !has_happened {
            return parted;
        }
        self.ordinary.drain(..doubted);
        self.bytes = self.ordinary.iter().map(size).sum();
        self.rest();
        Lost::default()
    }

    /// Takes out what stands above a level, everything with `None`; how many are withheld by that.
    pub(crate) fn withdraw(&mut self, above: Option<Level>) -> u64 {
        let (before, doubted) = (self.ordinary.len(), self.doubted);
        let stays = |draft: &Draft| above.is_some_and(|level| draft.level <= level);
        self.doubted = self.ordinary.iter().take(self.doubted).filter(|draft| stays(draft)).count();
        self.ordinary.retain(stays);
        self.bytes = self.ordinary.iter().map(size).sum();
        self.rest();
        let parted = doubted - self.doubted;
        self.parted.withheld += count(parted);
        count(before - self.ordinary.len() - parted)
    }

    /// Nothing is due where nothing waits.
    fn rest(&mut self) {
        if self.ordinary.is_empty() {
            (self.since, self.due) = (None, None);
            (self.hurry, self.paused) = (false, false);
        }
    }

    /// What a power cut would lose now.
    pub(crate) fn bound(&self) -> LossBound {
        let events = u64::try_from(self.ordinary.len() + self.urgent.len()).unwrap_or(u64::MAX);
        LossBound { events, since: self.since, ..LossBound::default() }.now()
    }

    /// Refuses the least valuable level's oldest until the rest fits; how many are lost for certain.
    fn shed(&mut self) -> u64 {
        let mut refused = 0;
        while self.bytes > MOST_BYTES && self.ordinary.len() > 1 {
            let Some(worst) = self.ordinary.iter().map(|draft| draft.level).max() else { break };
            let oldest = self.ordinary.iter().position(|draft| draft.level == worst);
            let Some(oldest) = oldest else { break };
            self.bytes -= size(&self.ordinary.remove(oldest));
            if oldest < self.doubted {
                self.doubted -= 1;
                self.parted.refused += 1;
            } else {
                refused += 1;
            }
        }
        refused
    }
}

fn size(draft: &Draft) -> usize {
    draft.body.len() + OVERHEAD
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use candor_model::Kind;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    fn draft(level: Level, bytes: usize) -> Draft {
        Draft { level, kind: Kind::Log, boot: "boot".into(), body: vec![0; bytes] }
    }

    #[test]
    fn ordinary_drafts_are_due_together_and_a_security_one_makes_them_due_at_once() {
        let mut linger = Linger::default();
        assert_eq!(linger.wait(), None);
        linger.add(vec![draft(Level::Basic, 10)], (Instant::now(), LONG));
        assert!(!linger.is_due());
        linger.add(vec![draft(Level::Security, 10)], (Instant::now(), LONG));
        assert!(linger.is_due());
        assert_eq!(linger.bound().events, 2);
    }

    #[test]
    fn a_refused_group_waits_for_its_pause_however_large_it_is() {
        let mut linger = Linger::default();
        linger.add(vec![draft(Level::Security, GROUP_BYTES)], (Instant::now(), LONG));
        assert!(linger.is_due());
        linger.refused(LONG);
        assert!(!linger.is_due());
        assert_eq!(linger.bound().events, 1);
        linger.add(vec![draft(Level::Security, 1)], (Instant::now(), LONG));
        assert!(!linger.is_due());
        linger.committed();
        assert!(linger.is_empty());
        assert_eq!(linger.wait(), None);
    }

    #[test]
    fn what_was_in_a_commit_in_doubt_waits_no_more_once_it_is_known_to_have_happened() {
        for (has_happened, left) in [(true, 1), (false, 2)] {
            let mut linger = Linger::default();
            linger.add(vec![draft(Level::Full, 1), draft(Level::Basic, 1)], (Instant::now(), LONG));
            linger.doubt();
            linger.refused(LONG);
            // Meanwhile one more comes, and one of the two is withdrawn.
            linger.add(vec![draft(Level::Basic, 1)], (Instant::now(), LONG));
            assert_eq!(linger.withdraw(Some(Level::Basic)), 0, "it may be committed");
            let lost = Lost { withheld: u64::from(!has_happened), refused: 0 };
            assert_eq!((linger.settled(has_happened), linger.bound().events), (lost, left));
            let again = (linger.settled(true), linger.bound().events);
            assert_eq!(again, (Lost::default(), left), "a doubt is settled once");
        }
    }

    #[test]
    fn what_finds_no_room_while_its_commit_is_in_doubt_is_lost_only_if_that_did_not_happen() {
        for (has_happened, refused) in [(true, 0), (false, 1)] {
            let mut linger = Linger::default();
            let half = MOST_BYTES / 2;
            linger.add(vec![draft(Level::Full, half)], (Instant::now(), LONG));
            linger.doubt();
            linger.refused(LONG);
            let more = vec![draft(Level::Basic, half), draft(Level::Basic, half / 2)];
            assert_eq!(linger.add(more, (Instant::now(), LONG)), 0);
            assert!(linger.is_doubted(), "one has left, but may be committed");
            assert_eq!(linger.settled(has_happened), Lost { withheld: 0, refused });
            assert_eq!((linger.bound().events, linger.is_doubted()), (2, false));
        }
    }

    #[test]
    fn beyond_its_bound_it_refuses_the_least_valuable_levels_oldest() {
        let mut linger = Linger::default();
        let third = MOST_BYTES / 3;
        for level in [Level::Full, Level::Basic, Level::Full] {
            assert_eq!(linger.add(vec![draft(level, third - 200)], (Instant::now(), LONG)), 0);
        }
        assert_eq!(linger.add(vec![draft(Level::Enhanced, 10_000)], (Instant::now(), LONG)), 1);
        let left: Vec<Level> = linger.ordinary.iter().map(|draft| draft.level).collect();
        assert_eq!(left, [Level::Basic, Level::Full, Level::Enhanced]);
        assert_eq!(linger.bytes, linger.ordinary.iter().map(size).sum::<usize>());
    }

    #[test]
    fn withdrawing_leaves_nothing_above_the_level_and_no_deadline_for_nothing() {
        let mut linger = Linger::default();
        linger.add(vec![draft(Level::Full, 1), draft(Level::Basic, 1)], (Instant::now(), LONG));
        assert_eq!(linger.withdraw(Some(Level::Basic)), 1);
        assert!(linger.wait().is_some());
        assert_eq!(linger.withdraw(None), 1);
        assert_eq!((linger.wait(), linger.bytes), (None, 0));
    }
}
