//! Records a machine: copies what the inventory reads of it into a directory that `--host-root` can be
//! given, or into one text that a person can read, for tests with machines that are not at hand.
//!
//! ```text
//! host -> os::record (allow-list) -> disguise -> Recording -> tree on disk | archive (one text)
//! ```
//!
//! # Invariants
//! - An allow-list: a file that no line of it names is not copied. No serial number, no address file, no
//!   account, no process, no log is on it; of an SMBIOS table no string.
//! - In what is copied, MAC addresses, UUIDs, addresses of the kernel, the host's name and a board's serial
//!   number are replaced, in contents and in names.
//! - Nothing outside of the given path is written, and it must not exist yet.
//!
//! What is not there is left out; a path that cannot be written ends the recording.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::{Host, ProbeError};

mod archive;
#[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "Windows has no files to copy"))]
mod disguise;
#[cfg(not(windows))]
#[path = "recorder/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "recorder/windows.rs"]
mod os;
#[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "Windows has no files to copy"))]
mod recording;

/// Copies this host's files into the directory `dir` and gives their number.
///
/// # Errors
/// `dir` exists or cannot be written, or this OS has no such files.
pub fn record_host(host: &Host, dir: &Path) -> Result<usize, ProbeError> {
    let recording = os::record(host)?;
    fs::create_dir(dir).map_err(|source| write_failed(dir, source))?;
    recording.write_tree(dir)?;
    Ok(recording.files())
}

/// Writes this host's files into one readable text at `path` and gives their number. The form of the
/// text is described in `tests/hosts/README.md`.
///
/// # Errors
/// `path` exists or cannot be written, or this OS has no such files.
pub fn record_archive(host: &Host, path: &Path) -> Result<usize, ProbeError> {
    let failed = |source| write_failed(path, source);
    let recording = os::record(host)?;
    let mut file = fs::File::create_new(path).map_err(failed)?;
    file.write_all(archive::text(&recording).as_bytes()).map_err(failed)?;
    Ok(recording.files())
}

fn write_failed(path: &Path, source: std::io::Error) -> ProbeError {
    ProbeError::Write { path: PathBuf::from(path), source }
}

#[cfg(test)]
#[cfg(windows)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_cannot_be_recorded_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("copy");
        assert!(record_host(&Host::live(), &path).is_err() && !path.exists());
        assert!(record_archive(&Host::live(), &path).is_err() && !path.exists());
    }
}
