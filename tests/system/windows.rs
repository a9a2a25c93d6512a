//! The Windows build, really run: its registry calls, its service control manager, its named pipe, under wine.
//! `.ci/windows build` makes the programs; `docs/windows.md` says what this runtime cannot show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use candor_tests::{Collector, Outcome, Settings, eventually, need};
use serde_json::Value;
use tempfile::TempDir;

const PROGRAMS: [&str; 3] = ["agentd.exe", "agentctl.exe", "candor-collector.exe"];
const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\DataCollection";
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

/// A Windows of its own, with the programs where an installation has them.
struct Windows {
    dir: TempDir,
    /// A session of wine ends with its last ordinary process, and takes the services with it.
    session: Option<Child>,
}

impl Windows {
    fn new(programs: &Path) -> Self {
        let mut windows = Self { dir: tempfile::tempdir().unwrap(), session: None };
        // The first process starts wine's own, which keep its pipes open: it must have none.
        let mut session = windows.command("cmd");
        windows.session = Some(session.args(["/c", "ping -n 900 127.0.0.1 >nul"]).spawn().unwrap());
        eventually("a Windows", || windows.drive("windows/system32").is_dir().then_some(()));
        eventually("a session", || {
            (windows.run("cmd", &["/c", "exit 0"]).code == Some(0)).then_some(())
        });
        let installed = windows.drive("Program Files/Candor");
        fs::create_dir_all(&installed).unwrap();
        for program in PROGRAMS {
            fs::copy(programs.join(program), installed.join(program)).unwrap();
        }
        windows
    }

    /// A path on its drive C.
    fn drive(&self, path: &str) -> PathBuf {
        self.dir.path().join("prefix/drive_c").join(path)
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

#[test]
fn a_service_is_installed_steered_by_the_registry_uploads_survives_a_kill_and_goes() {
    let programs = built();
    if !need("wine10 and the programs that `.ci/windows build` makes", programs.is_some()) {
        return;
    }
    let collector = Collector::start();
    let windows = Windows::new(&programs.unwrap());
    configure(&windows, &collector);

    let installed = windows.ctl(&["service", "install", "--json"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let started = windows.ctl(&["service", "start"]);
    assert_eq!(started.code, Some(0), "{started:?}: {}", windows.log());
    eventually("it answers over the pipe", || {
        (windows.ctl(&["status"]).code == Some(0)).then_some(())
    });

    steered_by_the_registry(&windows);
    uploads_and_survives_a_kill(&windows, &collector);

    let stopped = windows.ctl(&["service", "stop"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}: {}", windows.log());
    let uninstalled = windows.ctl(&["service", "uninstall"]);
    assert_eq!(uninstalled.code, Some(0), "{uninstalled:?}");
    let key = windows.reg(&["query", r"HKLM\SYSTEM\CurrentControlSet\Services\candor"]);
    assert_ne!(key.code, Some(0), "the service is still registered: {key:?}");
    assert_eq!(windows.ctl(&["status"]).code, Some(69));
}

fn configure(windows: &Windows, collector: &Collector) {
    let dir = windows.drive("ProgramData/Candor");
    fs::create_dir_all(&dir).unwrap();
    let settings = Settings::to(collector, 3);
    let unix = collector.ca_file();
    fs::write(
        dir.join("agent.toml"),
        settings.text().replace(unix, &format!("Z:{}", unix.replace('/', r"\"))),
    )
    .unwrap();
}

fn steered_by_the_registry(windows: &Windows) {
    let set = windows.ctl(&["set-level", "1"]);
    assert_eq!(set.code, Some(0), "{set:?}");
    let written = windows.reg(&["query", OPERATOR, "/v", "AllowTelemetry"]);
    assert!(written.stdout.contains("0x1"), "{written:?}");

    let policy =
        windows.reg(&["add", POLICY, "/v", "AllowTelemetry", "/t", "REG_DWORD", "/d", "0", "/f"]);
    assert_eq!(policy.code, Some(0), "{policy:?}");
    eventually("the policy counts", || (windows.status()["level"]["effective"] == 0).then_some(()));
    let refused = windows.ctl(&["set-level", "2"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");

    // What cannot be understood counts as level 0 and holds the upload.
    windows.reg(&["add", POLICY, "/v", "AllowTelemetry", "/t", "REG_SZ", "/d", "much", "/f"]);
    eventually("a malformed policy holds", || {
        (windows.status()["upload"]["state"] == "hold").then_some(())
    });
    // One digit as text counts as that number.
    windows.reg(&["add", POLICY, "/v", "AllowTelemetry", "/t", "REG_SZ", "/d", "2", "/f"]);
    eventually("a digit counts", || (windows.status()["level"]["effective"] == 2).then_some(()));

    windows.reg(&["delete", POLICY, "/f"]);
    eventually("the policy is gone", || {
        (windows.status()["level"]["effective"] == 1).then_some(())
    });
}

fn uploads_and_survives_a_kill(windows: &Windows, collector: &Collector) {
    let before = windows.status();
    windows.run("taskkill", &["/F", "/IM", "agentd.exe"]);
    eventually("the pipe is gone", || (windows.ctl(&["status"]).code == Some(69)).then_some(()));
    let started = windows.ctl(&["service", "start"]);
    assert_eq!(started.code, Some(0), "{started:?}: {}", windows.log());
    eventually("it answers again", || (windows.ctl(&["status"]).code == Some(0)).then_some(()));
    let flushed = windows.ctl(&["flush", "--wait", "--stop-probes"]);
    assert_eq!(flushed.code, Some(0), "{flushed:?}: {}", windows.log());

    let status = windows.status();
    assert_eq!(status["install_id"], before["install_id"]);
    let count = |key: &str| status["events"][key].as_u64().unwrap();
    assert_eq!(
        count("generated"),
        count("uploaded") + count("dropped") + count("pending"),
        "{status}"
    );
    assert_eq!(
        (count("pending"), collector.records().len() as u64),
        (0, count("uploaded")),
        "{status}"
    );
}
