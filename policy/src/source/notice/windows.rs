//! Notices by directory changes (crate notify) and by registry notifications, waited for together.
//!
//! # Invariants
//! - Each directory is watched for itself: a recursive watch loses changes in directories that
//!   existed before it.
//! - A registry notification fires once: [`Notice::arm`] makes new ones, and is called before the
//!   values are read.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use windows_sys::Win32::Foundation::{
    CloseHandle, HANDLE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, SetEvent, WaitForMultipleObjects,
};

use super::{Points, Woken};
use crate::source::registry::{KeyWatch, OPERATOR_KEY, POLICY_KEY, WINDOWS_KEY};

/// An event that one wait resets.
#[derive(Debug)]
pub(crate) struct Event(HANDLE);

#[expect(unsafe_code, reason = "a bare handle says nothing about threads")]
// SAFETY: an event's handle may be set, waited for and closed by any thread of its process.
unsafe impl Send for Event {}
#[expect(unsafe_code, reason = "a bare handle says nothing about threads")]
// SAFETY: as above; setting and waiting at the same time is what events are for.
unsafe impl Sync for Event {}

impl Event {
    #[expect(unsafe_code, reason = "no kept crate wraps events")]
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: null attributes and a null name are allowed; the handle is checked.
        let handle = unsafe { CreateEventW(ptr::null(), 0, 0, ptr::null()) };
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }

    pub(crate) fn handle(&self) -> HANDLE {
        self.0
    }

    #[expect(unsafe_code, reason = "no kept crate wraps events")]
    fn set(&self) {
        // SAFETY: the handle is open as long as `self` lives. It cannot fail on an open event.
        unsafe { SetEvent(self.0) };
    }
}

impl Drop for Event {
    #[expect(unsafe_code, reason = "no kept crate wraps events")]
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody uses it after this.
        unsafe { CloseHandle(self.0) };
    }
}

/// Wakes a waiting [`Notice`].
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<Event>);

impl Waker {
    pub(crate) fn wake(&self) {
        self.0.set();
    }
}

/// The watch on some points.
#[derive(Debug)]
pub(crate) struct Notice {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    points: Arc<Mutex<Points>>,
    changed: Arc<Event>,
    waker: Waker,
    keys: Vec<KeyWatch>,
    has_root: bool,
}

impl Notice {
    /// With a root no registry key counts, so none is watched.
    pub(crate) fn new(has_root: bool) -> io::Result<Self> {
        let changed = Arc::new(Event::new()?);
        let points: Arc<Mutex<Points>> = Arc::default();
        let (set, filter) = (Arc::clone(&changed), Arc::clone(&points));
        let watcher = notify::recommended_watcher(move |event| {
            if matters(&event, &filter.lock().unwrap_or_else(PoisonError::into_inner)) {
                set.set();
            }
        })
        .map_err(io::Error::other)?;
        let waker = Waker(Arc::new(Event::new()?));
        let places = BTreeSet::new();
        Ok(Self { watcher, watched: places, points, changed, waker, keys: Vec::new(), has_root })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches these points and no others, and the registry keys anew.
    pub(crate) fn arm(&mut self, points: &Points) -> io::Result<()> {
        points.clone_into(&mut self.points.lock().unwrap_or_else(PoisonError::into_inner));
        // A directory that was removed and made again has the same path and needs a new watch.
        for old in std::mem::take(&mut self.watched) {
            // It fails where the directory is gone, and then there is nothing to end.
            let _ = self.watcher.unwatch(&old);
        }
        let mut failed = None;
        for directory in points.keys().filter(|directory| directory.is_dir()) {
            match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(directory.clone());
                }
                Err(error) => failed = Some(io::Error::other(error)),
            }
        }
        if !self.has_root {
            let keys = [POLICY_KEY, OPERATOR_KEY, WINDOWS_KEY].into_iter().map(KeyWatch::new);
            self.keys = keys.collect::<io::Result<_>>()?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Waits until something changes, the waker is used, or the time is over.
    #[expect(unsafe_code, reason = "no kept crate waits for several events")]
    pub(crate) fn wait(&self, time: Option<Duration>) -> Woken {
        let mut handles = vec![self.waker.0.handle(), self.changed.handle()];
        handles.extend(self.keys.iter().map(|key| key.event().handle()));
        let count = u32::try_from(handles.len()).unwrap_or(0);
        // SAFETY: every handle is open as long as `self`, and the pointer and count are the vector's.
        let woken = unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, timeout(time)) };
        match woken {
            WAIT_OBJECT_0 => Woken::Asked,
            WAIT_TIMEOUT => Woken::Time,
            WAIT_FAILED => {
                // It cannot fail on open events; should it, the wait must not spin.
                std::thread::sleep(time.unwrap_or(Duration::from_secs(1)));
                Woken::Time
            }
            _ => Woken::Changed,
        }
    }
}

fn timeout(time: Option<Duration>) -> u32 {
    let milliseconds = time.map(|time| time.as_micros().div_ceil(1000));
    milliseconds.map_or(INFINITE, |ms| u32::try_from(ms).unwrap_or(INFINITE - 1))
}

/// Whether an event is a change of a name that matters. What is lost or unclear counts as one.
fn matters(event: &notify::Result<notify::Event>, points: &Points) -> bool {
    let Ok(event) = event else { return true };
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    event.paths.is_empty()
        || event.paths.iter().any(|path| {
            let names = path.parent().and_then(|parent| points.get(parent));
            names.is_some_and(|names| names.matter(path.file_name()))
        })
}
