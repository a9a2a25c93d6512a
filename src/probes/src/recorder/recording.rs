//! What was recorded of a machine, in memory: files, links and directories by their place.
//!
//! # Invariants
//! - A place has one entry: the first that was recorded there.
//! - Links to a place of the recording are written relative, as in `sysfs`, so that they stay in it.
//!
//! What cannot be written is an error with its path.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::write_failed;
use crate::ProbeError;

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file, to the byte.
    File(Vec<u8>),
    /// An empty file of which only the time of its last change counts, in seconds since 1970.
    Changed(u64),
    /// A link to another place of the recording.
    Link(String),
    /// A directory, were it empty.
    Directory,
}

/// Entries by place, without a leading slash.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) entries: BTreeMap<String, Entry>,
}

impl Recording {
    pub(super) fn add(&mut self, place: String, entry: Entry) {
        self.entries.entry(place).or_insert(entry);
    }

    pub(super) fn files(&self) -> usize {
        let is_file = |entry: &&Entry| matches!(entry, Entry::File(_) | Entry::Changed(_));
        self.entries.values().filter(is_file).count()
    }

    /// Makes all entries below `dir`.
    pub(super) fn write_tree(&self, dir: &Path) -> Result<(), ProbeError> {
        for (place, entry) in &self.entries {
            let path = dir.join(place);
            let parent = path.parent().unwrap_or(&path);
            fs::create_dir_all(parent).map_err(|source| write_failed(parent, source))?;
            write(dir, place, entry).map_err(|source| write_failed(&path, source))?;
        }
        Ok(())
    }
}

fn write(dir: &Path, place: &str, entry: &Entry) -> std::io::Result<()> {
    let path = dir.join(place);
    match entry {
        Entry::File(content) => fs::write(path, content),
        Entry::Changed(seconds) => {
            let file = fs::File::create(path)?;
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds))
        }
        Entry::Link(to) => {
            fs::create_dir_all(dir.join(to))?;
            link(&relative(place, to), &path)
        }
        Entry::Directory => fs::create_dir_all(path),
    }
}

/// The way from the directory of `place` to `to`.
fn relative(place: &str, to: &str) -> PathBuf {
    let up: PathBuf = place.split('/').skip(1).map(|_| "..").collect();
    up.join(to)
}

#[cfg(not(windows))]
fn link(to: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, path)
}

#[cfg(windows)]
fn link(to: &Path, path: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(to, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_goes_up_from_its_own_directory() {
        assert_eq!(relative("sys/block/sda", "sys/x/sda"), Path::new("../../sys/x/sda"));
        assert_eq!(relative("a", "b"), Path::new("b"));
    }

    #[test]
    fn the_first_entry_of_a_place_stays() {
        let mut recording = Recording::default();
        recording.add("a".to_owned(), Entry::File(b"1".to_vec()));
        recording.add("a".to_owned(), Entry::Directory);
        assert_eq!(recording.entries["a"], Entry::File(b"1".to_vec()));
        assert_eq!(recording.files(), 1);
    }
}
