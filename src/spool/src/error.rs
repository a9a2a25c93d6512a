//! What can go wrong at the spool's seam. A damaged store is not among it: the spool sets it aside,
//! counts the loss and goes on.
//!
//! # Invariants
//! - An error of a write means that nothing of it was stored and nothing was counted; but where the disk
//!   went away in the middle of the commit, it may have happened: the ledger shows it once the disk is back.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// Why a spool did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The state directory could not be made.
    #[error("cannot make the state directory {}; make its parent writable", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: candor_platform::FileError,
    },
    /// Another process has the store open.
    #[error("the store {} is in use by another process; stop that one first", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// The store could not be opened, and the cause is not damage.
    #[error("cannot open the store {}; check its owner, its mode and the free space", path.display())]
    Store {
        /// The store.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A damaged store could not be renamed out of the way.
    #[error("cannot set the damaged store {} aside; remove it by hand", path.display())]
    SetAside {
        /// The store.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The writer thread did not start.
    #[error("cannot start the thread that writes {}", path.display())]
    Thread {
        /// The store.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

/// Why an operation on an open spool did not happen.
#[derive(Clone, Debug, Error)]
pub enum SpoolError {
    /// The writer thread has ended: the spool was closed, or its thread died. Open it again.
    #[error("the spool is closed")]
    Closed,
    /// The store refused; nothing was changed.
    #[error("cannot {operation} in the store {}; check the disk under it", path.display())]
    Store {
        /// What was tried, a verb and its object.
        operation: &'static str,
        /// The store.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
}
