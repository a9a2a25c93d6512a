//! How full a file system is: what `spool.min_free` and its default are measured against.
//!
//! # Invariants
//! - Free means free for a process without privileges; root's reserve is not counted.
//!
//! On failure: the system's error. It may block on a dead mount: ask only about the state
//! directory, or from a thread that can be abandoned.

use std::io;
use std::path::Path;

#[cfg_attr(unix, path = "space/unix.rs")]
#[cfg_attr(windows, path = "space/windows.rs")]
mod imp;

/// Bytes that may still be written to the file system of `path`.
///
/// # Errors
/// Where `path` does not exist or its file system does not answer.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    imp::space(path).map(|(free, _)| free)
}

/// The size of the file system of `path` in bytes.
///
/// # Errors
/// As [`free_bytes`].
pub fn total_bytes(path: &Path) -> io::Result<u64> {
    imp::space(path).map(|(_, total)| total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_at_least_as_large_as_what_is_free_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let (free, total) = imp::space(dir.path()).unwrap();
        assert!(total > 0 && free <= total, "{free} of {total}");
    }

    #[test]
    fn what_does_not_exist_has_no_size() {
        let dir = tempfile::tempdir().unwrap();
        assert!(total_bytes(&dir.path().join("nothing").join("here")).is_err());
    }
}
