//! The peer of a unix socket; the Linux half of `peer`.
//!
//! # Invariants
//! - User, process and groups are the kernel's (`SO_PEERCRED`, `SO_PEERGROUPS`).
//! - Only the name of a user and the number of the group `candor` are read from files, line by line.
//!
//! On failure: no name, no groups.
#![expect(unsafe_code, reason = "nix does not know SO_PEERGROUPS")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use nix::libc;
use nix::unistd::geteuid;
use tokio::net::UnixStream;

use super::{Peer, Role};

const GROUP: &[u8] = b"candor";

/// `SO_PEERGROUPS` of `asm-generic/socket.h`, Linux 4.13; the libc crate lacks it.
const SO_PEERGROUPS: libc::c_int = 59;

pub(crate) fn is_administrator() -> bool {
    geteuid().is_root()
}

/// It runs as the user who would run the agent, so it is its own administrator.
pub(crate) fn this_process() -> Peer {
    let uid = geteuid().as_raw();
    let user = open("/etc/passwd").and_then(|file| user_name(file, uid));
    Peer { uid: Some(uid), user, pid: Some(std::process::id()), role: Role::Administrator }
}

pub(crate) fn identify(stream: &UnixStream) -> Peer {
    let Ok(facts) = stream.peer_cred() else {
        return Peer { uid: None, user: None, pid: None, role: Role::Anyone };
    };
    let uid = facts.uid();
    let user = open("/etc/passwd").and_then(|file| user_name(file, uid));
    let role = if uid == 0 || uid == geteuid().as_raw() {
        Role::Administrator
    } else if is_member(facts.gid(), user.as_deref(), &groups_of(stream)) {
        Role::Reader
    } else {
        Role::Anyone
    };
    let pid = facts.pid().and_then(|pid| u32::try_from(pid).ok());
    Peer { uid: Some(uid), user, pid, role }
}

fn is_member(gid: u32, user: Option<&str>, groups: &[u32]) -> bool {
    let Some(group) = open("/etc/group").and_then(|file| group(file, GROUP)) else { return false };
    let listed = user.is_some_and(|user| group.members.iter().any(|member| member == user));
    gid == group.gid || groups.contains(&group.gid) || listed
}

/// Its own group, then the supplementary ones.
pub(crate) fn groups_of_peer(stream: &UnixStream) -> Vec<u32> {
    let own = stream.peer_cred().ok().map(|facts| facts.gid());
    let mut groups: Vec<u32> = own.into_iter().collect();
    groups.extend(groups_of(stream).into_iter().filter(|group| Some(*group) != own));
    groups
}

/// The executable of a process, as the system names it; `None` where it does not tell.
pub(crate) fn executable_of(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

pub(crate) fn groups_of_process(pid: u32) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    groups_in(&status)
}

/// The effective group and the supplementary ones in the form of `/proc/PID/status`.
fn groups_in(status: &str) -> Vec<u32> {
    let numbers = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().filter_map(|number| number.parse().ok()).collect::<Vec<u32>>()
    };
    // Real, effective, saved, of the file system.
    let own = numbers("Gid:").get(1).copied();
    let mut groups: Vec<u32> = own.into_iter().collect();
    groups.extend(numbers("Groups:").into_iter().filter(|group| Some(*group) != own));
    groups
}

/// The supplementary groups that the process had when it connected.
fn groups_of(stream: &UnixStream) -> Vec<u32> {
    let mut groups = vec![0_u32; 64];
    for _ in 0..2 {
        let mut size = libc::socklen_t::try_from(groups.len() * 4).unwrap_or(0);
        // SAFETY: the socket is open; the buffer is ours and as long as we say.
        let answer = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut size,
            )
        };
        let told = size as usize / 4;
        if answer == 0 {
            groups.truncate(told);
            return groups;
        }
        // ERANGE says how much room it takes; anything else is a kernel that does not know.
        if told <= groups.len() {
            break;
        }
        groups.resize(told, 0);
    }
    Vec::new()
}

struct Group {
    gid: u32,
    members: Vec<String>,
}

/// Name of a user id in the form of `/etc/passwd`: `name:password:uid:…`.
fn user_name(passwd: impl BufRead, uid: u32) -> Option<String> {
    passwd.split(b'\n').map_while(Result::ok).find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (text(number)?.parse() == Ok(uid)).then(|| text(name).map(str::to_owned)).flatten()
    })
}

/// A group in the form of `/etc/group`: `name:password:gid:member,member`.
fn group(groups: impl BufRead, name: &[u8]) -> Option<Group> {
    groups.split(b'\n').map_while(Result::ok).find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        if fields.next()? != name {
            return None;
        }
        let gid = text(fields.nth(1)?)?.parse().ok()?;
        let members = text(fields.next().unwrap_or_default()).unwrap_or_default();
        let members = members.split(',').map(str::trim).filter(|member| !member.is_empty());
        Some(Group { gid, members: members.map(str::to_owned).collect() })
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn open(path: &str) -> Option<BufReader<File>> {
    File::open(path).ok().map(BufReader::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_number_and_damage_is_passed_over() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\n\xff\xfe:x:7:\nshort\nana:x:1000:1000::/:\n";
        assert_eq!(user_name(&passwd[..], 1000).as_deref(), Some("ana"));
        assert_eq!(user_name(&passwd[..], 0).as_deref(), Some("root"));
        assert_eq!(user_name(&passwd[..], 7), None);
        assert_eq!(user_name(&passwd[..], 1001), None);
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = b"candorous:x:1:eve\ncandor:x:990:ana, ben\nlast:x:3:\n";
        let found = group(&groups[..], GROUP).unwrap();
        assert_eq!((found.gid, found.members), (990, vec!["ana".to_owned(), "ben".to_owned()]));
        assert!(group(&b"candorous:x:1:eve\n"[..], GROUP).is_none());
    }

    #[test]
    fn a_process_groups_are_its_effective_one_and_the_others_once() {
        let status = "Name:\tx\nGid:\t7\t8\t7\t7\nGroups:\t4 8 20 \nNSgid:\t1\n";
        assert_eq!(groups_in(status), [8, 4, 20]);
        assert_eq!(groups_in(""), [0; 0]);
        assert!(!groups_of_process(std::process::id()).is_empty());
    }

    #[test]
    fn a_group_without_a_number_gives_nobody_a_right() {
        assert!(group(&b"candor:x:many:ana\n"[..], GROUP).is_none());
    }

    #[tokio::test]
    async fn our_own_process_is_an_administrator_and_is_named_by_the_kernel() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = identify(&one);
        assert_eq!(peer.uid, Some(geteuid().as_raw()));
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.role, Role::Administrator);
        let own: Vec<u32> =
            nix::unistd::getgroups().unwrap().into_iter().map(nix::unistd::Gid::as_raw).collect();
        assert_eq!(groups_of(&one), own);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes, text};

        let passwd = b"root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/:\n".to_vec();
        bytes("peer/unix::user_name", Says::Stands, &[passwd], |table: &[u8]| {
            user_name(table, 1000)
        });
        let groups = b"root:x:0:\ncandor:x:990:ana,ben\n".to_vec();
        bytes("peer/unix::group", Says::Stands, &[groups], |table: &[u8]| {
            group(table, b"candor").map(|group| group.gid)
        });
        text(
            "peer/unix::groups_in",
            Says::Stands,
            &["Gid:\t5\t6\t7\t8\nGroups:\t4 27 1000 \n"],
            groups_in,
        );
    }
}
