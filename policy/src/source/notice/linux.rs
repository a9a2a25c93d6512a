//! Notices by inotify.
//!
//! The kernel's own interface and not a library over it, because the state directory is a point
//! and holds the spool: a watch that reports each write and each open would wake the agent at
//! every commit.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::{Names, Points, Woken};

/// Wakes a waiting [`Notice`].
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<EventFd>);

impl Waker {
    pub(crate) fn wake(&self) {
        // It fails only at 2^64 unread wakes, and then the waiter is awake.
        let _ = self.0.write(1);
    }
}

/// The watch on some points.
#[derive(Debug)]
pub(crate) struct Notice {
    inotify: Inotify,
    watched: HashMap<WatchDescriptor, Names>,
    waker: Waker,
}

impl Notice {
    pub(crate) fn new(_has_root: bool) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let waker = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { inotify, watched: HashMap::new(), waker: Waker(Arc::new(waker)) })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches these points and no others. A point that vanished meanwhile is not an error: its
    /// parent, armed before or after, tells.
    pub(crate) fn arm(&mut self, points: &Points) -> io::Result<()> {
        let mut watched = HashMap::with_capacity(points.len());
        let mut failed = None;
        for (directory, names) in points {
            match self.inotify.add_watch(directory, mask()) {
                Ok(descriptor) => merge(&mut watched, descriptor, names),
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(error) => failed = Some(error),
            }
        }
        for old in self.watched.keys().filter(|old| !watched.contains_key(old)) {
            // The kernel has removed it already where the directory is gone.
            let _ = self.inotify.rm_watch(*old);
        }
        self.watched = watched;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Waits until something changes at a point, the waker is used, or the time is over.
    pub(crate) fn wait(&self, time: Option<Duration>) -> Woken {
        let deadline = time.map(|time| Instant::now() + time);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let mut ready = [
                PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.waker.0.as_fd(), PollFlags::POLLIN),
            ];
            let count = poll(&mut ready, timeout(left));
            let asked = ready[1].any().unwrap_or(false);
            if asked && self.waker.0.read().is_ok() {
                return Woken::Asked;
            }
            if count == Ok(0) && left.is_some_and(|left| left.is_zero()) {
                return Woken::Time;
            }
            if self.has_changed() {
                return Woken::Changed;
            }
        }
    }

    fn has_changed(&self) -> bool {
        let mut changed = false;
        while let Ok(events) = self.inotify.read_events() {
            changed |= events.iter().any(|event| self.matters(event));
        }
        changed
    }

    fn matters(&self, event: &InotifyEvent) -> bool {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return true;
        }
        // Told after a watch is removed; what led to it was told before.
        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            return false;
        }
        self.watched.get(&event.wd).is_some_and(|names| names.matter(event.name.as_deref()))
    }
}

fn mask() -> AddWatchFlags {
    AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}

/// Two paths may lead to one directory, which has one watch.
fn merge(
    watched: &mut HashMap<WatchDescriptor, Names>,
    descriptor: WatchDescriptor,
    names: &Names,
) {
    let merged = match (watched.remove(&descriptor), names) {
        (Some(Names::Some(mut old)), Names::Some(new)) => {
            old.extend(new.iter().cloned());
            Names::Some(old)
        }
        (Some(Names::All), _) | (_, Names::All) => Names::All,
        (None, new) => new.clone(),
    };
    watched.insert(descriptor, merged);
}

/// Rounded up, so that a wait does not spin through its last millisecond.
fn timeout(left: Option<Duration>) -> PollTimeout {
    let Some(left) = left else { return PollTimeout::NONE };
    let milliseconds = left.as_micros().div_ceil(1000);
    i32::try_from(milliseconds).ok().and_then(|ms| ms.try_into().ok()).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_does_not_matter_is_not_told_and_a_write_is_told_when_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::Some(BTreeSet::from(["operator.toml".into()]));
        let mut notice = Notice::new(true).unwrap();
        notice.arm(&Points::from([(dir.path().to_owned(), names)])).unwrap();
        std::fs::write(dir.path().join("spool.db-wal"), "rows").unwrap();
        assert_eq!(notice.wait(Some(Duration::ZERO)), Woken::Time);
        let file = std::fs::File::create(dir.path().join("operator.toml")).unwrap();
        assert_eq!(notice.wait(Some(Duration::ZERO)), Woken::Changed, "it was made");
        std::io::Write::write_all(&mut &file, b"half").unwrap();
        assert_eq!(notice.wait(Some(Duration::ZERO)), Woken::Time);
        std::fs::read(dir.path().join("operator.toml")).unwrap();
        assert_eq!(notice.wait(Some(Duration::ZERO)), Woken::Time, "reading changes nothing");
        drop(file);
        assert_eq!(notice.wait(Some(Duration::ZERO)), Woken::Changed, "it was closed");
    }

    #[test]
    fn the_waker_wakes_and_points_that_are_no_more_are_not_watched() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut notice = Notice::new(true).unwrap();
        notice.arm(&Points::from([(old.path().to_owned(), Names::All)])).unwrap();
        notice.arm(&Points::from([(new.path().to_owned(), Names::All)])).unwrap();
        std::fs::write(old.path().join("file"), "").unwrap();
        assert_eq!(notice.wait(Some(Duration::ZERO)), Woken::Time);
        notice.waker().wake();
        assert_eq!(notice.wait(None), Woken::Asked);
        std::fs::write(new.path().join("file"), "").unwrap();
        assert_eq!(notice.wait(None), Woken::Changed);
    }

    #[test]
    fn a_directory_that_vanished_before_it_is_watched_is_no_error() {
        let mut notice = Notice::new(true).unwrap();
        let points = Points::from([("/nowhere/at/all".into(), Names::All)]);
        assert!(notice.arm(&points).is_ok());
    }
}
