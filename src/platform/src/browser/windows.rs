//! The shell's handler of files; the Windows half of `browser`.
//!
//! # Invariants
//! - There is no `sudo` that leaves its word, and no user id of a connection: both are absent.
//!
//! On failure: the system's error.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

pub(super) fn behind_sudo() -> Option<u32> {
    None
}

/// An elevated session's browser would run elevated.
pub(super) fn has_screen() -> bool {
    !crate::is_administrator()
}

pub(super) fn open_page(file: &Path) -> io::Result<()> {
    let mut command = Command::new("rundll32.exe");
    command.arg("url.dll,FileProtocolHandler").arg(file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
pub(super) fn hand_over(_path: &Path, _uid: u32) -> io::Result<()> {
    Ok(())
}

pub(super) fn loopback_owner(_ours: SocketAddr, _theirs: SocketAddr) -> Option<u32> {
    None
}
