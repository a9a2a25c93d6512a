//! Files by access control list; the Windows half of `file`.
//!
//! # Invariants
//! - Modes mean nothing here: a file takes the list of its directory, and a private directory's
//!   list names SYSTEM, Administrators and (where it is neither) the user who runs us.
//! - A rename that a scanner or a reader blocks is tried again for a bounded time.
//!
//! On failure: the system's error, for the facade to name.
#![expect(unsafe_code, reason = "raw calls for access control lists")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
};

use super::Trust;
use crate::sddl;
use crate::security::{self, Descriptor, wide};

pub(super) fn create_new(path: &Path, _mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

pub(super) fn open_append(path: &Path, _mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    let file = options.open(path)?;
    if file.metadata()?.is_symlink() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"));
    }
    Ok(file)
}

pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    let mut pause = Duration::from_millis(5);
    loop {
        match std::fs::rename(from, to) {
            Err(error) if is_in_use(&error) && pause < Duration::from_millis(500) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
}

/// The file system journals names by itself, and a directory handle cannot be flushed without
/// write access to it, which not every file system gives.
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn create_private_dir(path: &Path) -> io::Result<Option<String>> {
    let descriptor = Descriptor::from_sddl(&sddl::private_dir(security::own_sid().as_deref()))?;
    let attributes = descriptor.attributes();
    let name = wide(path.as_os_str());
    // SAFETY: the name ends with a zero; the attributes and what they point to live until the end.
    let made = unsafe { CreateDirectoryW(name.as_ptr(), &raw const attributes) };
    if made != 0 {
        return Ok(None);
    }
    let error = io::Error::last_os_error();
    if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() {
        return Err(error);
    }
    let (owner, _) = security::owner_and_writer(&open_for_control(path)?)?;
    if !security::is_trusted(&owner) {
        return Ok(Some(owner));
    }
    descriptor.apply_list_to(path).map(|()| None)
}

pub(super) fn trust(path: &Path) -> io::Result<Trust> {
    trust_of(&open_for_control(path)?, path)
}

pub(super) fn trust_of(file: &File, _path: &Path) -> io::Result<Trust> {
    let (owner, writer) = security::owner_and_writer(file)?;
    Ok(if !security::is_trusted(&owner) {
        Trust::WrongOwner { owner }
    } else if let Some(by) = writer {
        Trust::WritableByOthers { by }
    } else {
        Trust::Trusted
    })
}

/// Asks for the right to read the descriptor alone, so that no content is opened.
fn open_for_control(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.access_mode(READ_CONTROL).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)
}

fn is_in_use(error: &io::Error) -> bool {
    let code = error.raw_os_error().and_then(|code| u32::try_from(code).ok());
    matches!(code, Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION))
}
