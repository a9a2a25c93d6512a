//! The task that fetches remote settings, and what is made of what it brings. It belongs to the
//! engine: while telemetry is off nothing is fetched. The governor takes what it brings.
//!
//! # Invariants
//! - It fetches at the start of the engine, when what it needs has changed, when a reload asks for it,
//!   and every six hours; between these it does not wake.
//! - Its own jitter spreads a fleet: at the start and after a change as the uploader's, else half an hour.
//! - What was fetched under settings that no longer hold is left alone.
//!
//! A fetch that fails changes nothing and is made again at its next time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candor_pipeline::rfc3339;
use candor_policy::remote::{Held, Origin, PATH, TakeError, Taken};
use candor_policy::trail::Entry;
use candor_upload::{Destination, Fetched, Timing, Trouble, fetch};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::failure::chain;
use crate::governor::Request;
use crate::plan::Plan;

/// Between two fetches that nobody asks for.
const EVERY: Duration = Duration::from_hours(6);
/// What is added to it at most.
const SPREAD: Duration = Duration::from_mins(30);
/// The longest wait after a start or a change.
const START: Duration = Duration::from_mins(1);

/// Whom to ask, by which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    pub(crate) destination: Destination,
}

/// The fetching task.
pub(crate) struct Fetching {
    pub(crate) held: Held,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) stop: watch::Receiver<Option<Duration>>,
    /// Asks for a fetch now.
    pub(crate) asked: mpsc::Receiver<()>,
    pub(crate) governor: mpsc::Sender<Request>,
}

/// What a fetch brought, for the governor.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) origin: Origin,
    pub(crate) fetched: Result<Fetched, Trouble>,
}

/// Why a fetch is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The engine started, or whom to ask has changed.
    New,
    /// Somebody asked for it.
    Asked,
    /// It is time again.
    Again,
}

impl Fetching {
    /// Runs until the engine stops.
    pub(crate) async fn run(mut self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            // An error means that the engine is gone, which means the same.
            _ = stop.wait_for(Option::is_some) => {}
            () = self.fetch_on() => {}
        }
    }

    async fn fetch_on(&mut self) {
        let mut due = self.due(Why::New);
        loop {
            let source = self.plan.borrow_and_update().remote.clone();
            tokio::select! {
                biased;
                changed = self.plan.changed() => match changed {
                    Ok(()) if self.plan.borrow().remote != source => due = self.due(Why::New),
                    Ok(()) => {}
                    Err(_) => return,
                },
                Some(()) = self.asked.recv() => due = self.due(Why::Asked),
                () = sleep_until(due), if source.is_some() => {
                    if let Some(source) = source {
                        self.fetch(&source).await;
                    }
                    due = self.due(Why::Again);
                }
            }
        }
    }

    fn due(&self, why: Why) -> Instant {
        let interval = self.plan.borrow().upload.interval;
        // Without random bits hosts are not spread, which harms none of them.
        let random = candor_platform::random_bytes().map_or(0, u64::from_ne_bytes);
        Instant::now() + delay(why, interval, random)
    }

    /// Fetches once, unless settings change meanwhile.
    async fn fetch(&mut self, source: &Source) {
        let etag = self.held.etag(&source.origin);
        let (mut plan, timing) = (self.plan.clone(), Timing::default());
        let fetched = tokio::select! {
            biased;
            _ = plan.wait_for(|plan| plan.remote.as_deref() != Some(source)) => return,
            fetched = fetch(&source.destination, (PATH, etag.as_deref()), &timing) => fetched,
        };
        let brought = Brought { origin: source.origin.clone(), fetched };
        // A governor that is gone takes the engine along.
        let _gone = self.governor.send(Request::Remote(brought)).await;
    }
}

/// How long to wait before a fetch.
fn delay(why: Why, interval: Duration, random: u64) -> Duration {
    let (least, spread) = match why {
        Why::New => (Duration::ZERO, interval.min(START)),
        Why::Asked => (Duration::ZERO, Duration::ZERO),
        Why::Again => (EVERY, SPREAD),
    };
    let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
    least + Duration::from_millis(random % millis.saturating_add(1))
}

/// What became of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A document counts from now on: what it lowers.
    Accepted(String),
    /// What is held still counts.
    Unchanged,
    /// A document was refused: why.
    Refused(String),
    /// No document came: why.
    Failed(String),
}

impl Outcome {
    /// Judges what was fetched, and keeps a document that is accepted.
    pub(crate) fn of(brought: Brought, held: &Held, (install_id, now): (&str, SystemTime)) -> Self {
        match brought.fetched {
            Ok(Fetched::Document { body, etag }) => {
                match held.take(&body, etag.as_deref(), (&brought.origin, install_id, now)) {
                    Ok(Taken::New(remote)) => Self::Accepted(remote.summary()),
                    Ok(Taken::Same(_)) => Self::Unchanged,
                    Err(TakeError::Refused(refusal)) => Self::Refused(format!("it {refusal}")),
                    Err(error @ TakeError::Keep(_)) => Self::Failed(chain(&error)),
                }
            }
            Ok(Fetched::Unchanged) => Self::Unchanged,
            Ok(Fetched::Nothing) => Self::Failed("the endpoint has none".to_owned()),
            Ok(Fetched::Unread(why)) => Self::Refused(why.to_owned()),
            Err(trouble) => Self::Failed(trouble.to_string()),
        }
    }

    /// Whether it is audited also where not every fetch is.
    pub(crate) const fn is_always_audited(&self) -> bool {
        matches!(self, Self::Accepted(_) | Self::Refused(_))
    }

    /// The line of the audit trail.
    pub(crate) fn entry(&self, now: SystemTime) -> Entry {
        let (word, why) = self.told();
        Entry {
            time: rfc3339(now),
            subject: "remote_fetch".to_owned(),
            to: Some(word.to_owned()),
            layer: Some("remote".to_owned()),
            role: Some("agent".to_owned()),
            reason: why.map(str::to_owned),
            ..Entry::default()
        }
    }

    /// A word for it, and what there is to say.
    pub(crate) fn told(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Accepted(what) => ("accepted", Some(what)),
            Self::Unchanged => ("unchanged", None),
            Self::Refused(why) => ("refused", Some(why)),
            Self::Failed(why) => ("failed", Some(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use candor_platform::Layout;
    use candor_upload::Reason;

    use super::*;

    #[test]
    fn a_fleet_is_spread_and_who_asks_does_not_wait() {
        let interval = Duration::from_mins(15);
        for random in [0, 1, 60_000, 60_001, u64::MAX] {
            assert!(delay(Why::New, interval, random) <= START);
            assert!(delay(Why::New, Duration::from_secs(1), random) <= Duration::from_secs(1));
            assert_eq!(delay(Why::Asked, interval, random), Duration::ZERO);
            let again = delay(Why::Again, interval, random);
            assert!((EVERY..=EVERY + SPREAD).contains(&again), "{again:?}");
        }
        assert_ne!(delay(Why::Again, interval, 1), delay(Why::Again, interval, 2));
    }

    fn outcome(fetched: Result<Fetched, Trouble>) -> Outcome {
        let root = tempfile::tempdir().unwrap();
        let held = Held::new(&Layout::new(Some(root.path())));
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".parse().unwrap();
        let endpoint = "https://s.example".parse().unwrap();
        let origin = Origin { endpoint, keys: vec![key] };
        Outcome::of(Brought { origin, fetched }, &held, ("me", SystemTime::UNIX_EPOCH))
    }

    #[test]
    fn refusals_are_always_audited_and_failures_when_every_fetch_is() {
        let bare = outcome(Ok(Fetched::Document { body: b"{}".to_vec(), etag: None }));
        let large = outcome(Ok(Fetched::Unread("the answer is larger than 64 KiB")));
        for refused in [bare, large] {
            assert!(matches!(refused, Outcome::Refused(_)) && refused.is_always_audited());
            let entry = refused.entry(SystemTime::UNIX_EPOCH);
            assert_eq!(entry.to.as_deref(), Some("refused"));
            assert!(entry.reason.is_some() && entry.layer.as_deref() == Some("remote"));
        }
        let lost = Trouble::new(Reason::Connection, "connecting");
        for fetched in [Err(lost), Ok(Fetched::Nothing), Ok(Fetched::Unchanged)] {
            assert!(!outcome(fetched).is_always_audited());
        }
    }
}
