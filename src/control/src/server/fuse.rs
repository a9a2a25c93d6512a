//! The deadline of one connection, which moves as the connection gets on. Held by `talk`.
//!
//! # Invariants
//! - Between two calls of [`Fuse::set`] the connection may be paused, while something else bounds it.
//!
//! On failure: nothing here fails.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A deadline that can be moved while it is waited for.
pub(super) struct Fuse {
    deadline: Cell<Option<Instant>>,
    moved: Notify,
}

impl Fuse {
    /// Burns down after `time`, unless it is moved.
    pub(super) fn new(time: Duration) -> Self {
        Self { deadline: Cell::new(Some(Instant::now() + time)), moved: Notify::new() }
    }

    /// From now on this much is left.
    pub(super) fn set(&self, time: Duration) {
        self.deadline.set(Some(Instant::now() + time));
        self.moved.notify_one();
    }

    /// Does not burn until it is set again.
    pub(super) fn pause(&self) {
        self.deadline.set(None);
        self.moved.notify_one();
    }

    /// Returns when the time is over.
    pub(super) async fn burns(&self) {
        loop {
            let over = async {
                match self.deadline.get() {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.moved.notified() => {}
                () = over => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fuse_that_was_paused_and_set_burns_by_the_last_word() {
        let start = Instant::now();
        let fuse = Fuse::new(Duration::from_secs(5));
        let moves = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            fuse.pause();
            tokio::time::sleep(Duration::from_mins(1)).await;
            fuse.set(Duration::from_secs(100));
            fuse.set(Duration::from_secs(10));
        };
        tokio::join!(fuse.burns(), moves);
        assert_eq!(start.elapsed().as_secs(), 74);
    }
}
