//! What a spool is told when it opens: its bounds, the codec's functions, and its host.
//!
//! # Invariants
//! - A bound that is smaller than what a store needs to work at all is raised to it, never refused.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use candor_model::Kind;
use candor_platform::{Clock, SystemClock};

/// The least cap that is honoured; a smaller one counts as this.
pub(crate) const MIN_BYTES: u64 = 256 * 1024;

/// The bounds of a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Cap of the bytes allocated in the store; at least 256 KiB. The write-ahead log comes on
    /// top: 4 MiB, and for the time of one purge as much as it purges.
    pub max_bytes: u64,
    /// Records that waited longer are dropped (`expired`).
    pub max_age: Duration,
    /// When the file system has less free than this, the store does not grow: what comes in takes
    /// the place of what is less valuable, or is dropped (`spool_full`).
    pub min_free: u64,
    /// How long an ordinary record may linger in memory before its commit.
    pub linger: Duration,
    /// How long a record waits at most in ordinary running; when the oldest waits longer, what
    /// waits is a backlog, and the newest report goes ahead of it once.
    pub backlog_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_age: Duration::from_hours(30 * 24),
            min_free: 128 << 20,
            linger: Duration::from_secs(3),
            backlog_after: Duration::from_mins(30),
        }
    }
}

/// The codec's functions that the spool needs; it knows nothing else of what it keeps.
pub trait Framing: Send {
    /// Appends to `out` the frame of a record with its sequence number.
    fn seal(&self, kind: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>);

    /// Length of the first frame in `bytes`; `None` when there is no whole one.
    fn frame_len(&self, kind: Kind, bytes: &[u8]) -> Option<usize>;

    /// The body that was sealed into this frame with this number; `None` when it is another one.
    /// Dead letters of a framing that never tells cannot be replayed.
    fn unseal(&self, kind: Kind, frame: &[u8], seq: u64) -> Option<Vec<u8>> {
        let _ = (kind, frame, seq);
        None
    }
}

/// Tells the free bytes of the file system of a path; `None` where it does not tell.
pub type FreeBytes = Box<dyn Fn(&Path) -> Option<u64> + Send>;

/// The host as the spool sees it; tests hand in another one.
pub struct Surroundings {
    /// What tells the time.
    pub clock: Box<dyn Clock>,
    /// What tells the free space; unknown counts as enough.
    pub free_bytes: FreeBytes,
    /// How a purge cleans up behind it; less than all only in the test that shows why all.
    pub(crate) scrub: Scrub,
}

/// The three things that make a purged byte unfindable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scrub {
    /// What is deleted is overwritten where it stood (`secure_delete`).
    pub(crate) overwrite: bool,
    /// Free pages go back to the file system.
    pub(crate) shrink: bool,
    /// The log is folded in and emptied.
    pub(crate) fold: bool,
}

impl Scrub {
    pub(crate) const ALL: Self = Self { overwrite: true, shrink: true, fold: true };
}

impl Surroundings {
    /// This clock, and the host's own file system.
    #[must_use]
    pub fn with_clock(clock: Box<dyn Clock>) -> Self {
        Self {
            clock,
            free_bytes: Box::new(|path| candor_platform::free_bytes(path).ok()),
            scrub: Scrub::ALL,
        }
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self::with_clock(Box::new(SystemClock))
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("scrub", &self.scrub).finish_non_exhaustive()
    }
}
