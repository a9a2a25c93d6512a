//! Telling damage from trouble, and moving a damaged store out of the way.
//!
//! Trouble is what may pass (a full disk, a read error, a lock): the operation fails and nothing
//! changes. Damage is what will not: the store is renamed aside, a new one is made, and
//! `recovery.rs` saves from the old one what can still be read.
//!
//! ```text
//! spool.db, spool.db-wal                   the store
//! spool.salvage.db, spool.salvage.db-wal   a damaged store while it is being saved from; its
//!                                          presence at a start means: do that first
//! spool.damaged.db, spool.damaged.db-wal   the last one that was set aside; one at most, never
//!                                          read again after recovery, gone with the next purge
//! ```
//!
//! # Invariants
//! - An error that is not known to be trouble counts as damage, since a store of one's own making
//!   has no missing table, no text where a number belongs and no unknown version.
//! - What is set aside goes with the next purge: it may hold what the owner takes back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rusqlite::ErrorCode;

use crate::schema;

/// The store's name in the state directory.
pub(crate) const STORE: &str = "spool.db";
/// The name under which a damaged store stays.
pub(crate) const ASIDE: &str = "spool.damaged.db";
/// The name that it has until what can be read is saved from it.
pub(crate) const SALVAGE: &str = "spool.salvage.db";

const PAGE_BYTES: u16 = 4096;
/// How every store of ours begins: magic, page size, log versions, reserved bytes, fractions.
const HEAD: [u8; 24] = *b"SQLite format 3\0\x10\x00\x02\x02\x00\x40\x20\x20";

const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// `SQLite` said so.
    Sqlite(rusqlite::Error),
    /// The rows and the counters contradict each other.
    Unbalanced,
    /// A damaged store could not be renamed.
    SetAside(io::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<crate::books::Unbalanced> for StoreError {
    fn from(_: crate::books::Unbalanced) -> Self {
        Self::Unbalanced
    }
}

impl StoreError {
    /// Whether the store itself is broken, as against its surroundings.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Unbalanced => true,
            Self::Sqlite(error) => !is_trouble(error),
            Self::SetAside(_) => false,
        }
    }

    /// Whether the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error)
            if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }

    /// The error to show to a caller.
    pub(crate) fn into_sqlite(self) -> rusqlite::Error {
        let (code, text) = match self {
            Self::Sqlite(error) => return error,
            Self::Unbalanced => {
                let text = "rows and counters contradict each other".to_owned();
                (rusqlite::ffi::SQLITE_CORRUPT, text)
            }
            Self::SetAside(error) => {
                let text = format!("cannot rename the damaged store: {error}");
                (rusqlite::ffi::SQLITE_CANTOPEN, text)
            }
        };
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(text))
    }
}

/// Whether another process holds the store.
pub(crate) fn is_in_use(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether it may pass: the surroundings, not the bytes.
fn is_trouble(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
        )
    )
}

/// Whether the file begins as a store of ours does: absent and empty files do. The bytes checked
/// are those that `SQLite` itself would answer with a read-only store or a foreign page size.
pub(crate) fn begins_like_ours(path: &Path) -> bool {
    let mut head = Vec::with_capacity(100);
    let read = File::open(path).and_then(|file| file.take(100).read_to_end(&mut head));
    match read {
        // Absent, or SQLite will say what the trouble is.
        Err(_) | Ok(0) => true,
        Ok(_) => {
            let mut expected = HEAD;
            // The write-ahead log's versions, or the rollback journal's before it is switched on.
            if head.get(18..20) == Some(&[1, 1]) {
                expected[18..20].copy_from_slice(&[1, 1]);
            }
            head.starts_with(&expected)
        }
    }
}

/// Renames the store and its log to be salvaged. Where a salvage was cut off, its source stands
/// and the unfinished new store goes.
///
/// # Errors
/// What the operating system said about a rename or a removal.
pub(crate) fn set_aside(dir: &Path) -> io::Result<()> {
    if dir.join(SALVAGE).exists() {
        return remove(dir, STORE);
    }
    rename(dir, STORE, SALVAGE)
}

/// Makes a file of which a part can be read openable: `SQLite` refuses one with a bent head, a bent
/// schema or a missing end as a whole. Head and schema of a store of this version are constants
/// and are taken from `fresh`, the first page of a new store; the length comes from the head, up
/// to `max_bytes`: the missing pages are zeros, no page at all.
pub(crate) fn splint(path: &Path, fresh: &[u8], max_bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut head = [0; 100];
    file.read_exact(&mut head)?;
    if !begins_like_ours(path) {
        write_at(&mut file, 0, &HEAD)?;
    }
    // The version stands at 60: an unknown version's schema is not ours to mend.
    let version = u32::from_be_bytes([head[60], head[61], head[62], head[63]]);
    if fresh.len() == usize::from(PAGE_BYTES) && schema::is_known(version.into()) {
        write_at(&mut file, 40, &fresh[40..72])?;
        write_at(&mut file, 100, &fresh[100..])?;
    }
    let pages = u32::from_be_bytes([head[28], head[29], head[30], head[31]]);
    let told = u64::from(pages) * u64::from(PAGE_BYTES);
    if told > file.metadata()?.len() && told <= max_bytes {
        file.set_len(told)?;
    }
    Ok(())
}

fn write_at(file: &mut File, place: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(place))?;
    file.write_all(bytes)
}

/// The first page of a file.
pub(crate) fn first_page(path: &Path) -> io::Result<Vec<u8>> {
    let mut page = Vec::with_capacity(usize::from(PAGE_BYTES));
    File::open(path)?.take(u64::from(PAGE_BYTES)).read_to_end(&mut page)?;
    Ok(page)
}

/// What was to be salvaged is now history.
pub(crate) fn salvaged(dir: &Path) {
    if !dir.join(SALVAGE).exists() {
        return;
    }
    forget_aside(dir);
    if let Err(error) = rename(dir, SALVAGE, ASIDE) {
        tracing::warn!(dir = %dir.display(), %error, "cannot rename the damaged store");
    }
}

/// The log goes first: a store without its log is older, a log without its store is nothing.
fn rename(dir: &Path, from: &str, to: &str) -> io::Result<()> {
    for suffix in SUFFIXES.iter().rev() {
        let old = dir.join(format!("{from}{suffix}"));
        if old.exists() {
            fs::rename(&old, dir.join(format!("{to}{suffix}")))?;
        }
    }
    Ok(())
}

/// Removes a store with its log.
pub(crate) fn remove(dir: &Path, name: &str) -> io::Result<()> {
    for suffix in SUFFIXES {
        match fs::remove_file(dir.join(format!("{name}{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes what was set aside.
pub(crate) fn forget_aside(dir: &Path) {
    if let Err(error) = remove(dir, ASIDE) {
        tracing::warn!(dir = %dir.display(), %error, "cannot remove the damaged store");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_trouble_and_a_missing_table_is_damage() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        let missing = conn.execute("DELETE FROM batch", []).unwrap_err();
        assert!(StoreError::from(missing).is_damage());
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let full = rusqlite::Error::SqliteFailure(full, None);
        assert!(!StoreError::from(full).is_damage());
        assert!(StoreError::Unbalanced.is_damage());
    }

    #[test]
    fn only_one_damaged_store_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join(STORE);
        for text in ["first", "second"] {
            fs::write(&store, text).unwrap();
            fs::write(dir.path().join("spool.db-wal"), text).unwrap();
            set_aside(dir.path()).unwrap();
            salvaged(dir.path());
        }
        assert_eq!(fs::read(dir.path().join(ASIDE)).unwrap(), b"second");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        forget_aside(dir.path());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_salvage_that_was_cut_off_keeps_its_source() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(STORE), "damaged").unwrap();
        set_aside(dir.path()).unwrap();
        fs::write(dir.path().join(STORE), "half made").unwrap();
        set_aside(dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join(SALVAGE)).unwrap(), b"damaged");
        assert!(!dir.path().join(STORE).exists());
    }

    #[test]
    fn garbage_does_not_begin_like_ours_and_an_empty_file_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(STORE);
        assert!(begins_like_ours(&path));
        fs::write(&path, b"").unwrap();
        assert!(begins_like_ours(&path));
        fs::write(&path, [7; 4096]).unwrap();
        assert!(!begins_like_ours(&path));
        fs::write(&path, b"SQLite format 3\0").unwrap();
        assert!(!begins_like_ours(&path));
    }
}
