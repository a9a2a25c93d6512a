//! A machine's directory for `--host-root`: one that is kept as text, and what a test adds to it.
//!
//! # Invariants
//! - Links are relative, as in `sysfs`, so that they stay in the tree.

#![expect(clippy::unwrap_used, reason = "a tree that cannot be built fails its test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::{archive, golden};

/// The tree of one machine.
pub(crate) struct Tree(TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One of the machines beside this file.
    pub(crate) fn recorded(name: &str) -> Self {
        let text = fs::read_to_string(golden::place(name).join("tree.txt")).expect(name);
        let tree = Self::new();
        archive::unpack(&text, tree.root()).expect(name);
        tree
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
}
