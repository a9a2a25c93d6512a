//! Local programs' way in as the daemon runs it: where it listens follows the configuration, and what
//! it keeps goes to the engine's store, while there is an engine.
//!
//! # Invariants
//! - It runs beside the engine: while telemetry is off a program is heard and told that nothing is kept.
//! - With `[ingest]` off it waits for the configuration to change and does nothing else.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use candor_ingest::{Agent, Desk, Limits, Settings, Terms};
use candor_platform::Layout;
use candor_policy::Snapshot;
use tokio::sync::watch;

use crate::board::Board;
use crate::stop::Stop;

/// The agent as ingest sees it.
pub(crate) struct Front(Rc<Board>);

impl Front {
    /// The agent behind this board.
    pub(crate) const fn new(board: Rc<Board>) -> Self {
        Self(board)
    }

    /// The wall clock.
    pub(crate) fn wall(&self) -> SystemTime {
        self.0.clock.wall()
    }
}

impl Agent for Front {
    fn desk(&self) -> Option<Rc<Desk>> {
        self.0.view().map(|view| view.desk())
    }

    fn terms(&self) -> Terms {
        terms(&self.0)
    }

    fn set_trouble(&self, trouble: Option<String>) {
        self.0.set_ingest_trouble(trouble);
    }
}

/// What holds for local programs at this moment.
pub(crate) fn terms(board: &Board) -> Terms {
    let (level, has_receiver) = match board.view() {
        Some(view) => view.collects(),
        None => (board.snapshot().effective.level.effective, false),
    };
    Terms { level, has_receiver, registry: board.providers() }
}

/// Lets local programs in until the stop, wherever `policy` says at the moment.
pub(crate) async fn run(
    board: Rc<Board>,
    layout: Layout,
    mut policy: watch::Receiver<Arc<Snapshot>>,
    mut stop: Stop,
) {
    let first = settings(&policy.borrow_and_update(), &layout);
    let (told, settings_now) = watch::channel(first);
    let following = async {
        while policy.changed().await.is_ok() {
            let wanted = settings(&policy.borrow_and_update(), &layout);
            told.send_if_modified(|now| {
                let is_new = *now != wanted;
                *now = wanted;
                is_new
            });
        }
        std::future::pending::<()>().await;
    };
    let front = Rc::new(Front(board));
    let serving = candor_ingest::serve(settings_now, Limits::default(), front, stop.requested());
    tokio::select! {
        () = serving => {}
        () = following => {}
    }
}

fn settings(snapshot: &Snapshot, layout: &Layout) -> Settings {
    let ingest = &snapshot.config.ingest;
    Settings { socket: ingest.socket.then(|| layout.otlp()), http: ingest.otlp_http }
}
