//! Builds a recorded machine: a directory with the files that the real one has.
//!
//! # Invariants
//! - Links are relative, as in `sysfs`, so that they stay in the tree.

#![expect(clippy::unwrap_used, reason = "a tree that cannot be built fails its test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// The tree of one machine.
pub(crate) struct Tree(TempDir);

/// A cache of a processor: level, type, size, who shares it.
pub(crate) type Cache<'a> = (u32, &'a str, &'a str, &'a str);

impl Tree {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    /// A file; sysfs ends its values with a newline.
    pub(crate) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut content = content.as_ref().to_vec();
        if !content.ends_with(b"\n") && !content.ends_with(b"\0") {
            content.push(b'\n');
        }
        fs::write(path, content).unwrap();
        self
    }

    /// A file as it is, to the byte.
    pub(crate) fn bytes(&self, path: &str, content: &[u8]) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Several files of one directory.
    pub(crate) fn files(&self, directory: &str, files: &[(&str, &str)]) -> &Self {
        for (name, content) in files {
            self.file(&format!("{directory}/{name}"), content);
        }
        self
    }

    pub(crate) fn directory(&self, path: &str) -> &Self {
        fs::create_dir_all(self.root().join(path)).unwrap();
        self
    }

    /// A link to another path of the tree, written relative to its own place.
    pub(crate) fn link(&self, path: &str, to: &str) -> &Self {
        let up = "../".repeat(path.matches('/').count());
        let place = self.root().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        symlink(format!("{up}{to}"), place).unwrap();
        self
    }

    pub(crate) fn modified(&self, path: &str, unix_seconds: u64) -> &Self {
        let file = fs::File::options().append(true).open(self.root().join(path)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds)).unwrap();
        self
    }

    /// A block device at its place below `sys/devices`, with its link in `sys/block`.
    pub(crate) fn block(&self, place: &str, files: &[(&str, &str)]) -> &Self {
        let name = place.rsplit('/').next().unwrap();
        let place = format!("sys/devices/{place}");
        self.directory(&place).files(&place, files);
        self.link(&format!("sys/block/{name}"), &place);
        self.link(&format!("sys/class/block/{name}"), &place)
    }

    /// A network adapter at its place below `sys/devices`, with its link in `sys/class/net` and,
    /// where it hangs on a bus, its driver and its bus.
    pub(crate) fn net(&self, place: &str, device: Option<(&str, &str)>, files: &[(&str, &str)]) {
        let name = place.rsplit('/').next().unwrap();
        let place = format!("sys/devices/{place}");
        self.directory(&place).files(&place, files);
        self.file(&format!("{place}/address"), crate::SECRET);
        self.link(&format!("sys/class/net/{name}"), &place);
        if let Some((driver, bus)) = device {
            let parent = place.rsplit_once("/net/").unwrap().0;
            self.link(&format!("{parent}/driver"), &format!("sys/bus/{bus}/drivers/{driver}"));
            self.link(&format!("{parent}/subsystem"), &format!("sys/bus/{bus}"));
            self.directory(&format!("sys/bus/{bus}/drivers/{driver}"));
            self.link(&format!("{place}/device"), parent);
        }
    }

    /// A processor that is switched on.
    pub(crate) fn cpu(&self, number: u32, package: &str, threads: &str, caches: &[Cache]) -> &Self {
        let cpu = format!("sys/devices/system/cpu/cpu{number}");
        self.file(&format!("{cpu}/topology/physical_package_id"), package);
        self.file(&format!("{cpu}/topology/core_cpus_list"), threads);
        for (index, (level, kind, size, shared)) in caches.iter().enumerate() {
            let level = level.to_string();
            let files =
                [("level", &*level), ("type", kind), ("size", size), ("shared_cpu_list", shared)];
            self.files(&format!("{cpu}/cache/index{index}"), &files);
        }
        self
    }
}
