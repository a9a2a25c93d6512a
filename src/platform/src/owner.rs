//! Acting as the owner of a directory: what root's `agentctl` does in the agent's private directory must
//! leave files that the agent itself can use.
//!
//! On failure: the system's error.

use std::io;
use std::path::Path;

/// From now on this process touches files as the owner of `dir`, where it is root and that is somebody
/// else; otherwise nothing changes. Meant for the last step of a command: it is not taken back.
///
/// # Errors
/// The directory cannot be looked at, or the system refuses.
pub fn act_as_owner(dir: &Path) -> io::Result<()> {
    imp::act_as_owner(dir)
}

#[cfg(unix)]
mod imp {
    use std::io;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use nix::unistd::{Gid, Uid, geteuid, setegid, seteuid, setgroups};

    pub(super) fn act_as_owner(dir: &Path) -> io::Result<()> {
        let facts = std::fs::metadata(dir)?;
        if geteuid().is_root() && facts.uid() != 0 {
            // Groups first: without root's id they could not be given up any more.
            setgroups(&[])?;
            setegid(Gid::from_raw(facts.gid()))?;
            seteuid(Uid::from_raw(facts.uid()))?;
        }
        Ok(())
    }
}

/// Rights on Windows are those of the access list, which the directory hands on to its files.
#[cfg(windows)]
mod imp {
    use std::io;
    use std::path::Path;

    pub(super) fn act_as_owner(dir: &Path) -> io::Result<()> {
        std::fs::metadata(dir).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_directory_of_ones_own_nothing_changes() {
        let dir = tempfile::tempdir().unwrap();
        act_as_owner(dir.path()).unwrap();
        std::fs::write(dir.path().join("x"), "x").unwrap();
        assert!(act_as_owner(&dir.path().join("absent")).is_err());
    }
}
