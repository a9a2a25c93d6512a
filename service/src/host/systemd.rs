//! What systemd hears of the agent while the console host runs it: that it is ready, that it is alive,
//! that it stops. Started by hand or in a container, nobody listens and no timer exists.
//!
//! # Invariants
//! - The sign of life comes from the runtime's own thread, where governor, control server and uploader
//!   run: an agent that is wedged gives none, and is started again.
//! - It costs one wakeup in half the unit's `WatchdogSec`.
//!
//! On failure: silence, which systemd acts on.

use candor_platform::{Manager, Word};

/// The service manager, where there is one.
#[derive(Debug)]
pub(super) struct Watcher(Option<Manager>);

impl Watcher {
    /// The one that started this process.
    pub(super) fn of_this_process() -> Self {
        Self(Manager::of_this_process())
    }

    /// Tells it.
    pub(super) fn tell(&self, word: Word) {
        if let Some(manager) = &self.0 {
            manager.tell(word);
        }
    }

    /// Gives signs of life; never ends.
    pub(super) async fn live(&self) {
        match &self.0 {
            Some(manager) => manager.live().await,
            None => std::future::pending().await,
        }
    }
}
