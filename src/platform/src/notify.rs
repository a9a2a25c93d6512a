//! What a service manager is told: ready, stopping, still alive. The `sd_notify` protocol of systemd;
//! under another manager, or none, nothing is told and nothing costs.
//!
//! # Invariants
//! - Nothing waits for the manager: a datagram that cannot be sent at once is lost.
//! - Whoever calls [`Manager::tell`] vouches for himself: the sign of life must come from the thread
//!   that does the work, never from one of its own.
//!
//! On failure: nothing; the manager sees the silence.

use tokio::time::{MissedTickBehavior, interval};

#[cfg_attr(unix, path = "notify/unix.rs")]
#[cfg_attr(windows, path = "notify/windows.rs")]
mod imp;

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The start is over; whoever waits for the service may go on.
    Ready,
    /// The stop has begun.
    Stopping,
    /// Still alive.
    Alive,
}

/// The manager that started this process.
#[derive(Debug)]
pub struct Manager(imp::Manager);

impl Manager {
    /// The manager of this process, as its environment names it; `None` where nobody listens.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        imp::Manager::of_this_process().map(Self)
    }

    /// Tells it.
    pub fn tell(&self, word: Word) {
        self.0.tell(word);
    }

    /// Gives signs of life, two in the time that the manager allows between them, so that one may be
    /// late. Never ends; without such a time no timer exists. To be polled by the task that does the
    /// work, in a tokio runtime with time.
    pub async fn live(&self) {
        let rhythm = self.0.patience().map(|patience| patience / 2);
        let Some(rhythm) = rhythm.filter(|rhythm| !rhythm.is_zero()) else {
            return std::future::pending().await;
        };
        let mut due = interval(rhythm);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            self.tell(Word::Alive);
        }
    }
}
