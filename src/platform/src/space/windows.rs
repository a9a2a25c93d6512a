//! The size of a file system by `GetDiskFreeSpaceExW`; the Windows half of `space`.
//!
//! # Invariants
//! - The free bytes are those of the caller, quota included. On failure: the system's error.
#![expect(unsafe_code, reason = "a raw call of the file system")]

use std::io;
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;

use crate::security::wide;

pub(super) fn space(path: &Path) -> io::Result<(u64, u64)> {
    let (mut free, mut total) = (0, 0);
    let name = wide(path.as_os_str());
    // SAFETY: the name ends with a zero, and both numbers are ours; the third may be null.
    let done = unsafe {
        GetDiskFreeSpaceExW(name.as_ptr(), &raw mut free, &raw mut total, std::ptr::null_mut())
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok((free, total)) }
}
