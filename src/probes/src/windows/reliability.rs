//! `candor.reliability.summary` on Windows: starts, and how many of them followed a stop that was not in order, as
//! the event log keeps them; updates that failed.
//!
//! # Invariants
//! - Windows itself says which start was unclean; nothing is concluded from a record that is missing.
//! - What no record tells is absent.

use candor_model::UnixNanos;
use candor_model::events::reliability::Summary;

use super::history::{History, Trouble};

const DAY: u64 = 86_400 * 1_000_000_000;
/// How many days are looked at.
const DAYS: u64 = 90;

/// What a history tells of the last days; `None` where it is empty.
pub(super) fn summary(history: &History, now: UnixNanos) -> Option<Summary> {
    let since = UnixNanos(now.0.saturating_sub(DAYS * DAY)).max(history.begins?);
    let age = |time: UnixNanos| now.0.checked_sub(time.0);
    let unclean = history.last(Trouble::UncleanStart).filter(|time| *time >= since);
    // Whole days: the summary is sent when it changed.
    let observed = age(since).and_then(|age| u32::try_from(age / DAY).ok()).map(f64::from);
    Some(Summary {
        observed,
        starts: Some(history.count(Trouble::Start, since)),
        unclean_shutdowns: Some(history.count(Trouble::UncleanStart, since)),
        days_since_unclean_shutdown: unclean.and_then(age).map(|age| age / DAY),
        failed_updates: Some(history.count(Trouble::FailedUpdate, since)),
        ..Summary::default()
    })
}

/// The probe.
#[cfg(windows)]
#[derive(Debug, Default)]
pub(crate) struct Reliability {
    system: super::history::Followed,
}

#[cfg(windows)]
impl crate::Probe for Reliability {
    fn name(&self) -> &'static str {
        "reliability"
    }

    fn level(&self) -> candor_model::Level {
        candor_model::Level::Enhanced
    }

    fn rhythm(&self) -> crate::Rhythm {
        crate::Rhythm::Inventory
    }

    fn report(
        &mut self,
        host: &crate::Host,
        now: crate::Moment,
    ) -> Result<Vec<candor_model::Record>, crate::ProbeError> {
        let history = host.is_live().then(|| self.system.look()).flatten();
        let summary = history.and_then(|history| summary(history, now.wall));
        Ok(summary.map(Into::into).into_iter().collect())
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::history;
    use super::*;

    fn at(time: &str) -> UnixNanos {
        let time: jiff::Timestamp = time.parse().unwrap();
        UnixNanos(u64::try_from(time.as_nanosecond()).unwrap())
    }

    #[test]
    fn starts_of_the_last_ninety_days_and_the_last_unclean_one_are_told() {
        let (start, unclean) =
            ("Microsoft-Windows-Kernel-General", "Microsoft-Windows-Kernel-Power");
        let mut history = history(&[
            (start, 12, "2026-01-01T00:00:00Z"),
            (unclean, 41, "2026-01-01T00:00:00Z"),
            (start, 12, "2026-11-01T00:00:00Z"),
            (start, 12, "2026-11-10T12:00:00Z"),
            (unclean, 41, "2026-11-10T12:00:00Z"),
            ("Microsoft-Windows-WindowsUpdateClient", 20, "2026-11-11T00:00:00Z"),
        ]);
        let told = summary(&history, at("2026-11-20T00:00:00Z")).unwrap();
        let expected = Summary {
            observed: Some(90.0),
            starts: Some(2),
            unclean_shutdowns: Some(1),
            days_since_unclean_shutdown: Some(9),
            failed_updates: Some(1),
            ..Summary::default()
        };
        assert_eq!(told, expected);
        history.begins = Some(at("2026-11-18T00:00:00Z"));
        let told = summary(&history, at("2026-11-20T00:00:00Z")).unwrap();
        assert_eq!((told.observed, told.starts), (Some(2.0), Some(0)), "the log was emptied");
        assert_eq!(told.days_since_unclean_shutdown, None);
    }

    #[test]
    fn an_empty_log_tells_nothing() {
        assert_eq!(summary(&History::default(), at("2026-11-20T00:00:00Z")), None);
    }
}
