//! What a control group tells of itself, in version 1 and 2 of the interface.
//!
//! Sources: kernel, `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/{cpuacct,memory}.rst`.
//!
//! # Invariants
//! - A group without a limit has none: `max`, `-1` and version 1's largest number are absent.
//!
//! A file that is not there or not as documented is absent.

use std::path::{Path, PathBuf};

use crate::Host;
use crate::scan::{lines, number, words};

/// Microseconds in a tick of version 1: `USER_HZ` is 100.
const TICK: u64 = 10_000;

/// What version 1 calls no limit: the largest number of bytes in whole pages, of whatever size.
const UNLIMITED: u64 = (i64::MAX as u64) & !0xFFFF;

/// Where the groups are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// Version 2: one tree.
    Two(PathBuf),
    /// Version 1: a tree for each controller, of one shape.
    One { cpu: PathBuf, accounting: PathBuf, memory: PathBuf },
}

/// Memory of a group, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) usage: Option<u64>,
    pub(super) working_set: Option<u64>,
    pub(super) rss: Option<u64>,
}

impl Hierarchy {
    /// The host's; `None` where it has no control groups.
    pub(super) fn of(host: &Host) -> Option<Self> {
        let root = host.sys("fs/cgroup");
        if root.join("cgroup.controllers").exists() {
            return Some(Self::Two(root));
        }
        let memory = Some(root.join("memory")).filter(|path| path.exists())?;
        let joint = root.join("cpu,cpuacct");
        let (cpu, accounting) = if joint.exists() {
            (joint.clone(), joint)
        } else {
            (root.join("cpu"), root.join("cpuacct"))
        };
        Some(Self::One { cpu, accounting, memory })
    }

    /// The tree in which containers are looked for.
    pub(super) fn tree(&self) -> &Path {
        match self {
            Self::Two(root) => root,
            Self::One { memory, .. } => memory,
        }
    }

    /// Microseconds of CPU time in user and in system mode.
    pub(super) fn cpu(&self, host: &Host, group: &Path) -> Option<[u64; 2]> {
        match self {
            Self::Two(root) => {
                let text = host.content(&root.join(group).join("cpu.stat"))?;
                Some([value(&text, "user_usec")?, value(&text, "system_usec")?])
            }
            Self::One { accounting, .. } => {
                let text = host.content(&accounting.join(group).join("cpuacct.stat"))?;
                let ticks = |key| value(&text, key)?.checked_mul(TICK);
                Some([ticks("user")?, ticks("system")?])
            }
        }
    }

    /// Its memory.
    pub(super) fn memory(&self, host: &Host, group: &Path) -> Memory {
        let (directory, usage, keys) = match self {
            Self::Two(root) => (root, "memory.current", ["anon", "inactive_file"]),
            Self::One { memory, .. } => {
                (memory, "memory.usage_in_bytes", ["total_rss", "total_inactive_file"])
            }
        };
        let directory = directory.join(group);
        let usage = host.number(&directory.join(usage));
        let stat = host.content(&directory.join("memory.stat"));
        let [rss, inactive] = keys.map(|key| value(stat.as_deref()?, key));
        // What was read later may be more than what was read first.
        let working_set = usage.zip(inactive).map(|(usage, cache)| usage.saturating_sub(cache));
        Memory { usage, working_set, rss }
    }

    /// Bytes that it may have: the least that it or a group above it is held to. The tree's own
    /// root counts only for itself.
    pub(super) fn memory_limit(&self, host: &Host, group: &Path) -> Option<u64> {
        let limit = |group: &Path| match self {
            Self::Two(root) => host.number(&root.join(group).join("memory.max")),
            Self::One { memory, .. } => {
                let limit = host.number(&memory.join(group).join("memory.limit_in_bytes"));
                limit.filter(|limit| *limit < UNLIMITED)
            }
        };
        levels(group).filter_map(limit).min()
    }

    /// CPUs that it may use, likewise.
    pub(super) fn cpu_limit(&self, host: &Host, group: &Path) -> Option<f64> {
        let limit = |group: &Path| match self {
            Self::Two(root) => {
                let text = host.text(&root.join(group).join("cpu.max"))?;
                let mut words = words(text.as_bytes()).map(number);
                cpus(words.next()??, words.next()??)
            }
            Self::One { cpu, .. } => {
                let directory = cpu.join(group);
                let quota = host.number(&directory.join("cpu.cfs_quota_us"))?;
                cpus(quota, host.number(&directory.join("cpu.cfs_period_us"))?)
            }
        };
        levels(group).filter_map(limit).min_by(f64::total_cmp)
    }

    /// Whether the tree's root is itself a container: only then has it a limit's file (version 2)
    /// or a limit (version 1).
    pub(super) fn is_inside(&self, host: &Host) -> bool {
        match self {
            Self::Two(root) => root.join("memory.max").exists(),
            Self::One { .. } => self.memory_limit(host, Path::new("")).is_some(),
        }
    }
}

/// The group and those above it, without the root; of the root, itself.
fn levels(group: &Path) -> impl Iterator<Item = &Path> {
    let is_root = group.as_os_str().is_empty();
    group.ancestors().filter(move |path| is_root || !path.as_os_str().is_empty())
}

#[expect(clippy::cast_precision_loss, reason = "a number of CPUs needs no 64 bits")]
fn cpus(quota: u64, period: u64) -> Option<f64> {
    (period > 0).then(|| quota as f64 / period as f64)
}

/// The number beside a key.
fn value(text: &str, key: &str) -> Option<u64> {
    lines(text.as_bytes()).find_map(|line| {
        let mut words = words(line);
        (words.next()? == key.as_bytes()).then(|| words.next().and_then(number))?
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        for (path, text) in files {
            let path = host.sys("fs/cgroup").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
        (root, host)
    }

    #[test]
    fn version_2_tells_its_numbers_and_the_tightest_limit() {
        let (_root, host) = tree(&[
            ("cgroup.controllers", "cpu memory"),
            ("a/memory.max", "1073741824"),
            ("a/cpu.max", "max 100000"),
            ("a/b/memory.max", "max"),
            ("a/b/c/memory.max", "4096"),
            ("a/b/cpu.max", "150000 100000"),
            ("a/b/cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 0"),
            ("a/b/memory.current", "5000"),
            ("a/b/memory.stat", "anon 3000\nfile 2000\ninactive_anon 1\ninactive_file 1500"),
        ]);
        let groups = Hierarchy::of(&host).unwrap();
        let group = Path::new("a/b");
        assert_eq!(groups.cpu(&host, group), Some([20, 10]));
        let memory = Memory { usage: Some(5000), working_set: Some(3500), rss: Some(3000) };
        assert_eq!(groups.memory(&host, group), memory);
        assert_eq!(groups.memory_limit(&host, group), Some(1 << 30));
        assert_eq!(groups.memory_limit(&host, Path::new("a/b/c")), Some(4096));
        assert_eq!(groups.cpu_limit(&host, group), Some(1.5));
        assert_eq!(groups.cpu_limit(&host, Path::new("a")), None);
        assert!(!groups.is_inside(&host));
    }

    #[test]
    fn version_1_tells_its_numbers_and_no_limit_that_is_none() {
        let (_root, host) = tree(&[
            ("cpu,cpuacct/docker/x/cpuacct.stat", "user 200\nsystem 50"),
            ("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1"),
            ("cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000"),
            ("cpu,cpuacct/docker/cpu.cfs_quota_us", "50000"),
            ("cpu,cpuacct/docker/cpu.cfs_period_us", "100000"),
            ("memory/docker/x/memory.usage_in_bytes", "5000"),
            ("memory/docker/x/memory.stat", "rss 1\ntotal_rss 3000\ntotal_inactive_file 6000"),
            ("memory/docker/x/memory.limit_in_bytes", "9223372036854771712"),
            ("memory/memory.limit_in_bytes", "9223372036854771712"),
        ]);
        let groups = Hierarchy::of(&host).unwrap();
        let group = Path::new("docker/x");
        // Ticks of 10 ms.
        assert_eq!(groups.cpu(&host, group), Some([2_000_000, 500_000]));
        let memory = Memory { usage: Some(5000), working_set: Some(0), rss: Some(3000) };
        assert_eq!(groups.memory(&host, group), memory);
        assert_eq!(groups.memory_limit(&host, group), None);
        assert_eq!(groups.cpu_limit(&host, group), Some(0.5));
        assert!(!groups.is_inside(&host));
    }

    #[test]
    fn the_root_of_a_containers_own_tree_is_the_container() {
        let (_root, host) = tree(&[("cgroup.controllers", "cpu"), ("memory.max", "max")]);
        assert!(Hierarchy::of(&host).unwrap().is_inside(&host));
        let (_root, host) = tree(&[("memory/memory.limit_in_bytes", "536870912")]);
        let groups = Hierarchy::of(&host).unwrap();
        assert!(groups.is_inside(&host));
        assert_eq!(groups.memory_limit(&host, Path::new("")), Some(1 << 29));
    }

    #[test]
    fn malformed_files_are_absent_and_do_not_panic() {
        let (_root, host) = tree(&[
            ("cgroup.controllers", ""),
            ("a/cpu.stat", "user_usec\nsystem_usec -1"),
            ("a/cpu.max", "1 0"),
            ("b/cpu.max", "1"),
            ("a/memory.max", "-5"),
            ("a/memory.stat", "anon many"),
        ]);
        let groups = Hierarchy::of(&host).unwrap();
        let group = Path::new("a");
        assert_eq!(groups.cpu(&host, group), None);
        assert_eq!(groups.cpu_limit(&host, group), None);
        assert_eq!(groups.cpu_limit(&host, Path::new("b")), None);
        assert_eq!(groups.memory_limit(&host, group), None);
        assert_eq!(groups.memory(&host, group), Memory::default());
        assert_eq!(Hierarchy::of(&Host::new("/nonexistent")), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "containers/group::value",
            Says::Stands,
            &["usage_usec 4711\nuser_usec 12\n"],
            |text| value(text, "user_usec"),
        );
    }
}
