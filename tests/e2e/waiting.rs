//! What waits in a store, as the bytes that lie on the disk: rows are packed, so that a search for a
//! record's text would find nothing, there or not.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Bytes of a row that are searched for: enough to stand in one place only.
const LENGTH: usize = 32;

/// Pieces of rows, each with its level.
pub(crate) struct Waiting(Vec<(u8, Vec<u8>)>);

/// Every file of a directory, as it is now.
pub(crate) fn contents(dir: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            // A file may go between the listing and the reading.
            all.extend(fs::read(&path));
        }
    }
    all
}

impl Waiting {
    /// A piece of each row of the store in this directory that lies on the disk in one run; `None`
    /// where the store was caught in a commit.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        let copy = tempfile::tempdir().unwrap();
        for name in ["spool.db", "spool.db-wal"] {
            fs::copy(dir.join(name), copy.path().join(name)).ok()?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let store = Connection::open_with_flags(copy.path().join("spool.db"), flags).ok()?;
        let mut rows = store.prepare("SELECT level, body FROM batch").ok()?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))).ok()?;
        let rows: Vec<(u8, Vec<u8>)> = rows.collect::<Result<_, _>>().ok()?;
        // The end of a packed row is its data; its beginning is much like that of others.
        let pieces = rows.into_iter().filter_map(|(level, body)| {
            Some((level, body.get(body.len().checked_sub(LENGTH)?..)?.to_vec()))
        });
        let files = contents(dir);
        let mut waiting = Self(pieces.collect());
        let lies = waiting.found(&files);
        waiting.0 = lies.into_iter().map(|at| waiting.0[at].clone()).collect();
        Some(waiting)
    }

    /// How many pieces of these levels there are.
    pub(crate) fn count(&self, is_meant: impl Fn(u8) -> bool) -> usize {
        self.0.iter().filter(|(level, _)| is_meant(*level)).count()
    }

    /// The levels of what still lies in these files, each once.
    pub(crate) fn levels_in(&self, files: &[Vec<u8>]) -> Vec<u8> {
        let mut levels: Vec<u8> = self.found(files).into_iter().map(|at| self.0[at].0).collect();
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    /// The places of those that stand in any of the files.
    fn found(&self, files: &[Vec<u8>]) -> Vec<usize> {
        let begins = |piece: &[u8]| usize::from(u16::from_le_bytes([piece[0], piece[1]]));
        let mut candidates = vec![Vec::new(); 1 << 16];
        for (at, (_, piece)) in self.0.iter().enumerate() {
            candidates[begins(piece)].push(at);
        }
        let mut found = vec![false; self.0.len()];
        for window in files.iter().flat_map(|file| file.windows(LENGTH)) {
            for at in &candidates[begins(window)] {
                found[*at] |= self.0[*at].1 == window;
            }
        }
        (0..found.len()).filter(|at| found[*at]).collect()
    }
}
