//! `xdg-open`, `SUDO_UID` and `/proc/net/tcp`; the unix half of `browser`.
//!
//! ```text
//!   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid …
//!    0: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000 …
//! ```
//!
//! # Invariants
//! - An IPv6 socket that carries IPv4 stands in `tcp6`; both tables are read.
//!
//! On failure: the fact is absent.

use std::env;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

pub(super) fn behind_sudo() -> Option<u32> {
    let uid: u32 = env::var("SUDO_UID").ok()?.parse().ok()?;
    (geteuid().is_root() && uid != 0).then_some(uid)
}

pub(super) fn has_screen() -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    !geteuid().is_root() && (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
}

pub(super) fn open_page(file: &Path) -> io::Result<()> {
    let mut command = Command::new("xdg-open");
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: ctrl-c in the terminal ends us, not the browser.
    command.process_group(0).spawn().map(drop)
}

pub(super) fn hand_over(path: &Path, uid: u32) -> io::Result<()> {
    std::os::unix::fs::chown(path, Some(uid), None)
}

pub(super) fn loopback_owner(ours: SocketAddr, theirs: SocketAddr) -> Option<u32> {
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|path| {
        let table = std::fs::read_to_string(path).ok()?;
        owner(&table, ours, theirs)
    })
}

/// The user of the socket whose own address is `theirs` and whose other end is `ours`.
fn owner(table: &str, ours: SocketAddr, theirs: SocketAddr) -> Option<u32> {
    table.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_it = address(words.nth(1)?)? == theirs && address(words.next()?)? == ours;
        is_it.then(|| words.nth(4)?.parse().ok())?
    })
}

/// `0100007F:9C40`: words of 32 bits as this machine orders their bytes, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| {
        let word = u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_owner_is_found_in_the_kernels_words() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
            \x20  0: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0  0 1\n\
            \x20  1: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000  0 2\n\
            \x20  2: 0000000000000000FFFF00000100007F:9C41 0000000000000000FFFF00000100007F:1F90 01 \
            00000000:00000000 00:00000000 00000000  1001  0 3\n\x20  3: torn";
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(owner(table, at(8080), at(40000)), Some(1000));
        assert_eq!(owner(table, at(8080), at(40001)), Some(1001));
        assert_eq!(owner(table, at(8080), at(40002)), None);
        assert_eq!(address("0100007F"), None);
        assert_eq!(address("é00007F:1"), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        let ours = SocketAddr::from(([127, 0, 0, 1], 8080));
        let theirs = SocketAddr::from(([127, 0, 0, 1], 40000));
        let table = "  1: 0100007F:9C40 0100007F:1F90 01 0:0 00:0 0  1000  0 2\n";
        text("browser/unix::owner", Says::Stands, &[table], |table| owner(table, ours, theirs));
    }
}
