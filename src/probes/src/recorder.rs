//! Records a machine: copies what the inventory reads of it into a directory that `--host-root` can be
//! given, for tests with machines that are not at hand.
//!
//! # Invariants
//! - An allow-list: a file that no line of it names is not copied. No SMBIOS table, no serial number, no
//!   address file, no account, no process, no log is on it.
//! - In what is copied, MAC addresses, UUIDs, the host's name and a board's serial number are replaced, in
//!   contents and in names.
//! - Nothing outside of the given directory is written, and it must not exist yet.
//!
//! What is not there is left out; a directory that cannot be written ends the recording.

use std::path::{Path, PathBuf};

use crate::{Host, ProbeError};

#[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "Windows has no files to copy"))]
mod disguise;
#[cfg(not(windows))]
#[path = "recorder/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "recorder/windows.rs"]
mod os;

/// Copies this host's files into `dir` and gives their number.
///
/// # Errors
/// `dir` exists or cannot be written, or this OS has no such files.
pub fn record_host(host: &Host, dir: &Path) -> Result<usize, ProbeError> {
    std::fs::create_dir(dir).map_err(|source| write_failed(dir, source))?;
    os::record(host, dir)
}

fn write_failed(path: &Path, source: std::io::Error) -> ProbeError {
    ProbeError::Write { path: PathBuf::from(path), source }
}
