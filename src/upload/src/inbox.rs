//! What reaches the uploader from outside: settings, commands, the stop. One place listens,
//! whether the uploader waits or is in the middle of a request.
//!
//! # Invariants
//! - A flush is kept until a drain that began after it has ended; none is left unanswered.
//! - Listening can be broken off at any await without losing anything.
//! - A sender that is gone is silence, but for the stop's: then the agent is gone, and we stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::{Command, Flushed, UploadSettings, UploadStatus};

/// What happened outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Settings,
    Flush,
    Stop,
}

/// The three ways in, and what came and is not yet dealt with.
pub(crate) struct Inbox {
    settings: watch::Receiver<Arc<UploadSettings>>,
    settings_gone: bool,
    commands: mpsc::Receiver<Command>,
    commands_gone: bool,
    stop: watch::Receiver<Option<Duration>>,
    /// Settings came that the uploader has not yet looked at.
    pub(crate) changed: bool,
    /// Who waits for a flush.
    pub(crate) flushes: Vec<oneshot::Sender<Flushed>>,
    /// When everything must have ended.
    pub(crate) stop_at: Option<Instant>,
}

impl Inbox {
    pub(crate) fn new(
        settings: watch::Receiver<Arc<UploadSettings>>,
        commands: mpsc::Receiver<Command>,
        stop: watch::Receiver<Option<Duration>>,
    ) -> Self {
        let stop_at = stop.borrow().map(|budget| Instant::now() + budget);
        Self {
            settings,
            settings_gone: false,
            commands,
            commands_gone: false,
            stop,
            changed: false,
            flushes: Vec::new(),
            stop_at,
        }
    }

    /// The newest settings.
    pub(crate) fn settings(&mut self) -> Arc<UploadSettings> {
        self.changed = false;
        Arc::clone(&self.settings.borrow_and_update())
    }

    /// Waits for the next event and keeps it.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                biased;
                stop = self.stop.changed(), if self.stop_at.is_none() => {
                    let budget = stop.map_or(Some(Duration::ZERO), |()| *self.stop.borrow());
                    let Some(budget) = budget else { continue };
                    self.stop_at = Some(Instant::now() + budget);
                    return Event::Stop;
                }
                changed = self.settings.changed(), if !self.settings_gone => match changed {
                    Ok(()) => {
                        self.changed = true;
                        return Event::Settings;
                    }
                    Err(_) => self.settings_gone = true,
                },
                command = self.commands.recv(), if !self.commands_gone => match command {
                    Some(Command::Flush { done }) => {
                        self.flushes.push(done);
                        return Event::Flush;
                    }
                    None => self.commands_gone = true,
                },
                // Keeps listening where every sender is gone and only time can bring something.
                () = std::future::pending() => {}
            }
        }
    }

    /// Waits for what must end a request under way: settings under which it may not go on, or the
    /// end of the stop's budget. Everything else is kept for later.
    pub(crate) async fn interruption(&mut self, current: &UploadSettings) {
        loop {
            if self.changed && forbids(&self.settings.borrow(), current) {
                return;
            }
            let Some(stop_at) = self.stop_at else {
                self.next().await;
                continue;
            };
            tokio::select! {
                biased;
                () = sleep_until(stop_at) => return,
                _event = self.next() => {}
            }
        }
    }

    /// Whether the stop's budget is spent.
    pub(crate) fn is_over(&self) -> bool {
        self.stop_at.is_some_and(|stop_at| Instant::now() >= stop_at)
    }

    /// Tells everybody who waits for a flush.
    pub(crate) fn answer(
        flushes: Vec<oneshot::Sender<Flushed>>,
        drained: bool,
        status: &UploadStatus,
    ) {
        for done in flushes {
            // Who no longer waits need not be told.
            let _gone = done.send(Flushed { drained, status: status.clone() });
        }
    }
}

/// Whether a request that was begun under `current` may not go on under `new`.
fn forbids(new: &UploadSettings, current: &UploadSettings) -> bool {
    !new.enabled
        || new.hold.is_some()
        || new.ceiling < current.ceiling
        || new.destination != current.destination
        || new.fallbacks != current.fallbacks
}
