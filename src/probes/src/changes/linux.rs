//! Changes as Linux tells them: to who listens on netlink, and by files that come, go or are written.
//!
//! ```text
//! netlink route, group link          an adapter or its link           -> network
//! netlink uevent, group kernel       add@/devices/…\0ACTION=add\0SUBSYSTEM=block\0…
//!                                    block, cpu, memory, …            -> hardware
//!                                    net                              -> network
//!                                    module                           -> protection (a packet filter)
//! netlink selinux, group of the AVC  enforcing or not                 -> protection
//! inotify                            units of firewalls, package databases, a pending restart
//! ```
//! See rtnetlink(7), inotify(7), `lib/kobject_uevent.c` and `security/selinux/netlink.c`.
//!
//! # Invariants
//! - Only what the kernel itself sends counts; of a message nothing is kept.
//! - Addresses are not listened to: nothing that is told depends on one.
//! - Messages that were lost for want of room mean that everything may have changed.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::task::Poll;

use candor_model::Level;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::posture::is_firewall;
use crate::{Change, Changes, Host};

/// `RTMGRP_LINK`, the kernel's own uevents, `SELNL_GRP_AVC`: each is the first group of its family.
const FIRST_GROUP: u32 = 1;

/// No uevent is longer: the kernel's buffer is 2 KiB and its head a path.
const MESSAGE_BYTES: usize = 8 << 10;

/// The most messages that are read at once; after so many, the rest waits for the next look.
const MAX_MESSAGES: usize = 10_000;

/// Where systemd keeps a link for each unit that is active.
const UNITS: &str = "run/systemd/units";

/// Directories, and the files in them that tell of protection; without a list any file does.
const WATCHED: [(&str, &[&str]); 8] = [
    (UNITS, &[]),
    ("run", &["reboot-required"]),
    ("etc/ufw", &["ufw.conf"]),
    ("var/lib/dpkg", &["status"]),
    ("var/lib/rpm", &["rpmdb.sqlite", "Packages"]),
    ("usr/lib/sysimage/rpm", &["rpmdb.sqlite"]),
    ("lib/apk/db", &["installed"]),
    ("var/lib/pacman/local", &[]),
];

/// Everything that is listened to.
#[derive(Debug)]
pub(super) struct Sources {
    sockets: Vec<Listener>,
    files: Option<Files>,
}

impl Sources {
    pub(super) fn open(host: &Host, level: Level) -> Self {
        use SockProtocol::{NetlinkKObjectUEvent, NetlinkRoute, NetlinkSELinux};
        let families: &[SockProtocol] = match level {
            _ if !host.is_live() => &[],
            Level::Security => &[NetlinkSELinux],
            _ => &[NetlinkSELinux, NetlinkRoute, NetlinkKObjectUEvent],
        };
        let sockets = families.iter().filter_map(|family| Listener::open(*family).ok());
        Self { sockets: sockets.collect(), files: Files::watch(host).ok() }
    }

    /// Waits until one of them has something to say. Between two calls nothing wakes by them.
    pub(super) async fn sign(&self) {
        let files = self.files.iter().map(|files| files.inotify.as_fd());
        let all = files.chain(self.sockets.iter().map(|socket| socket.socket.as_fd()));
        let ready: Vec<_> = all.filter_map(|fd| readable(fd).ok()).collect();
        poll_fn(|context| {
            // Each is asked, so that each can wake.
            let is_ready = |fd: &&AsyncFd<_>| fd.poll_read_ready(context).is_ready();
            if ready.iter().filter(is_ready).count() > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes what they have said.
    pub(super) fn take(&mut self) -> Changes {
        let mut changes = Changes::default();
        for socket in &self.sockets {
            socket.take(&mut changes);
        }
        if let Some(files) = &self.files {
            files.take(&mut changes);
        }
        changes
    }
}

/// In the runtime's care until it is dropped.
fn readable(fd: BorrowedFd<'_>) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    #[expect(unsafe_code, reason = "the runtime takes the descriptor's number on trust")]
    // SAFETY: what is borrowed stays open, and the same, for as long as it is borrowed.
    let ready = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(ready?)
}

/// A netlink socket in the first group of its family.
#[derive(Debug)]
struct Listener {
    family: SockProtocol,
    socket: OwnedFd,
}

impl Listener {
    fn open(family: SockProtocol) -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, family)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, FIRST_GROUP))?;
        Ok(Self { family, socket })
    }

    fn take(&self, changes: &mut Changes) {
        let mut buffer = [0; MESSAGE_BYTES];
        for _ in 0..MAX_MESSAGES {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
                Ok((len, Some(sender))) if sender.pid() == 0 => {
                    self.note(buffer.get(..len).unwrap_or_default(), changes);
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => *changes = Changes::ALL,
                Err(_) => return,
            }
        }
    }

    fn note(&self, message: &[u8], changes: &mut Changes) {
        match self.family {
            SockProtocol::NetlinkRoute => changes.add(Change::Network),
            SockProtocol::NetlinkSELinux => changes.add(Change::Protection),
            _ => uevent(message).into_iter().for_each(|change| changes.add(change)),
        }
    }
}

/// What a uevent's subsystem tells.
fn uevent(message: &[u8]) -> Option<Change> {
    let mut fields = message.split(|byte| *byte == 0);
    match fields.find_map(|field| field.strip_prefix(b"SUBSYSTEM="))? {
        b"block" | b"nvme" | b"cpu" | b"memory" | b"node" | b"edac" => Some(Change::Hardware),
        b"net" => Some(Change::Network),
        b"module" => Some(Change::Protection),
        _ => None,
    }
}

/// Directories in which something may come, go or be written.
#[derive(Debug)]
struct Files {
    inotify: Inotify,
    /// With the place in [`WATCHED`].
    watches: Vec<(WatchDescriptor, usize)>,
}

impl Files {
    fn watch(host: &Host) -> nix::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let wanted = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ONLYDIR;
        let watch = |(place, (directory, _)): (usize, &(&str, &[&str]))| {
            let watch = inotify.add_watch(&host.path(directory), wanted).ok()?;
            Some((watch, place))
        };
        let watches = WATCHED.iter().enumerate().filter_map(watch).collect();
        Ok(Self { inotify, watches })
    }

    fn take(&self, changes: &mut Changes) {
        for _ in 0..MAX_MESSAGES {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            let tells = events.iter().any(|event| {
                let name = event.name.as_ref().and_then(|name| name.to_str());
                let is_lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                is_lost || name.is_some_and(|name| self.tells(event.wd, name))
            });
            if tells {
                changes.add(Change::Protection);
            }
        }
    }

    fn tells(&self, watch: WatchDescriptor, name: &str) -> bool {
        let place = self.watches.iter().find(|(known, _)| *known == watch);
        match place.and_then(|(_, place)| WATCHED.get(*place)) {
            Some((UNITS, _)) => is_firewall(name),
            Some((_, [])) => true,
            Some((_, names)) => names.contains(&name),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_uevent_tells_by_its_subsystem() {
        let event = |subsystem: &str| {
            format!("add@/devices/x\0ACTION=add\0SUBSYSTEM={subsystem}\0SEQNUM=7\0")
        };
        for (subsystem, change) in [
            ("block", Some(Change::Hardware)),
            ("cpu", Some(Change::Hardware)),
            ("net", Some(Change::Network)),
            ("module", Some(Change::Protection)),
            ("power_supply", None),
        ] {
            assert_eq!(uevent(event(subsystem).as_bytes()), change, "{subsystem}");
        }
        for malformed in [&b""[..], b"\0\0\0", b"add@/x\0ACTION=add\0", &[0xff; 64]] {
            assert_eq!(uevent(malformed), None);
        }
    }

    /// A host with some of the directories.
    fn host() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for directory in [UNITS, "var/lib/dpkg"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let host = Host::new(root.path());
        (root, host)
    }

    /// What a thing done to a host's files tells.
    fn told(act: impl FnOnce(&Host)) -> Changes {
        let (_root, host) = host();
        let mut sources = Sources::open(&host, Level::Full);
        assert!(sources.take().is_empty() && sources.sockets.is_empty());
        act(&host);
        let told = sources.take();
        assert!(sources.take().is_empty(), "told once");
        told
    }

    #[test]
    fn what_tells_of_protection_is_told_and_what_lies_beside_it_is_not() {
        let protection = Changes { protection: true, ..Changes::default() };
        let write = |path: &'static str| told(|host| fs::write(host.path(path), "x").unwrap());
        assert_eq!(write("run/reboot-required"), protection);
        assert_eq!(write("run/systemd/units/invocation:nftables.service"), protection);
        assert_eq!(write("var/lib/dpkg/status"), protection);
        let moved = told(|host| {
            fs::write(host.path("var/lib/dpkg/status-new"), "x").unwrap();
            fs::rename(host.path("var/lib/dpkg/status-new"), host.path("var/lib/dpkg/status"))
                .unwrap();
        });
        assert_eq!(moved, protection);
        for beside in ["run/utmp", "run/systemd/units/invocation:cron.service", "var/lib/dpkg/lock"]
        {
            assert!(write(beside).is_empty(), "{beside}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_waits_for_a_sign_gathers_and_then_rests() {
        let (_root, host) = host();
        let mut watch = crate::Watch::open(&host, Level::Security);
        let started = tokio::time::Instant::now();
        fs::write(host.path("run/reboot-required"), "x").unwrap();
        assert!(watch.changed().await.has(Change::Protection));
        assert!(started.elapsed() >= super::super::SETTLE);
        fs::remove_file(host.path("run/reboot-required")).unwrap();
        assert!(watch.changed().await.has(Change::Protection));
        assert!(started.elapsed() >= super::super::REST + super::super::SETTLE * 2);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "changes/linux::uevent",
            Says::Stands,
            &[b"add@/devices/x\0ACTION=add\0SUBSYSTEM=net\0".to_vec()],
            uevent,
        );
    }
}
