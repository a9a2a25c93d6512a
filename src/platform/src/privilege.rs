//! What the agent may do beyond an ordinary user, and when: a right that the service manager gave it
//! sleeps, and is awake only on the thread and for the moment that needs it.
//!
//! # Invariants
//! - Nothing is gained here: only what this process was started with can be woken.
//! - [`Raised`] holds for the thread that asked, and ends with it.
//! - Root and an ordinary user without rights are left as they are.
//!
//! On failure: the right sleeps on, and what needs it is what the host does not tell.

use std::marker::PhantomData;

#[cfg_attr(unix, path = "privilege/unix.rs")]
#[cfg_attr(windows, path = "privilege/windows.rs")]
mod imp;

/// While it lives, this thread may read what other users own.
#[derive(Debug)]
#[must_use = "the right sleeps again when this is dropped"]
pub struct Raised {
    before: Option<imp::Rights>,
    /// Rights belong to a thread: this must not leave it.
    _thread: PhantomData<*const ()>,
}

/// Puts every right to sleep. Called once by the daemon, before its first thread, which inherit it.
pub fn lower_privileges() {
    imp::lower();
}

/// Wakes what this process was given of the right to read what other users own.
pub fn raise_to_read() -> Raised {
    Raised { before: imp::raise_to_read(), _thread: PhantomData }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            // What was awake before may always be set again.
            let _ = imp::set(&before);
        }
    }
}
