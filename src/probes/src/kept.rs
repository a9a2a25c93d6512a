//! A table of the kernel that stays open: each sample reads it again from its start, with `pread`,
//! into the same buffer. The level 2 probes sit on it.
//!
//! # Invariants
//! - A table is read whole or not at all: more than [`MAX_BYTES`] is a failure, never a part.
//! - In steady state a reading allocates nothing and opens nothing.
//!
//! A failing file is closed and opened once more; if that fails too, the error names its path.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use crate::ProbeError;

/// The most that a table may hold: `/proc/stat` of a machine with 512 threads is well below.
const MAX_BYTES: usize = 1 << 20;

/// What a buffer begins with: a page, as the kernel fills its tables.
const FIRST_BYTES: usize = 4096;

/// One table.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl Kept {
    /// A table that is opened when it is first read.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None, buffer: Vec::new() }
    }

    /// Its present content.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub(crate) fn read(&mut self) -> Result<&[u8], ProbeError> {
        let filled = self.fill().or_else(|_| {
            self.file = None;
            self.fill()
        });
        match filled {
            Ok(len) => Ok(self.buffer.get(..len).unwrap_or_default()),
            Err(source) => Err(ProbeError::Read { path: self.path.clone(), source }),
        }
    }

    /// The failure of a content that is not as documented.
    pub(crate) fn malformed(&self, what: &'static str) -> ProbeError {
        ProbeError::Format { path: self.path.clone(), what }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        let len = fill(&file, &mut self.buffer)?;
        self.file = Some(file);
        Ok(len)
    }
}

/// Reads the whole file into the buffer, which grows but never shrinks.
fn fill(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut len = 0;
    loop {
        if len == buffer.len() {
            if len >= MAX_BYTES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            buffer.resize((len * 2).clamp(FIRST_BYTES, MAX_BYTES), 0);
        }
        let rest = buffer.get_mut(len..).unwrap_or_default();
        match file.read_at(rest, len as u64) {
            Ok(0) => return Ok(len),
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_reading_gives_the_present_content_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stat");
        fs::write(&path, "first").unwrap();
        let mut kept = Kept::new(path.clone());
        assert_eq!(kept.read().unwrap(), b"first");
        let long = vec![b'x'; 3 * FIRST_BYTES + 1];
        fs::write(&path, &long).unwrap();
        assert_eq!(kept.read().unwrap(), long);
        fs::write(&path, "2").unwrap();
        assert_eq!(kept.read().unwrap(), b"2");
    }

    #[test]
    fn more_than_the_bound_is_a_failure_and_not_a_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stat");
        fs::write(&path, vec![b'x'; MAX_BYTES]).unwrap();
        assert!(Kept::new(path.clone()).read().is_err());
        fs::write(&path, vec![b'x'; MAX_BYTES - 1]).unwrap();
        assert_eq!(Kept::new(path).read().unwrap().len(), MAX_BYTES - 1);
    }

    #[test]
    fn a_missing_file_is_named_and_found_once_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("diskstats");
        let mut kept = Kept::new(path.clone());
        assert!(kept.read().unwrap_err().to_string().contains("diskstats"));
        fs::write(&path, "now").unwrap();
        assert_eq!(kept.read().unwrap(), b"now");
    }
}
