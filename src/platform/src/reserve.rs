//! Bytes that the agent owns beside its data and gives up when the disk is full, so that what must
//! be written then (an acknowledgement, a delete, the owner's word) finds room.
//!
//! # Invariants
//! - It is made only where that leaves room for others, and again when space is back.
//! - Its bytes do not compress, so that a file system which compresses holds space for it as well.
//!
//! On failure there is no reserve and everything else works; whoever owns it tries again later.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

const CHUNK: usize = 64 * 1024;

/// A reserve: a file of a certain length, without meaning.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// Looks whether there is one at this path. One of another length (a power cut shortened it)
    /// counts as none and is made anew.
    #[must_use]
    pub fn find(path: PathBuf, bytes: u64) -> Self {
        let held = fs::metadata(&path).is_ok_and(|file| file.len() == bytes);
        Self { path, bytes, held }
    }

    /// Gives it up; whether there was anything to give.
    ///
    /// # Errors
    /// When the file exists and cannot be removed.
    pub fn give_up(&mut self) -> io::Result<bool> {
        self.held = false;
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes it again where the file system has room for it and `least` bytes beside it. Free
    /// space that is not known (`None`) counts as enough. Does nothing while it is held.
    ///
    /// # Errors
    /// When it cannot be written; nothing of it stays.
    pub fn renew(&mut self, free: Option<u64>, least: u64) -> io::Result<()> {
        if self.held || free.is_some_and(|free| free < self.bytes + least) {
            return Ok(());
        }
        let made = self.fill();
        self.held = made.is_ok();
        if made.is_err() {
            // Half a reserve is no help, and in the way of everybody.
            let _ = fs::remove_file(&self.path);
        }
        made
    }

    /// Writes the whole file; without fsync, since one that a power cut shortened is made again.
    fn fill(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut left = self.bytes;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            chunk.clear();
            while chunk.len() < length {
                // Xorshift: cheap, and nothing that a compressor finds a pattern in.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                chunk.extend(state.to_le_bytes());
            }
            chunk.truncate(length);
            file.write_all(&chunk)?;
            left -= length as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 100_001;

    #[test]
    fn it_is_made_where_there_is_room_and_found_again_and_given_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let mut reserve = Reserve::find(path.clone(), BYTES);
        reserve.renew(Some(BYTES + 9), 10).unwrap();
        assert!(!path.exists(), "it would take the last room");
        reserve.renew(Some(BYTES + 10), 10).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), BYTES);
        let mut again = Reserve::find(path.clone(), BYTES);
        assert!(again.give_up().unwrap());
        assert!(!again.give_up().unwrap());
        again.renew(None, 10).unwrap();
        assert!(Reserve::find(path, BYTES).held);
    }

    #[test]
    fn a_reserve_that_was_cut_short_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        fs::write(&path, b"short").unwrap();
        let mut reserve = Reserve::find(path.clone(), BYTES);
        reserve.renew(None, 0).unwrap();
        assert_eq!(fs::metadata(path).unwrap().len(), BYTES);
    }

    #[test]
    fn a_reserve_that_cannot_be_made_leaves_nothing_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone/reserve");
        let mut reserve = Reserve::find(path, BYTES);
        assert!(reserve.renew(None, 0).is_err());
        assert!(!reserve.held);
    }
}
