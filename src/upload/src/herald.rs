//! Has the ranges of lost records told before a backlog is caught up: the uploader knows when a
//! receiver listens, the collecting task knows how a record is made.
//!
//! # Invariants
//! - An answer that does not come holds nothing up for longer than [`PATIENCE`]: the ranges stay in
//!   the spool's list and are told at the next drain.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long a drain waits for the ranges to be told.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where ranges are asked for: who takes the sender out tells them, commits, and answers.
pub type TellGaps = mpsc::Sender<oneshot::Sender<()>>;

/// Asks.
#[derive(Debug)]
pub(crate) struct Herald(Option<TellGaps>);

impl Herald {
    pub(crate) const fn new(ask: Option<TellGaps>) -> Self {
        Self(ask)
    }

    /// Has told what was lost, if that can be now.
    pub(crate) async fn tell(&self) {
        let Some(ask) = &self.0 else { return };
        let told = async {
            let (done, answer) = oneshot::channel();
            ask.send(done).await.ok()?;
            answer.await.ok()
        };
        if !matches!(timeout(PATIENCE, told).await, Ok(Some(()))) {
            tracing::debug!("lost ranges are told later");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_to_ask_and_nobody_who_answers_hold_nothing_up() {
        Herald::new(None).tell().await;
        let (ask, asked) = mpsc::channel(1);
        drop(asked);
        Herald::new(Some(ask)).tell().await;
    }
}
