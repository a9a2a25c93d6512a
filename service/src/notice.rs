//! Says in the log, a while before, that a level that was set for a time ends. That it ends is the
//! policy watch's work; the governor carries both out.
//!
//! # Invariants
//! - An end is announced once; one that is prolonged is announced again.
//! - While telemetry is off nothing is announced and no timer runs.
//!
//! On failure: nothing here fails.

use std::time::Duration;

use candor_policy::{Snapshot, Until, now};

/// So long before its end a level for a time is announced to end; a shorter one at its beginning.
const AHEAD: Duration = Duration::from_mins(5);
/// How long the announcement trusts the clocks of its waiting, which stand still in a suspended host.
const LOOK: Duration = Duration::from_mins(1);

/// What was announced.
#[derive(Debug, Default)]
pub(crate) struct Notice {
    told: Option<Until>,
}

impl Notice {
    /// When to look again; `None` while there is nothing to announce.
    pub(crate) fn due(&self, snapshot: &Snapshot) -> Option<Duration> {
        let left = self.untold(snapshot)?.left(&now());
        Some(left.saturating_sub(AHEAD).min(LOOK))
    }

    /// Announces the end if it is near.
    pub(crate) fn give(&mut self, snapshot: &Snapshot) {
        let Some(until) = self.untold(snapshot).filter(|until| until.left(&now()) <= AHEAD) else {
            return;
        };
        let level = snapshot.effective.level.effective.number();
        let afterwards = snapshot.after_raise().map(|decision| decision.effective.number());
        tracing::info!(level, until = %until.wall, afterwards, "the level is set for a time that ends soon");
        self.told = Some(until.clone());
    }

    fn untold<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Until> {
        let raise = snapshot.raise.as_ref().filter(|_| snapshot.effective.upload_enabled)?;
        (self.told.as_ref() != Some(raise)).then_some(raise)
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Level;
    use candor_platform::Layout;
    use candor_policy::{LevelSetting, Operator, Sources};

    use super::*;

    fn raised(lasts: Duration) -> Snapshot {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path()));
        let until = Some(Until::after(&now(), lasts));
        let setting = LevelSetting { level: Level::Full, until, reason: None };
        Operator::new(&layout).set_level(&setting).unwrap();
        Sources::new(&layout, None).load()
    }

    #[test]
    fn a_short_time_is_announced_at_once_and_only_once() {
        let (mut notice, snapshot) = (Notice::default(), raised(Duration::from_mins(1)));
        assert_eq!(notice.due(&snapshot), Some(Duration::ZERO));
        notice.give(&snapshot);
        assert_eq!(notice.due(&snapshot), None);
        let prolonged = raised(Duration::from_mins(2));
        assert_eq!(notice.due(&prolonged), Some(Duration::ZERO));
    }

    #[test]
    fn a_long_time_is_announced_towards_its_end() {
        let (mut notice, snapshot) = (Notice::default(), raised(Duration::from_hours(1)));
        assert_eq!(notice.due(&snapshot), Some(LOOK));
        notice.give(&snapshot);
        assert_eq!(notice.due(&snapshot), Some(LOOK), "an hour before is too early");
    }

    #[test]
    fn nothing_is_announced_without_a_time_or_while_telemetry_is_off() {
        let mut off = raised(Duration::from_mins(1));
        off.effective.upload_enabled = false;
        assert_eq!(Notice::default().due(&off), None);
        let lasting = Snapshot { raise: None, ..raised(Duration::from_mins(1)) };
        assert_eq!(Notice::default().due(&lasting), None);
    }
}
