//! Which control groups are containers: by the names that the runtimes give them.
//!
//! ```text
//! docker          docker-ID.scope                    docker/ID
//! containerd      cri-containerd-ID.scope            SLICE:cri-containerd:ID   nerdctl-ID.scope
//! cri-o           crio-ID.scope
//! podman          libpod-ID.scope  libpod-payload-ID libpod_parent/libpod-ID
//! systemd-nspawn  machine-NAME.scope                 systemd-nspawn@NAME.service
//! lxc             lxc.payload.NAME                   lxc/NAME
//! (unknown)       kubepods/…/podUID/ID               any other name of 64 hexadecimal digits
//! ```
//!
//! # Invariants
//! - Bounded: so many directories are looked into, so deep, and so many containers are found.
//! - What stands inside a container (a systemd of its own) belongs to the container.
//!
//! A directory that cannot be read has no containers.

use std::fs;
use std::path::{Path, PathBuf};

/// The most containers.
const MAX_CONTAINERS: usize = 128;
/// The most directories that are looked into.
const MAX_DIRECTORIES: usize = 2048;
/// The deepest directory: `kubepods.slice/…-burstable.slice/…-podUID.slice/ID.scope` has four.
const MAX_DEPTH: usize = 8;
/// Digits of an id that needs no name beside it.
const ID_DIGITS: usize = 64;

/// A container's control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Below the root of the hierarchy.
    pub(super) path: PathBuf,
    /// What the runtime calls it.
    pub(super) id: String,
    /// Which runtime, by its name in the catalog.
    pub(super) runtime: Option<&'static str>,
}

/// All containers of a hierarchy, by path.
pub(super) fn find(root: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    let mut waiting = vec![(PathBuf::new(), 0)];
    let mut looked = 0;
    while let Some((path, depth)) = waiting.pop() {
        looked += 1;
        if looked > MAX_DIRECTORIES || found.len() >= MAX_CONTAINERS {
            break;
        }
        for name in directories(&root.join(&path)) {
            let below = path.join(&name);
            match recognise(&path, &name) {
                Some((id, runtime)) => found.push(Found { path: below, id, runtime }),
                None if depth < MAX_DEPTH => waiting.push((below, depth + 1)),
                None => {}
            }
        }
    }
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    found.truncate(MAX_CONTAINERS);
    found
}

fn directories(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Prefixes of units and directories, and what makes them. A longer one stands before a shorter.
const PREFIXES: [(&str, &str); 7] = [
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
    ("cri-containerd:", "containerd"),
];

/// Id and runtime of a directory; `None` when it is no container.
fn recognise(parent: &Path, name: &str) -> Option<(String, Option<&'static str>)> {
    let unit = name.strip_suffix(".scope").or_else(|| name.strip_suffix(".service"));
    let bare = unit.unwrap_or(name);
    // `SLICE:cri-containerd:ID`
    let bare = bare.find(":cri-").map_or(bare, |at| bare.get(at + 1..).unwrap_or_default());
    for (prefix, runtime) in PREFIXES {
        if let Some(id) = bare.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Some((id.to_owned(), Some(runtime)));
        }
    }
    if is_id(bare) {
        return Some((bare.to_owned(), runtime_of(parent)));
    }
    named(parent, name).map(|(id, runtime)| (id.to_owned(), Some(runtime)))
}

/// Of a container that has nothing but its id, the runtime by the directory above.
fn runtime_of(parent: &Path) -> Option<&'static str> {
    match parent.file_name()?.to_str()? {
        "docker" => Some("docker"),
        "libpod_parent" => Some("podman"),
        _ => None,
    }
}

/// Containers that a person named.
fn named<'a>(parent: &Path, name: &'a str) -> Option<(&'a str, &'static str)> {
    let scope = name.strip_prefix("machine-").and_then(|name| name.strip_suffix(".scope"));
    // libvirt's machines are no containers of nspawn; `\x2d` is systemd's way to write a dash.
    let is_libvirt = |name: &&str| {
        ["qemu", "lxc", "xen", "ch"]
            .iter()
            .any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with("\\x2d")))
    };
    if let Some(name) = scope.filter(|name| !is_libvirt(name)) {
        return Some((name, "systemd-nspawn"));
    }
    let service = name.strip_prefix("systemd-nspawn@").and_then(|n| n.strip_suffix(".service"));
    if let Some(name) = service {
        return Some((name, "systemd-nspawn"));
    }
    let is_lxc = matches!(parent.to_str(), Some("lxc" | "lxc.payload"));
    let payload = name.strip_prefix("lxc.payload.").or_else(|| is_lxc.then_some(name));
    payload.map(|name| (name, "lxc"))
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2b1c9d8e7a6f5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b";

    fn of(path: &str) -> Option<(String, Option<&'static str>)> {
        let path = path.replace("ID", ID);
        let path = Path::new(&path);
        recognise(path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap())
    }

    #[test]
    fn each_runtimes_names_are_recognised() {
        let pod = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8d7c.slice";
        for (path, runtime) in [
            ("system.slice/docker-ID.scope".to_owned(), Some("docker")),
            ("docker/ID".to_owned(), Some("docker")),
            (format!("{pod}/cri-containerd-ID.scope"), Some("containerd")),
            ("system.slice/x.slice:cri-containerd:ID".to_owned(), Some("containerd")),
            ("user.slice/nerdctl-ID.scope".to_owned(), Some("containerd")),
            (format!("{pod}/crio-ID.scope"), Some("cri-o")),
            ("machine.slice/libpod-ID.scope".to_owned(), Some("podman")),
            ("machine.slice/a.service/libpod-payload-ID".to_owned(), Some("podman")),
            ("libpod_parent/libpod-ID".to_owned(), Some("podman")),
            ("kubepods/burstable/pod8d7c/ID".to_owned(), None),
        ] {
            assert_eq!(of(&path), Some((ID.to_owned(), runtime)), "{path}");
        }
        for (path, name, runtime) in [
            ("machine.slice/machine-web.scope", "web", "systemd-nspawn"),
            ("machine.slice/systemd-nspawn@db.service", "db", "systemd-nspawn"),
            ("lxc.payload.mail", "mail", "lxc"),
            ("lxc/mail", "mail", "lxc"),
        ] {
            assert_eq!(of(path), Some((name.to_owned(), Some(runtime))), "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_a_container_is_none() {
        for path in [
            "system.slice/docker.service",
            "system.slice/docker-proxy.scope",
            "machine.slice/libpod-conmon-ID.scope",
            "system.slice/crio-conmon-ID.scope",
            "machine.slice/machine-qemu\\x2d1\\x2dwin.scope",
            "user.slice/user-1000.slice/session-3.scope",
            "lxc.monitor.mail",
            "system.slice/0123456789abcdef0123456789abcdef",
            "kubepods.slice",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn a_container_is_found_where_it_hangs_and_what_is_in_it_is_its_own() {
        let root = tempfile::tempdir().unwrap();
        let inside = format!("a.slice/b.slice/docker-{ID}.scope/docker/{ID}");
        fs::create_dir_all(root.path().join(inside)).unwrap();
        fs::create_dir_all(root.path().join("system.slice/cron.service")).unwrap();
        let expected = Found {
            path: format!("a.slice/b.slice/docker-{ID}.scope").into(),
            id: ID.to_owned(),
            runtime: Some("docker"),
        };
        assert_eq!(find(root.path()), [expected]);
        assert_eq!(find(Path::new("/nonexistent")), []);
    }

    #[test]
    fn a_thousand_containers_stay_within_the_bound() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..1000 {
            fs::create_dir_all(root.path().join(format!("lxc/c{number}"))).unwrap();
        }
        assert_eq!(find(root.path()).len(), MAX_CONTAINERS);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "containers/find::recognise",
            Says::Stands,
            &[
                "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
                "machine-web\\x2d1.scope",
                "pod:cri-containerd:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ],
            |name| recognise(Path::new("kubepods"), name),
        );
    }
}
