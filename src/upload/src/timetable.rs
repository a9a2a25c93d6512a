//! Keeps what [`schedule`](crate::schedule) decides by: what the host ran on when it was last asked,
//! and when ordinary records last went. `uploader` asks it before it sends.
//!
//! # Invariants
//! - The host is asked when an upload is due, on a thread of its own; nothing is watched in between.
//! - With an interval of the owner's own it is never asked.
//!
//! A look that fails tells nothing, and the ordinary interval holds.

use std::sync::Arc;
use std::time::Duration;

use candor_model::Level;
use tokio::time::Instant;

use crate::schedule::{Schedule, Surroundings};

/// Tells what the host runs on. It may take a moment: it is called on a thread of its own.
pub type Look = Arc<dyn Fn() -> Surroundings + Send + Sync>;

/// What is known.
#[derive(Clone, Default)]
pub(crate) struct Timetable {
    look: Option<Look>,
    schedule: Schedule,
    /// When a drain of everything was last begun that ended well.
    ordinary: Option<Instant>,
}

impl Timetable {
    pub(crate) fn new(look: Option<Look>) -> Self {
        Self { look, ..Self::default() }
    }

    /// The rule that holds.
    pub(crate) const fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// Asks the host anew, where it decides.
    pub(crate) async fn survey(&mut self, is_sparing: bool) {
        self.schedule = if is_sparing { Schedule::of(self.told().await) } else { Schedule::Fixed };
    }

    async fn told(&self) -> Surroundings {
        let Some(look) = self.look.clone() else { return Surroundings::default() };
        tokio::task::spawn_blocking(move || look()).await.unwrap_or_default()
    }

    /// Up to which level records may go now.
    pub(crate) fn allowed(&self) -> Level {
        let since = self.ordinary.map(|began| began.elapsed());
        if self.schedule.lets_go(since) { Level::Full } else { Level::Security }
    }

    /// Everything went, by a drain that was begun then.
    pub(crate) fn went(&mut self, began: Instant) {
        self.ordinary = Some(began);
    }

    /// When ordinary records go next, as things are, if the uploader looks again at `due`; `None`
    /// while the rule lets none go.
    pub(crate) fn next(&self, due: Instant, interval: Duration) -> Option<Instant> {
        let spacing = self.schedule.spacing(interval)?;
        match (self.schedule, self.ordinary) {
            (Schedule::Battery, Some(ordinary)) => Some(due.max(ordinary + spacing)),
            _ => Some(due),
        }
    }
}
