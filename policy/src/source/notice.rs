//! Notices: what to watch so that no change of a layer is missed, and the wait for it.
//!
//! [`points`] names directories and, in each, the names that matter; the file of each system
//! waits for changes there. Files themselves are not watched: a file that is written counts when
//! its writer closes it, so that half a file is not read.
//!
//! # Invariants
//! - Every directory on the way from the root to a file is a point, and so is each that holds a
//!   link on that way: whichever of them is renamed, swapped, removed or made, it is noticed.
//! - Where a part of the way does not exist, its nearest existing parent is a point.
//!
//! On failure: [`Notice::arm`] says that it could not watch everything; the watch then looks by
//! itself, once a second.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::file::drop_ins;

#[cfg_attr(unix, path = "notice/linux.rs")]
#[cfg_attr(windows, path = "notice/windows.rs")]
mod imp;

#[cfg(windows)]
pub(crate) use imp::Event;
pub(crate) use imp::{Notice, Waker};

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something changed at a point.
    Changed,
    /// The time is over.
    Time,
    /// The waker was used.
    Asked,
}

/// What matters in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Every name.
    All,
    /// These names.
    Some(BTreeSet<OsString>),
}

impl Names {
    /// Whether a change of a name matters. A change without a name is one of the directory itself.
    pub(crate) fn matter(&self, name: Option<&OsStr>) -> bool {
        match (self, name) {
            (Self::All, _) | (_, None) => true,
            // Windows' names do not tell upper from lower case.
            (Self::Some(names), Some(name)) if cfg!(windows) => {
                names.iter().any(|known| known.eq_ignore_ascii_case(name))
            }
            (Self::Some(names), Some(name)) => names.contains(name),
        }
    }
}

/// Directories with what matters in them.
pub(crate) type Points = BTreeMap<PathBuf, Names>;

/// A chain of links longer than this is a loop; Linux has the same limit.
const MAX_LINKS: usize = 40;

/// The points of some files and of some directories of drop-ins.
pub(crate) fn points(root: &Path, files: &[PathBuf], directories: &[PathBuf]) -> Points {
    let mut points = Points::new();
    for file in files {
        walk(root, file, &mut points);
    }
    for directory in directories {
        if let Some(real) = walk(root, directory, &mut points).filter(|real| real.is_dir()) {
            points.insert(real, Names::All);
        }
        for name in drop_ins(directory).unwrap_or_default() {
            walk(root, &directory.join(name), &mut points);
        }
    }
    points
}

/// Goes from the root to a path as the system does, and notes each directory on the way. Returns
/// where it ends, if the whole way exists.
fn walk(root: &Path, path: &Path, points: &mut Points) -> Option<PathBuf> {
    let (mut at, rest) = match path.strip_prefix(root) {
        Ok(rest) => (root.to_owned(), rest.to_owned()),
        Err(_) => (PathBuf::new(), path.to_owned()),
    };
    let mut steps: VecDeque<OsString> = steps(&rest);
    let mut links = 0;
    while let Some(step) = steps.pop_front() {
        match Path::new(&step).components().next() {
            None | Some(Component::CurDir) => continue,
            Some(Component::Prefix(_) | Component::RootDir) => {
                at.push(&step);
                continue;
            }
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            Some(Component::Normal(_)) => {}
        }
        note(points, &at, &step);
        let next = at.join(&step);
        if next.symlink_metadata().ok()?.is_symlink() {
            links += 1;
            let target = std::fs::read_link(&next).ok().filter(|_| links <= MAX_LINKS)?;
            for step in self::steps(&target).into_iter().rev() {
                steps.push_front(step);
            }
        } else {
            at = next;
        }
    }
    Some(at)
}

fn steps(path: &Path) -> VecDeque<OsString> {
    path.components().map(|step| step.as_os_str().to_owned()).collect()
}

fn note(points: &mut Points, directory: &Path, name: &OsStr) {
    let names = points.entry(directory.to_owned()).or_insert_with(|| Names::Some(BTreeSet::new()));
    if let Names::Some(names) = names {
        names.insert(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(points: &Points, root: &Path, directory: &str) -> Vec<String> {
        match points.get(&root.join(directory)) {
            None => vec![],
            Some(Names::All) => vec!["*".into()],
            Some(Names::Some(names)) => {
                names.iter().map(|name| name.to_string_lossy().into_owned()).collect()
            }
        }
    }

    #[test]
    fn every_directory_on_the_way_is_a_point_and_the_nearest_parent_of_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("etc/candor")).unwrap();
        let policy = root.join("etc/candor/policy.d");
        let file = root.join("etc/candor/agent.toml");
        let missing = points(root, std::slice::from_ref(&file), std::slice::from_ref(&policy));
        assert_eq!(names(&missing, root, ""), ["etc"]);
        assert_eq!(names(&missing, root, "etc/candor"), ["agent.toml", "policy.d"]);
        assert_eq!(names(&missing, root, "etc/candor/policy.d"), Vec::<String>::new());
        std::fs::create_dir(&policy).unwrap();
        let present = points(root, &[file], std::slice::from_ref(&policy));
        assert_eq!(names(&present, root, "etc/candor/policy.d"), ["*"]);
    }

    #[cfg(unix)]
    #[test]
    fn each_directory_that_holds_a_link_on_the_way_is_a_point() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("policy.d")).unwrap();
        std::fs::create_dir_all(root.join("opt/v1")).unwrap();
        std::fs::write(root.join("opt/v1/p.toml"), "").unwrap();
        symlink("v1", root.join("opt/current")).unwrap();
        symlink(root.join("opt/current/p.toml"), root.join("policy.d/p.toml")).unwrap();
        symlink("loop.toml", root.join("policy.d/loop.toml")).unwrap();
        let points = points(root, &[], &[root.join("policy.d")]);
        assert_eq!(names(&points, root, "policy.d"), ["*"]);
        assert_eq!(names(&points, root, "opt"), ["current", "v1"]);
        assert_eq!(names(&points, root, "opt/v1"), ["p.toml"]);
    }
}
