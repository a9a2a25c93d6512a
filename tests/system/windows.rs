//! The Windows build, really run: its registry calls, its service control manager, its named pipe, under wine.
//! `.ci/windows build` makes the programs; `docs/windows.md` says what this runtime cannot show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use candor_tests::{Outcome, eventually, need};
use serde_json::Value;
use tempfile::TempDir;

mod installer;
mod service;

const PROGRAMS: [&str; 3] = ["agentd.exe", "agentctl.exe", "candor-collector.exe"];
const SERVICE: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\candor";
const SOURCE: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\Candor";
const OPERATOR: &str = r"HKLM\SOFTWARE\Candor\DataCollection";

/// Where `.ci/windows build` puts its programs.
fn built() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    let dir = target.join("windows/x86_64-pc-windows-gnu/debug");
    let has_wine = Command::new("wine10")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    (has_wine && PROGRAMS.iter().all(|program| dir.join(program).is_file())).then_some(dir)
}

/// The programs, where this test may run.
fn needed() -> Option<PathBuf> {
    let programs = built();
    let is_met = need("wine10 and the programs that `.ci/windows build` makes", programs.is_some());
    programs.filter(|_| is_met)
}

/// The same file as a Windows program names it.
fn seen_from_windows(path: &Path) -> String {
    format!("Z:{}", path.display().to_string().replace('/', r"\"))
}

/// A Windows of its own.
struct Windows {
    dir: TempDir,
    /// A session of wine ends with its last ordinary process, and takes the services with it.
    session: Option<Child>,
}

impl Windows {
    /// With the programs where an installation has them.
    fn with(programs: &Path) -> Self {
        let windows = Self::bare();
        let installed = windows.drive("Program Files/Candor");
        fs::create_dir_all(&installed).unwrap();
        for program in PROGRAMS {
            fs::copy(programs.join(program), installed.join(program)).unwrap();
        }
        windows
    }

    fn bare() -> Self {
        let mut windows = Self { dir: tempfile::tempdir().unwrap(), session: None };
        // The first process starts wine's own, which keep its pipes open: it must have none. Services are
        // their children: who wants to hear them must be that first one, so nobody else is started before
        // it says that it runs.
        let mut session = windows.command("cmd");
        // Services inherit from it, too: wine says there what they write to its event log.
        let events = fs::File::create(windows.events_file()).unwrap();
        session.env("WINEDEBUG", "-all,+eventlog").stderr(events);
        session.args(["/c", r"echo up>C:\up& ping -n 900 127.0.0.1 >nul"]);
        windows.session = Some(session.spawn().unwrap());
        eventually("a session", || windows.drive("up").is_file().then_some(()));
        windows
    }

    /// A path on its drive C.
    fn drive(&self, path: &str) -> PathBuf {
        self.dir.path().join("prefix/drive_c").join(path)
    }

    fn events_file(&self) -> PathBuf {
        self.dir.path().join("events")
    }

    /// What services wrote to the event log so far, as wine repeats it.
    fn events(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.events_file()).unwrap()).into_owned()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("wine10");
        command.env("WINEPREFIX", self.dir.path().join("prefix")).arg(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Its output goes to files: what wine starts beside it would keep a pipe open for ever.
    fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| self.dir.path().join(name));
        let mut command = self.command(program);
        command.args(arguments);
        command
            .stdout(fs::File::create(&stdout).unwrap())
            .stderr(fs::File::create(&stderr).unwrap());
        let code = command.status().unwrap().code();
        let [stdout, stderr] = [stdout, stderr].map(|file| fs::read(file).unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Outcome { code, stdout: text(stdout), stderr: text(stderr) }
    }

    fn ctl(&self, arguments: &[&str]) -> Outcome {
        self.run(r"C:\Program Files\Candor\agentctl.exe", arguments)
    }

    fn status(&self) -> Value {
        let outcome = self.ctl(&["status", "--json"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}: {}", self.log());
        outcome.json()
    }

    fn reg(&self, arguments: &[&str]) -> Outcome {
        self.run("reg", arguments)
    }

    /// What stands under a key of the registry; `None` where there is no such key.
    fn key(&self, path: &str) -> Option<String> {
        let outcome = self.reg(&["query", path]);
        (outcome.code == Some(0)).then_some(outcome.stdout)
    }

    /// Until the daemon answers over its pipe.
    fn answers(&self) {
        eventually("it answers over the pipe", || {
            (self.ctl(&["status"]).code == Some(0)).then_some(())
        });
    }

    fn log(&self) -> String {
        let Ok(files) = fs::read_dir(self.drive("ProgramData/Candor/logs")) else {
            return "no log".to_owned();
        };
        files.flatten().map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect()
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        let prefix = self.dir.path().join("prefix");
        let _ = Command::new("wine10server").arg("-k").env("WINEPREFIX", prefix).status();
        if let Some(session) = &mut self.session {
            let _ = session.kill();
            let _ = session.wait();
        }
    }
}
