//! Room for the owner's word on a full disk: `disable` must not fail for want of a block.
//!
//! ```text
//! operator.reserve   64 KiB without meaning, in the state directory: a new operator.toml, a line of the
//!                    audit trail
//! ```
//!
//! # Invariants
//! - The reserve is given up only for a write that found no room, which is then tried once more.
//!
//! On failure there is no reserve, and the write tells its own error.

use std::io::ErrorKind;
use std::path::Path;

use candor_platform::{FileError, Reserve, free_bytes};

const FILE: &str = "operator.reserve";
/// A block of the largest common size for each of the two files.
const BYTES: u64 = 64 * 1024;

/// Makes the reserve of this directory, where it has none and the disk has room. What hinders it
/// is no error: the next write tries again.
pub(crate) fn hold(dir: &Path) {
    let _ = reserve(dir).renew(free_bytes(dir).ok(), BYTES);
}

/// Writes; on a full disk once more, in the room of the reserve.
pub(crate) fn with_room(
    dir: &Path,
    write: impl Fn() -> Result<(), FileError>,
) -> Result<(), FileError> {
    match write() {
        Err(error) if is_full(&error) && reserve(dir).give_up().unwrap_or(false) => write(),
        outcome => outcome,
    }
}

fn reserve(dir: &Path) -> Reserve {
    Reserve::find(dir.join(FILE), BYTES)
}

fn is_full(error: &FileError) -> bool {
    let (FileError::Write { source, .. } | FileError::Append { source, .. }) = error else {
        return false;
    };
    matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;
    use std::path::PathBuf;

    use super::*;

    /// A write that fails like this as long as the reserve stands.
    fn attempt(dir: &Path, kind: ErrorKind) -> (Result<(), FileError>, u32) {
        let attempts = Cell::new(0);
        let outcome = with_room(dir, || {
            attempts.set(attempts.get() + 1);
            if dir.join(FILE).exists() || attempts.get() == 1 {
                let source = io::Error::from(kind);
                return Err(FileError::Write { path: PathBuf::new(), source });
            }
            Ok(())
        });
        (outcome, attempts.get())
    }

    #[test]
    fn a_full_disk_costs_the_reserve_and_the_write_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        hold(dir.path());
        let (outcome, attempts) = attempt(dir.path(), ErrorKind::StorageFull);
        assert!(outcome.is_ok());
        assert_eq!(attempts, 2);
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn without_a_reserve_or_for_another_error_the_write_is_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let (outcome, attempts) = attempt(dir.path(), ErrorKind::StorageFull);
        assert!(outcome.is_err() && attempts == 1);
        hold(dir.path());
        let (outcome, attempts) = attempt(dir.path(), ErrorKind::PermissionDenied);
        assert!(outcome.is_err() && attempts == 1);
        assert!(dir.path().join(FILE).exists());
    }
}
