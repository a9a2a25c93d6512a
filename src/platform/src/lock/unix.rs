//! The instance lock as a lock of the open file description; the Linux half of `lock`.
//!
//! Such a lock can be asked about without taking it, which `flock` cannot: a curious `agentctl`
//! could otherwise keep an agent from starting.
//!
//! # Invariants
//! - It belongs to the open file, so two holders in one process exclude each other as well.
//!
//! On failure: the system's error.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

pub(super) fn take(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(libc::O_NOFOLLOW).open(path)?;
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => Ok(Some(file)),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

pub(super) fn holder(path: &Path) -> Option<u32> {
    let file = File::open(path).ok()?;
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock)).ok()?;
    let held = i32::from(lock.l_type) != libc::F_UNLCK;
    held.then(|| std::fs::read_to_string(path).ok().as_deref().and_then(super::pid_in)).flatten()
}

/// An exclusive lock from the first byte to the end, however long the file grows.
#[expect(clippy::cast_possible_truncation, reason = "the constants are 0 and 1")]
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
