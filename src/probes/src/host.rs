//! Where the host's own files are: below `/`, or below `--host-root` for containers and recorded
//! machines. Every probe reads through it.
//!
//! # Invariants
//! - No path outside [`Host::root`] is built here.
//! - A read is bounded; nothing is written, ever.
//!
//! A file that is not there, or that this user may not read, is what the host does not tell
//! ([`None`]); a probe that cannot do without it uses [`Host::require`] and fails with the path.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::ProbeError;

/// The most that is read of one file: `/proc/cpuinfo` of a machine with 512 threads fits.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The host that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `/`, or the `--host-root` directory that holds its `proc`, `sys`, `etc` …
    pub root: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self::live()
    }
}

impl Host {
    /// This host.
    #[must_use]
    pub fn live() -> Self {
        Self::new("/")
    }

    /// The host whose files stand below `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether this is the host that the agent runs on, so that system calls tell of it too.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// A path below the root; `relative` has no leading slash.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// `proc/…` of the host.
    #[must_use]
    pub fn proc(&self, relative: &str) -> PathBuf {
        self.root.join("proc").join(relative)
    }

    /// `sys/…` of the host.
    #[must_use]
    pub fn sys(&self, relative: &str) -> PathBuf {
        self.root.join("sys").join(relative)
    }

    /// `etc/…` of the host.
    #[must_use]
    pub fn etc(&self, relative: &str) -> PathBuf {
        self.root.join("etc").join(relative)
    }

    /// The content of a file that the probe cannot do without.
    ///
    /// # Errors
    /// The file cannot be read; the error names it.
    pub fn require(&self, path: &Path) -> Result<String, ProbeError> {
        read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|source| ProbeError::Read { path: path.to_owned(), source })
    }

    /// The whole content of a file, or `None` where the host does not tell.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<String> {
        Some(String::from_utf8_lossy(&self.bytes(path)?).into_owned())
    }

    /// The first `limit` bytes of a file as text, or `None` where the host does not tell.
    #[must_use]
    pub fn head(&self, path: &Path, limit: u64) -> Option<String> {
        let bytes = read_up_to(path, limit).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The bytes of a file, or `None` where the host does not tell.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        read(path).ok()
    }

    /// The one value that a file holds, without surrounding white space and NULs; `None` when the
    /// file is not there, not readable or empty.
    #[must_use]
    pub fn text(&self, path: &Path) -> Option<String> {
        let content = self.content(path)?;
        let value = content.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The one whole number that a file holds.
    #[must_use]
    pub fn number(&self, path: &Path) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// The last bytes of a file, at most `limit` and a whole number of `unit`s from its start; `None`
    /// where the host does not tell.
    #[must_use]
    pub fn tail(&self, path: &Path, limit: u64, unit: u64) -> Option<Vec<u8>> {
        let mut file = File::open(path).ok()?;
        let skipped = file.metadata().ok()?.len().saturating_sub(limit);
        file.seek(SeekFrom::Start(skipped.next_multiple_of(unit))).ok()?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Where a path leads, links followed, relative to the root; `None` when it leads nowhere or
    /// out of the root.
    #[must_use]
    pub fn leads_to(&self, path: &Path) -> Option<PathBuf> {
        let real = fs::canonicalize(path).ok()?;
        let root = fs::canonicalize(&self.root).ok()?;
        real.strip_prefix(root).ok().map(Path::to_owned)
    }

    /// The last name of where a link leads, as sysfs tells drivers and subsystems.
    #[must_use]
    pub fn link_name(&self, path: &Path) -> Option<String> {
        let target = fs::read_link(path).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// The names in a directory, sorted; empty when it is not there.
    #[must_use]
    pub fn names(&self, directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(path, MAX_FILE_BYTES)
}

fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_missing_file_is_absent_and_a_nul_is_no_text() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("device-tree")).unwrap();
        fs::write(host.proc("empty"), " \n").unwrap();
        fs::write(host.proc("device-tree/model"), "Some Board\0").unwrap();
        assert_eq!(host.text(&host.proc("empty")), None);
        assert_eq!(host.text(&host.proc("missing")), None);
        assert_eq!(host.text(&host.proc("device-tree/model")).as_deref(), Some("Some Board"));
        assert!(!host.is_live() && Host::live().is_live());
    }

    #[test]
    fn a_tail_begins_at_a_whole_unit() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let path = host.path("records");
        fs::write(&path, b"aabbccdd").unwrap();
        assert_eq!(host.tail(&path, 5, 2).as_deref(), Some(&b"ccdd"[..]));
        assert_eq!(host.tail(&path, 100, 2).as_deref(), Some(&b"aabbccdd"[..]));
        assert_eq!(host.tail(&host.path("missing"), 5, 2), None);
    }

    #[test]
    fn a_required_file_that_is_missing_is_named() {
        let host = Host::new("/nonexistent");
        let error = host.require(&host.proc("stat")).unwrap_err();
        assert!(error.to_string().contains("stat"), "{error}");
    }
}
