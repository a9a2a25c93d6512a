//! A whole Debian with a real systemd, booted in a container of its own: what happens in it happens to
//! nobody else. Its root file system is made once and copied for each machine.
//!
//! # Invariants
//! - Its network is its own and leads nowhere.
//! - It ends with the value that stands for it, and its files with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use candor_tests::{Outcome, Profile, Programs, eventually, need};
use serde_json::Value;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/system/machine.sh");
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A booted machine.
pub(crate) struct Machine {
    name: String,
    dir: PathBuf,
    container: Child,
}

impl Machine {
    /// Boots one; `None` where this host cannot, or where the release programs are not wanted.
    pub(crate) fn boot() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !can_boot() {
            return None;
        }
        let base = Path::new(WORKSPACE).join("target/machine");
        let made = Command::new(SCRIPT).arg("root").arg(base.join("debian")).status().unwrap();
        assert!(made.success(), "machine.sh root");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("candor-test-{}-{count}", std::process::id());
        let dir = base.join(&name);
        let copied = Command::new("cp").arg("-a").arg(base.join("debian")).arg(&dir).status();
        assert!(copied.unwrap().success(), "a copy of the root");
        let log = fs::File::create(base.join(format!("{name}.log"))).unwrap();
        let container = Command::new(SCRIPT)
            .args(["boot", &name])
            .arg(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let machine = Self { name, dir, container };
        eventually("the machine boots", || {
            machine.leader()?;
            let state = machine.run(&["systemctl", "is-system-running"]).stdout;
            (state.trim() == "running").then_some(())
        });
        Some(machine)
    }

    /// Its first process, as this host numbers it.
    fn leader(&self) -> Option<String> {
        let id = self.container.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        let leader = children.split_whitespace().next()?;
        // Before that it is still the container's own helper.
        let name = fs::read_to_string(format!("/proc/{leader}/comm")).ok()?;
        (name.trim() == "systemd").then(|| leader.to_owned())
    }

    /// Runs a command in it, as root.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let leader =
            self.leader().unwrap_or_else(|| unreachable!("{} runs: {}", self.name, self.log()));
        let mut command = Command::new("nsenter");
        command.args(["--target", &leader, "--all", "--root", "--wd", "--", "env", "-i"]);
        command.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]);
        command.args(arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    /// The same, and it must succeed; what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}\n{}", self.journal());
        outcome.stdout
    }

    /// The same with a shell.
    pub(crate) fn sh(&self, script: &str) -> String {
        self.ok(&["sh", "-euc", script])
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Puts a file of this host into `/packages`.
    pub(crate) fn bring(&self, file: &Path) -> String {
        fs::create_dir_all(self.dir.join("packages")).unwrap();
        let path = Path::new("packages").join(file.file_name().unwrap());
        fs::copy(file, self.dir.join(&path)).unwrap();
        format!("/{}", path.display())
    }

    /// `agentctl status --json`, asked by root.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.ok(&["agentctl", "status", "--json"])).unwrap()
    }

    /// What systemd says of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        self.ok(&["systemctl", "show", unit, "--property", name, "--value"]).trim().to_owned()
    }

    /// What the services wrote into the journal.
    pub(crate) fn journal(&self) -> String {
        self.run(&["journalctl", "--no-pager", "--unit", "candor*"]).stdout
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process all others end, and then the container.
        if let Some(leader) = self.leader().and_then(|id| id.parse().ok()) {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(leader),
                nix::sys::signal::Signal::SIGKILL,
            );
        } else {
            let _ = self.container.kill();
        }
        let _ = self.container.wait();
        for tree in ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"] {
            let mut find = Command::new("find");
            find.arg(Path::new(tree).join(&self.name)).args(["-depth", "-type", "d", "-delete"]);
            let _ = find.stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_file(self.dir.with_extension("log"));
    }
}

fn can_boot() -> bool {
    // The release build takes minutes: it is used where .ci/run has made it anyway.
    let wanted = std::env::var_os("CANDOR_NEEDS").is_some();
    need("CANDOR_NEEDS to be set, since it packages the release programs", wanted)
        && need("to be root", nix::unistd::geteuid().is_root())
        && ["systemd-nspawn", "debootstrap", "nsenter", "rpmbuild", "lintian"]
            .iter()
            .all(|tool| need(&format!("{tool} (.ci/packages installs it)"), is_here(tool)))
}

fn is_here(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    dirs.into_iter().any(|dir| dir.join(tool).is_file())
}

/// The packages of the release programs; `None` where machines cannot boot.
pub(crate) struct Packages {
    dir: PathBuf,
    _own: Option<tempfile::TempDir>,
}

impl Packages {
    /// Those of this test run, made once.
    pub(crate) fn of_this_run() -> Option<&'static Self> {
        static PACKAGES: OnceLock<Packages> = OnceLock::new();
        can_boot().then(|| {
            PACKAGES.get_or_init(|| {
                let dir = Path::new(WORKSPACE).join("target/packages");
                let _ = fs::remove_dir_all(&dir);
                build(&dir, &[]);
                Self { dir, _own: None }
            })
        })
    }

    /// Others, made for one test.
    pub(crate) fn others(arguments: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        build(own.path(), arguments);
        Self { dir: own.path().to_owned(), _own: Some(own) }
    }

    /// The files whose names end like this, in order.
    pub(crate) fn files(&self, end: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            entries.filter(|path| path.to_string_lossy().ends_with(end)).collect();
        files.sort();
        files
    }

    /// The agent's .deb.
    pub(crate) fn agent(&self) -> PathBuf {
        let is_agents = |path: &PathBuf| path.to_string_lossy().contains("/candor_");
        self.files(".deb").into_iter().find(is_agents).unwrap()
    }

    /// Installs these files.
    pub(crate) fn install(files: &[PathBuf], machine: &Machine) {
        let brought: Vec<String> = files.iter().map(|file| machine.bring(file)).collect();
        let mut command = vec!["dpkg", "--force-confold", "--install"];
        command.extend(brought.iter().map(String::as_str));
        machine.ok(&command);
    }
}

fn build(out: &Path, arguments: &[&str]) {
    let programs = match std::env::var_os("CANDOR_BIN_DIR") {
        Some(dir) => Programs::in_dir(Path::new(&dir)),
        None => Programs::build(Profile::Release),
    };
    let output = Command::new(Path::new(WORKSPACE).join("packaging/build"))
        .arg("--programs")
        .arg(programs.unwrap().agentd.parent().unwrap())
        .arg("--out")
        .arg(out)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
