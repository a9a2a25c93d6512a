//! Bytes that the store owns beside its data: given up when the disk is full, so that what frees
//! space (acknowledgements, deletes) and what counts a loss can still be committed.
//!
//! ```text
//! spool.reserve   1.25 MiB without meaning: the log of a commit that takes out and overwrites the
//!                 largest record, and the pages around it
//! ```
//!
//! # Invariants
//! - It is made only where that leaves room for others, and again when space is back.
//! - Its bytes do not compress, so that a file system which compresses holds space for it as well.
//!
//! On failure there is no reserve and everything else works; it is tried again after the next
//! commit that finds room for it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The file's name in the state directory.
pub(crate) const FILE: &str = "spool.reserve";
/// Its length.
pub(crate) const BYTES: u64 = 1280 * 1024;

const CHUNK: usize = 64 * 1024;

/// The reserve of a state directory.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    held: bool,
}

impl Reserve {
    /// Looks whether there is one.
    pub(crate) fn find(dir: &Path) -> Self {
        let path = dir.join(FILE);
        let held = fs::metadata(&path).is_ok_and(|file| file.len() == BYTES);
        Self { path, held }
    }

    /// Gives it up; whether there was anything to give.
    pub(crate) fn give_up(&mut self) -> bool {
        self.held = false;
        match fs::remove_file(&self.path) {
            Ok(()) => {
                tracing::warn!("the disk is full; the reserve keeps the store going");
                true
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "cannot give the reserve up");
                }
                false
            }
        }
    }

    /// Makes it again where the file system has room for it and `least` bytes beside it. Free
    /// space that is not known counts as enough.
    pub(crate) fn renew(&mut self, free: Option<u64>, least: u64) {
        if self.held || free.is_some_and(|free| free < BYTES + least) {
            return;
        }
        match fill(&self.path) {
            Ok(()) => self.held = true,
            Err(error) => {
                tracing::debug!(%error, "cannot make the reserve");
                // Half a reserve is no help, and in the way of everybody.
                let _ = fs::remove_file(&self.path);
            }
        }
    }
}

/// Writes the whole file; without fsync, since one that a power cut shortened is made again.
fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut left = BYTES;
    while left > 0 {
        chunk.clear();
        while chunk.len() < CHUNK {
            // Xorshift: cheap, and nothing that a compressor finds a pattern in.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.extend(state.to_le_bytes());
        }
        file.write_all(&chunk)?;
        left = left.saturating_sub(CHUNK as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_where_there_is_room_and_found_again_and_given_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::find(dir.path());
        reserve.renew(Some(BYTES + 9), 10);
        assert!(!dir.path().join(FILE).exists(), "it would take the last room");
        reserve.renew(Some(BYTES + 10), 10);
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().len(), BYTES);
        let mut again = Reserve::find(dir.path());
        assert!(again.give_up());
        assert!(!again.give_up());
        again.renew(None, 10);
        assert!(Reserve::find(dir.path()).held);
    }

    #[test]
    fn a_reserve_that_was_cut_short_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), b"short").unwrap();
        let mut reserve = Reserve::find(dir.path());
        reserve.renew(None, 0);
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().len(), BYTES);
    }
}
