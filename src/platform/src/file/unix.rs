//! Files by mode and owner; the Linux half of `file`.
//!
//! # Invariants
//! - A mode is set on the open file before anything is written into it.
//! - Where a link could redirect a write, it is not followed.
//! - What root puts into the private directory of another user (the agent's state) becomes that
//!   user's: the agent must be able to read what root's `agentctl` wrote.
//!
//! On failure: the system's error, for the facade to name.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::Path;

use nix::libc::O_NOFOLLOW;
use nix::unistd::geteuid;

use super::Trust;

pub(super) fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    give_away(&file, path)?;
    Ok(file)
}

pub(super) fn open_append(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(mode).custom_flags(O_NOFOLLOW);
    let file = options.open(path)?;
    let facts = file.metadata()?;
    // Only what is new: an old file may have another name elsewhere.
    if facts.len() == 0 && facts.nlink() == 1 {
        give_away(&file, path)?;
    }
    Ok(file)
}

/// Gives what root wrote to the one whose private directory it lies in.
fn give_away(file: &File, path: &Path) -> io::Result<()> {
    match private_owner(path) {
        Some((uid, gid)) => fchown(file, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// Where we are root and the directory of `path` is another user's alone: his id and his group.
fn private_owner(path: &Path) -> Option<(u32, u32)> {
    let facts = std::fs::metadata(super::parent(path)).ok()?;
    let is_private = facts.mode() & 0o7777 == 0o700;
    let is_another = is_private && facts.uid() != 0 && geteuid().is_root();
    is_another.then(|| (facts.uid(), facts.gid()))
}

pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The owner, where it is not us.
pub(super) fn create_private_dir(path: &Path) -> io::Result<Option<String>> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(error),
    }
    let dir = File::open(path)?;
    let facts = dir.metadata()?;
    if facts.uid() != geteuid().as_raw() {
        return Ok(Some(format!("uid {}", facts.uid())));
    }
    if facts.mode() & 0o7777 != 0o700 {
        dir.set_permissions(Permissions::from_mode(0o700))?;
    }
    Ok(None)
}

pub(super) fn trust(path: &Path) -> io::Result<Trust> {
    std::fs::metadata(path).map(|facts| judge(&facts, path))
}

pub(super) fn trust_of(file: &File, path: &Path) -> io::Result<Trust> {
    file.metadata().map(|facts| judge(&facts, path))
}

/// Root judges what lies in the agent's private directory as the agent does.
fn judge(facts: &Metadata, path: &Path) -> Trust {
    let (uid, mode) = (facts.uid(), facts.mode() & 0o7777);
    let is_agents = || private_owner(path).is_some_and(|(owner, _)| owner == uid);
    if uid != 0 && uid != geteuid().as_raw() && !is_agents() {
        Trust::WrongOwner { owner: format!("uid {uid}") }
    } else if mode & 0o022 != 0 {
        Trust::WritableByOthers { by: format!("mode {mode:04o}") }
    } else {
        Trust::Trusted
    }
}

#[cfg(test)]
mod tests {
    use crate::{FileError, append_line, create_private_dir, trust, write_atomic};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn modes_are_exact_and_a_private_directory_is_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        write_atomic(&file, b"x", 0o666).unwrap();
        assert_eq!(mode(&file), 0o666, "whatever the umask");
        let private = dir.path().join("private");
        std::fs::create_dir(&private).unwrap();
        std::fs::set_permissions(&private, Permissions::from_mode(0o777)).unwrap();
        create_private_dir(&private).unwrap();
        assert_eq!(mode(&private), 0o700);
    }

    #[test]
    fn what_others_may_write_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.toml");
        write_atomic(&file, b"x", 0o664).unwrap();
        assert_eq!(trust(&file).unwrap(), Trust::WritableByOthers { by: "mode 0664".into() });
        write_atomic(&file, b"x", 0o602).unwrap();
        assert_eq!(trust(&file).unwrap(), Trust::WritableByOthers { by: "mode 0602".into() });
    }

    #[test]
    fn what_belongs_to_somebody_else_is_not_trusted_nor_used() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can give a file away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.toml");
        write_atomic(&file, b"x", 0o600).unwrap();
        std::os::unix::fs::chown(&file, Some(4321), None).unwrap();
        assert_eq!(trust(&file).unwrap(), Trust::WrongOwner { owner: "uid 4321".into() });
        let foreign = dir.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::os::unix::fs::chown(&foreign, Some(4321), None).unwrap();
        let error = create_private_dir(&foreign).unwrap_err();
        assert!(matches!(error, FileError::ForeignDir { .. }), "{error:?}");
    }

    #[test]
    fn what_root_writes_into_a_private_directory_becomes_its_owners() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can give a file away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let owner = |name: &str| {
            let facts = std::fs::metadata(dir.path().join(name)).unwrap();
            (facts.uid(), facts.gid())
        };
        let write = |name: &str| {
            write_atomic(&dir.path().join(name), b"x", 0o644).unwrap();
            append_line(&dir.path().join(format!("{name}.log")), "x", 0o600).unwrap();
            append_line(&dir.path().join(format!("{name}.log")), "y", 0o600).unwrap();
        };
        std::os::unix::fs::chown(dir.path(), Some(4321), Some(4322)).unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        write("private");
        assert_eq!((owner("private"), owner("private.log")), ((4321, 4322), (4321, 4322)));
        assert_eq!(trust(&dir.path().join("private")).unwrap(), Trust::Trusted);
        std::os::unix::fs::chown(dir.path().join("private"), Some(4323), None).unwrap();
        assert!(matches!(trust(&dir.path().join("private")).unwrap(), Trust::WrongOwner { .. }));
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        write("open");
        assert_eq!((owner("open"), owner("open.log")), ((0, 0), (0, 0)));
    }

    #[test]
    fn an_old_file_with_another_name_elsewhere_is_not_given_away() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can give a file away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (outside, private) = (dir.path().join("outside"), dir.path().join("private"));
        std::fs::write(&outside, b"").unwrap();
        std::fs::create_dir(&private).unwrap();
        std::fs::hard_link(&outside, private.join("audit.log")).unwrap();
        std::fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&private, Some(4321), None).unwrap();
        append_line(&private.join("audit.log"), "x", 0o600).unwrap();
        assert_eq!(std::fs::metadata(&outside).unwrap().uid(), 0);
    }

    #[test]
    fn links_are_replaced_by_a_write_and_refused_by_an_append() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, b"precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(append_line(&link, "x", 0o600).is_err());
        write_atomic(&link, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
        assert!(!std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
