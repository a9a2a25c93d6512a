//! The embedded store: what arrived, kept once. [`Store`] is the server's handle on the one writer
//! thread, [`Reader`] is what `query` opens, in this process or another.
//!
//! ```text
//! append(rows) --bounded queue and bytes--> writer thread: one transaction for all that wait --fsync--> Ok
//! ```
//!
//! # Invariants
//! - [`Store::append`] returns `Ok` only after the commit that holds every one of its rows; rows that
//!   were there already count as stored.
//! - One thread writes; a group is committed as a whole or not at all.
//! - The sender's address is not known here: there is no column that could hold it.
//!
//! On failure the whole group is rolled back, each of its requests gets the error, and the next
//! group starts afresh: a full disk heals without a restart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::row::Row;

mod erase;
mod gaps;
mod reader;
mod schema;
mod writer;

pub(crate) use erase::{Erased, Range, erase, runs};
pub(crate) use gaps::{Gap, Sums};
pub(crate) use reader::{Filter, Host, Reader, Stored};
pub(crate) use writer::Inserts;

/// The store's name under `--dir`.
pub(crate) const FILE_NAME: &str = "collector.db";
/// Requests that may wait for the writer; one more is refused as busy.
const QUEUE: usize = 256;
/// Bytes that rows may take up while they wait for the writer.
const ROOM_BYTES: usize = 64 << 20;
/// Room is counted in these, since a semaphore counts in `u32`.
const ROOM_UNIT: usize = 1024;

/// What can go wrong with the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No such file.
    #[error("there is no store at {}: start `candor-collector serve` first, or name it with --store", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Not openable.
    #[error("cannot open the store {}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// SQLite's failure.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// Another program's file.
    #[error("{} is not a collector's store: name another file with --store", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// A later program's store.
    #[error("the store {} has shape {found}, which this program does not know: use the program that made it", path.display())]
    Version {
        /// The path.
        path: PathBuf,
        /// Its shape.
        found: i32,
    },
    /// The file's access cannot be limited to its owner.
    #[error("cannot make the store {}", path.display())]
    Make {
        /// The path.
        path: PathBuf,
        /// The platform's failure.
        #[source]
        source: Arc<candor_platform::FileError>,
    },
    /// No thread.
    #[error("cannot start the store's writer thread")]
    Thread {
        /// The system's failure.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// No room.
    #[error("the store is full: free space on its disk, or raise --max-store-bytes")]
    Full,
    /// More than can be written now.
    #[error("the store is busy")]
    Busy,
    /// A failed transaction.
    #[error("cannot write to the store")]
    Write {
        /// SQLite's failure.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// A failed query.
    #[error("cannot read the store")]
    Read {
        /// SQLite's failure.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The writer is gone.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether it passes without a person's doing.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Closed)
    }
}

/// One request's rows and where its outcome goes.
struct Batch {
    rows: Vec<Row>,
    done: oneshot::Sender<Result<(), StoreError>>,
    /// Given back when the rows are gone from memory, also if their sender no longer waits.
    _room: Room,
}

/// A host to take out, and where the outcome goes.
struct Deletion {
    install_id: String,
    done: oneshot::Sender<Result<Erased, StoreError>>,
}

/// What the writer thread is asked.
enum Task {
    Append(Batch),
    Erase(Deletion),
}

/// A share of the memory that rows may take up until they are written.
#[derive(Debug)]
pub(crate) struct Room(
    #[expect(dead_code, reason = "held, and given back when dropped")] OwnedSemaphorePermit,
);

/// Opens the store for a command that writes by itself, beside a server if one runs.
pub(crate) fn open_to_write(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    schema::open_to_write(path, None)
}

/// The same, and makes the store where there is none.
pub(crate) fn open_or_make(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    make_private(path)?;
    schema::open_to_write(path, None)
}

/// An empty file that only its owner may read.
fn make_private(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Ok(());
    }
    // SQLite makes its files as open as the umask says; its WAL then follows the main file.
    candor_platform::write_atomic(path, &[], 0o600)
        .map_err(|source| StoreError::Make { path: path.to_owned(), source: Arc::new(source) })
}

/// Handle on the writer thread; clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    queue: mpsc::Sender<Task>,
    room: Arc<Semaphore>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or makes the store and starts its writer.
    pub(crate) fn open(path: &Path, max_bytes: Option<u64>) -> Result<Self, StoreError> {
        make_private(path)?;
        let db = schema::open_to_write(path, max_bytes)?;
        let (queue, batches) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer::run(db, batches))
            .map_err(|source| StoreError::Thread { source: Arc::new(source) })?;
        let room = Arc::new(Semaphore::new(ROOM_BYTES / ROOM_UNIT));
        Ok(Self { queue, room, writer: Arc::new(Mutex::new(Some(writer))) })
    }

    /// Waits until rows of so many bytes may queue; the writer makes room as it commits.
    pub(crate) async fn room(&self, bytes: usize) -> Result<Room, StoreError> {
        // Never more than there is: a request of the largest size waits until it is alone.
        let units = bytes.div_ceil(ROOM_UNIT).min(ROOM_BYTES / ROOM_UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await;
        room.map(Room).map_err(|_| StoreError::Closed)
    }

    /// Stores the rows that are new; returns when they are safe.
    ///
    /// # Errors
    /// Nothing of them is stored when the store is full, busy or failing.
    pub(crate) async fn append(&self, rows: Vec<Row>, room: Room) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let (done, outcome) = oneshot::channel();
        self.ask(Task::Append(Batch { rows, done, _room: room }))?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes everything of a host out; returns when it is gone from the disk.
    ///
    /// # Errors
    /// Nothing is deleted when the store is busy or failing.
    pub(crate) async fn erase(&self, install_id: String) -> Result<Erased, StoreError> {
        let (done, outcome) = oneshot::channel();
        self.ask(Task::Erase(Deletion { install_id, done }))?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    fn ask(&self, task: Task) -> Result<(), StoreError> {
        self.queue.try_send(task).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Waits until everything queued is committed and the file is closed. Every other handle must
    /// be gone: the writer ends when nobody can ask it any more.
    pub(crate) fn close(self) {
        let Self { queue, writer, .. } = self;
        drop(queue);
        let writer = writer.lock().ok().and_then(|mut writer| writer.take());
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the store's writer panicked; what was acknowledged is on disk");
        }
    }
}
