//! A file system that never answers: a real FUSE mount that nobody serves, told as a local disk. The agent
//! leaves its probe behind, names the mount, and is late with nothing else.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use candor_tests::{Agent, Settings, eventually, need};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;

use crate::tree::Tree;

/// A mount; it ends with this, and with it everything that waits for it.
struct Silent {
    target: PathBuf,
    _device: File,
}

impl Silent {
    /// Mounts it; `None` where this user may not. The kernel's first request is never read, so that
    /// whoever comes near waits.
    fn mount(target: &Path) -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        mount(Some("silent"), target, Some("fuse"), MsFlags::empty(), Some(OsStr::new(&options)))
            .ok()?;
        Some(Self { target: target.to_owned(), _device: device })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = umount2(&self.target, MntFlags::MNT_DETACH);
    }
}

fn tree() -> Tree {
    let tree = Tree::recorded("kvm");
    tree.directory("mnt/silent");
    std::fs::remove_file(tree.root().join("proc/1/mountinfo")).expect("the guest has one");
    tree.file("proc/1/mountinfo", "30 1 254:9 / /mnt/silent rw - ext4 /dev/vdb1 rw\n");
    tree.file("proc/uptime", "5000.00 9000.00\n");
    tree.file("proc/stat", "cpu  100 0 50 800 0 0 0 50 0 0\ncpu0 100 0 50 800 0 0 0 50 0 0\n");
    tree
}

fn probe<'a>(status: &'a Value, name: &str) -> &'a Value {
    let probes = status["probes"].as_array().expect("probes");
    probes.iter().find(|probe| probe["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn a_mount_that_never_answers_is_named_and_makes_nothing_else_late() {
    let tree = tree();
    let silent = Silent::mount(&tree.root().join("mnt/silent"));
    if !need("root and /dev/fuse", silent.is_some()) {
        return;
    }
    let settings = Settings::level(2)
        .table("upload", "interval = \"1s\"")
        .table("sample", "interval = \"200ms\"")
        .table("spool", "keep_without_endpoint = true");
    let mut agent = Agent::prepare(&settings).on_host(tree.root());
    agent.run();
    let status = eventually("status names the mount", || {
        let status = agent.status();
        let error =
            probe(&status, "filesystem")["last_error"].as_str().unwrap_or_default().to_owned();
        error.contains("/mnt/silent").then_some(status)
    });
    assert!(probe(&status, "cpu")["last_error"].is_null(), "{status}");
    let before = probe(&status, "cpu")["last_success"].clone();
    eventually("the others go on", || {
        let status = agent.status();
        let cpu = probe(&status, "cpu");
        (cpu["last_success"].is_string()
            && cpu["last_success"] != before
            && cpu["last_error"].is_null())
        .then_some(())
    });
    // What waits in the kernel ends with the mount, and the agent can stop.
    drop(silent);
    assert!(agent.stop().success());
}
