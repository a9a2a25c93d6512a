//! One agent for one state directory: a lock that the system gives back when its holder dies.
//! Taken before the store is opened.
//!
//! # Invariants
//! - The lock ends with the process, however it ends; no stale file can keep an agent from starting.
//! - Asking who holds it never takes it, not even for a moment.
//!
//! On failure: [`FileError::Lock`]; somebody else's lock is not a failure but `None`.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::{FileError, create_private_dir};

#[cfg_attr(unix, path = "lock/unix.rs")]
#[cfg_attr(windows, path = "lock/windows.rs")]
mod imp;

const NAME: &str = "lock";

/// The right to be the only agent on a state directory, until dropped.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock of `state_dir`, which is made, private, where it is missing. `None`: another
    /// process has it.
    ///
    /// # Errors
    /// Where the directory or the lock file cannot be made.
    pub fn take(state_dir: &Path) -> Result<Option<Self>, FileError> {
        create_private_dir(state_dir)?;
        let path = state_dir.join(NAME);
        let failed = |source| FileError::Lock { path: path.clone(), source };
        let Some(mut file) = imp::take(&path).map_err(failed)? else { return Ok(None) };
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Some(Self { _file: file }))
    }

    /// The process that holds the lock of `state_dir`; `None` where nobody does, or where the
    /// caller may not look.
    #[must_use]
    pub fn holder(state_dir: &Path) -> Option<u32> {
        imp::holder(&state_dir.join(NAME))
    }
}

/// The process id in the lock file.
fn pid_in(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        assert_eq!(InstanceLock::holder(&state), None, "nothing there yet");
        let first = InstanceLock::take(&state).unwrap().expect("free");
        assert_eq!(InstanceLock::holder(&state), Some(std::process::id()));
        assert!(InstanceLock::take(&state).unwrap().is_none());
        assert_eq!(InstanceLock::holder(&state), Some(std::process::id()), "it still says who");
        drop(first);
        assert_eq!(InstanceLock::holder(&state), None, "what a dead holder wrote does not count");
        assert!(InstanceLock::take(&state).unwrap().is_some());
    }

    #[test]
    fn what_is_no_number_is_no_holder() {
        assert_eq!(pid_in("77\n"), Some(77));
        assert_eq!(pid_in("seventy"), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("lock::pid_in", Says::Stands, &["4711\n"], pid_in);
    }
}
