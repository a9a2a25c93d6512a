//! The instance lock as a file that is open for writing by one process; the Windows half of `lock`.
//!
//! # Invariants
//! - The holder lets others read, so that they can see its process id, but not write.
//!
//! On failure: the system's error. An asker that holds the file for a moment is waited for.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use windows_sys::Win32::Foundation::ERROR_SHARING_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE};

pub(super) fn take(path: &Path) -> io::Result<Option<File>> {
    for _ in 0..5 {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).share_mode(FILE_SHARE_READ);
        match options.open(path) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if is_shared(&error) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

pub(super) fn holder(path: &Path) -> Option<u32> {
    let everything = FILE_SHARE_READ | FILE_SHARE_WRITE;
    let held = OpenOptions::new().write(true).share_mode(everything).open(path);
    if !held.is_err_and(|error| is_shared(&error)) {
        return None;
    }
    let file = OpenOptions::new().read(true).share_mode(everything).open(path).ok()?;
    super::pid_in(&io::read_to_string(file).ok()?)
}

fn is_shared(error: &io::Error) -> bool {
    error.raw_os_error().and_then(|code| u32::try_from(code).ok()) == Some(ERROR_SHARING_VIOLATION)
}
