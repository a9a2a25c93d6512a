//! The person in front of a page that a program of ours shows on loopback: starting the browser, and
//! telling whose browser it is that connects.
//!
//! # Invariants
//! - Nothing secret is handed over on a command line: only the path of a file that the user alone reads.
//! - Root's browser is never started: a page is no reason to run one with all rights.
//!
//! On failure: the fact is absent, or the system's error.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

#[cfg_attr(unix, path = "browser/unix.rs")]
#[cfg_attr(windows, path = "browser/windows.rs")]
mod imp;

/// The user for whom root works, by the word of `sudo`; `None` where this process is not root's or was
/// not started so.
#[must_use]
pub fn behind_sudo() -> Option<u32> {
    imp::behind_sudo()
}

/// Whether there is a screen with a person in front of it, for whom [`open_page`] may start a browser.
#[must_use]
pub fn has_screen() -> bool {
    imp::has_screen()
}

/// Opens a local file in the user's browser and does not wait for it.
///
/// # Errors
/// Where no program for it can be started.
pub fn open_page(file: &Path) -> io::Result<()> {
    imp::open_page(file)
}

/// Gives a file or directory of root's to the user behind `sudo`.
///
/// # Errors
/// The system's answer.
pub fn hand_over(path: &Path, uid: u32) -> io::Result<()> {
    imp::hand_over(path, uid)
}

/// Whose process holds the other end of a loopback connection, by its user id; `None` where the system
/// does not tell. Reads the kernel's table of connections.
#[must_use]
pub fn loopback_owner(ours: SocketAddr, theirs: SocketAddr) -> Option<u32> {
    imp::loopback_owner(ours, theirs)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::Peer;

    #[test]
    fn the_other_end_of_our_own_connection_is_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = listener.local_addr().unwrap();
        let stream = TcpStream::connect(ours).unwrap();
        let theirs = stream.local_addr().unwrap();
        assert_eq!(loopback_owner(ours, theirs), Peer::this_process().uid);
        assert_eq!(loopback_owner(theirs, SocketAddr::from(([127, 0, 0, 1], 1))), None);
    }
}
