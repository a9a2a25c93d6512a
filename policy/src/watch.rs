//! The watch: reads every layer again when one changes, and publishes what follows.
//!
//! ```text
//! change ─> quiet for 40 ms, at most 200 ms ─> watch what is there now ─> read ─> publish
//! ```
//!
//! # Invariants
//! - A change counts within a second, however it is made: written, renamed, a link swapped, a
//!   directory removed and made again.
//! - What is watched is settled before it is read, so that nothing changes unseen between.
//! - Without a change it sleeps: no timer, but for the end of a raise, and once a second where the
//!   system refuses to watch.
//! - Only one reading runs at a time; what is published is never older than what was.
//!
//! On failure: a system that refuses to watch is said in the log, and looked at once a second.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::source::notice::{Notice, Points, Waker, Woken, points};
use crate::source::{Snapshot, Sources, now};

/// So long nothing more may happen before a change is read.
const QUIET: Duration = Duration::from_millis(40);
/// A change that goes on is read after this.
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// How often it looks where it cannot watch.
const LOOK: Duration = Duration::from_secs(1);
/// How long it trusts the boot clock's remainder of a raise: a wall clock that is set forward
/// ends the raise no later than this after.
const RAISE_LOOK: Duration = Duration::from_secs(60);
/// Rounds of arming until what is watched is what is there.
const MAX_ROUNDS: usize = 8;

/// Why policy cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread that watches policy")]
pub struct WatchError {
    /// The system's answer.
    #[source]
    source: std::io::Error,
}

/// The running watch. Dropping it ends it; receivers keep the last snapshot.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    waker: Option<Waker>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    sources: Sources,
    reading: Mutex<()>,
    sender: watch::Sender<Arc<Snapshot>>,
}

impl Sources {
    /// Reads everything and watches it from now on.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn watch(self) -> Result<Watch, WatchError> {
        let mut arming = Arming::new(&self);
        arming.arm(&self);
        let (sender, _) = watch::channel(Arc::new(self.load()));
        let shared = Arc::new(Shared { sources: self, reading: Mutex::new(()), sender });
        let stop = Arc::default();
        let waker = arming.notice.as_ref().map(Notice::waker);
        let watcher = Watcher { shared: Arc::clone(&shared), arming, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new()
            .name("policy-watch".to_owned())
            .spawn(move || watcher.run())
            .map_err(|source| WatchError { source })?;
        Ok(Watch { shared, waker, stop, thread: Some(thread) })
    }
}

impl Watch {
    /// A receiver that has seen the present snapshot.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shared.sender.subscribe()
    }

    /// The present snapshot.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.sender.borrow())
    }

    /// Reads everything now and publishes it: what a reload does, and what makes a setting that
    /// was just written count at once. Blocks for some file reads.
    #[must_use = "the snapshot says whether agent.toml was taken"]
    pub fn reload(&self) -> Arc<Snapshot> {
        self.shared.reread();
        // A raise that just began or ended changes what the thread waits for.
        if let Some(waker) = &self.waker {
            waker.wake();
        }
        self.current()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Release);
        if let Some(waker) = &self.waker {
            waker.wake();
        }
        if let Some(thread) = self.thread.take() {
            // A watch that panicked has said so; there is nothing more to end.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn reread(&self) {
        let _one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = Arc::clone(&self.sender.borrow());
        let snapshot = self.sources.load_after(Some(&previous), &now());
        self.sender.send_if_modified(|current| {
            let is_new = **current != snapshot;
            if is_new {
                *current = Arc::new(snapshot);
            }
            is_new
        });
    }
}

/// The thread's half.
struct Watcher {
    shared: Arc<Shared>,
    arming: Arming,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Watcher {
    fn run(mut self) {
        loop {
            let woken = self.arming.wait(self.next_look());
            if self.stop.load(std::sync::atomic::Ordering::Acquire) {
                return;
            }
            match woken {
                Woken::Changed => self.settle(),
                Woken::Time => {}
                // Somebody else has read; only the next look may have moved.
                Woken::Asked => continue,
            }
            self.arming.arm(&self.shared.sources);
            self.shared.reread();
        }
    }

    /// Waits until the change is over.
    fn settle(&self) {
        let begun = Instant::now();
        while begun.elapsed() < LONGEST_WAIT && self.arming.wait(Some(QUIET)) != Woken::Time {
            if self.stop.load(std::sync::atomic::Ordering::Acquire) {
                return;
            }
        }
    }

    /// When to look without a change.
    fn next_look(&self) -> Option<Duration> {
        let raise = self.shared.sender.borrow().raise.as_ref().map(|until| until.left(&now()));
        let raise = raise.map(|left| left.min(RAISE_LOOK));
        let look = self.arming.is_blind.then_some(LOOK);
        raise.into_iter().chain(look).min()
    }
}

/// What is watched now.
struct Arming {
    notice: Option<Notice>,
    points: Points,
    is_blind: bool,
}

impl Arming {
    fn new(sources: &Sources) -> Self {
        let notice = Notice::new(sources.layout().has_root());
        if let Err(error) = &notice {
            tracing::warn!(%error, "policy is looked at once a second: the system refuses to watch it");
        }
        let is_blind = notice.is_err();
        Self { notice: notice.ok(), points: Points::new(), is_blind }
    }

    /// Watches what is there. Repeated until what is there after is what was there before: a
    /// directory made between the look and the watch would go unseen.
    fn arm(&mut self, sources: &Sources) {
        let Some(notice) = &mut self.notice else { return };
        for _ in 0..MAX_ROUNDS {
            let points = sources.points();
            let armed = notice.arm(&points);
            let was_blind = std::mem::replace(&mut self.is_blind, armed.is_err());
            if let (Err(error), false) = (armed, was_blind) {
                tracing::warn!(%error, "policy is looked at once a second: the system refuses to watch it");
            }
            self.points = points;
            if sources.points() == self.points {
                return;
            }
        }
    }

    fn wait(&self, time: Option<Duration>) -> Woken {
        match &self.notice {
            Some(notice) => notice.wait(time),
            None => {
                std::thread::sleep(time.unwrap_or(LOOK));
                Woken::Time
            }
        }
    }
}

impl Sources {
    /// What must be watched now.
    fn points(&self) -> Points {
        let layout = self.layout();
        let mut files: Vec<PathBuf> = vec![self.config_file().to_owned()];
        let is_in_files = !cfg!(windows) || layout.has_root();
        let policy = is_in_files.then(|| layout.policy_dir());
        files.extend(is_in_files.then(|| layout.operator_file()));
        points(layout.root(), &files, policy.as_deref())
    }
}
