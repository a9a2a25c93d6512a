//! The files: their names, their order, and where an entry lies in them.
//!
//! # Invariants
//! - A name is ten digits and `.journal`; every other file in the directory is left alone.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::JournalError;

const SUFFIX: &str = ".journal";

/// Where a request's record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The segment.
    pub(crate) segment: u64,
    /// From its beginning.
    pub(crate) at: usize,
    /// The hash before it.
    pub(crate) previous: [u8; 32],
}

/// The file of a segment.
pub(crate) fn path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:010}{SUFFIX}"))
}

/// The segments of a directory, oldest first; none where there is no directory.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let failed = |source| JournalError::List { path: dir.to_owned(), source };
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut segments = Vec::new();
    for file in files {
        let name = file.map_err(failed)?.file_name();
        segments.extend(name.to_str().and_then(number));
    }
    segments.sort_unstable();
    Ok(segments)
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() >= 10 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

/// The bytes of a segment, or its first `limit` ones; `None` where it is gone.
pub(crate) fn load(path: &Path, limit: Option<u64>) -> Result<Option<Vec<u8>>, JournalError> {
    use std::io::Read as _;
    let read = || -> std::io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        let length = file.metadata()?.len().min(limit.unwrap_or(u64::MAX));
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JournalError::Read { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_listed_in_their_order_and_other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(list(&dir.path().join("absent")).unwrap().is_empty());
        for name in
            ["0000000010.journal", "0000000002.journal", "1.journal", "x", "000000000a.journal"]
        {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        assert_eq!(list(dir.path()).unwrap(), [2, 10]);
        assert!(path(dir.path(), 2).exists());
        assert_eq!(load(&path(dir.path(), 3), None).unwrap(), None);
    }
}
