//! A real agent in a temporary root.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Collector, eventually, programs};

/// What `agent.toml` says. Text, so that a test can also say what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    top: String,
    tables: String,
}

impl Settings {
    /// Level `level`, and `collector` as the endpoint with its pins.
    #[must_use]
    pub fn to(collector: &Collector, level: u8) -> Self {
        let pins =
            collector.pins().iter().map(|pin| format!("{pin:?}")).collect::<Vec<_>>().join(", ");
        let top = format!(
            "AllowTelemetry = {level}\nEventsEndpoint = \"{}\"\nCertificatePins = [{pins}]\n",
            collector.endpoint()
        );
        Self { top, tables: String::new() }
            .table("upload", &format!("ca_file = '{}'\ninterval = \"500ms\"", collector.ca_file()))
            .table("sample", "interval = \"200ms\"")
    }

    /// Only a level: no endpoint.
    #[must_use]
    pub fn level(level: u8) -> Self {
        Self { top: format!("AllowTelemetry = {level}\n"), tables: String::new() }
    }

    /// Adds a line at the top level; a key that is there already is replaced.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let kept = self.top.lines().filter(|line| !line.starts_with(&format!("{key} ")));
        self.top = kept.fold(String::new(), |text, line| text + line + "\n");
        let _ = writeln!(self.top, "{key} = {value}");
        self
    }

    /// Adds a table.
    #[must_use]
    pub fn table(mut self, name: &str, lines: &str) -> Self {
        let _ = writeln!(self.tables, "\n[{name}]\n{lines}");
        self
    }

    /// Replaces text in the tables.
    ///
    /// # Panics
    /// When the text is not there.
    #[must_use]
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        assert!(self.tables.contains(from), "{from} is not in the tables");
        self.tables = self.tables.replace(from, to);
        self
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.top, self.tables)
    }
}

/// What a command gave.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Outcome {
    /// The printed JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| unreachable!("{error}: {self:?}"))
    }

    /// The printed NDJSON.
    ///
    /// # Panics
    /// When a line is no JSON.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("NDJSON")).collect()
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// An agent's root, with or without a running agent. It is ended when this is dropped.
#[derive(Debug)]
pub struct Agent {
    dir: TempDir,
    process: Option<Child>,
    host_root: Option<PathBuf>,
    within: Vec<String>,
}

impl Agent {
    /// A root with this configuration; nothing runs yet.
    ///
    /// # Panics
    /// When the root cannot be made.
    #[must_use]
    pub fn prepare(settings: &Settings) -> Self {
        let agent = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            process: None,
            host_root: None,
            within: Vec::new(),
        };
        agent.configure(settings);
        agent
    }

    /// The same, with probes that look at the host under this directory.
    #[must_use]
    pub fn on_host(mut self, host_root: &Path) -> Self {
        self.host_root = Some(host_root.to_owned());
        self
    }

    /// The same, started by this command, which must replace itself by it: another network, another user.
    #[must_use]
    pub fn within(mut self, command: &[&str]) -> Self {
        self.within = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// The same, with the state directory that an earlier agent left.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn with_state(self, earlier: &Path) -> Self {
        for file in
            fs::read_dir(earlier).expect("the earlier state").map(|file| file.expect("a file"))
        {
            let copy = self.path("var/lib/candor").join(file.file_name());
            fs::create_dir_all(copy.parent().expect("a parent")).expect("directories");
            fs::copy(file.path(), &copy).expect("a copy");
            // A checkout gives files the rights that it likes.
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                fs::set_permissions(copy, fs::Permissions::from_mode(0o600)).expect("its rights");
            }
        }
        self
    }

    /// A root with this configuration and a running agent that answers.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start(settings: &Settings) -> Self {
        let mut agent = Self::prepare(settings);
        agent.run();
        agent
    }

    /// Writes `agent.toml`.
    ///
    /// # Panics
    /// When it cannot.
    pub fn configure(&self, settings: &Settings) {
        self.write("etc/candor/agent.toml", &settings.text());
    }

    /// Writes a file under the root, with its directories.
    ///
    /// # Panics
    /// When it cannot.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, text).expect("the file");
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it ends or does not answer.
    pub fn run(&mut self) {
        self.spawn();
        eventually("agentd answers", || {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            assert!(ended.is_none(), "agentd ended: {}", self.log());
            (self.ctl(&["status", "--json"]).code == Some(0)).then_some(())
        });
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log =
            File::options().create(true).append(true).open(self.path("agent.log")).expect("a log");
        self.process = Some(
            self.command()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("agentd"),
        );
    }

    /// Runs it to its end: for starts that must fail.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run_to_end(&self) -> Outcome {
        self.command().stdin(Stdio::null()).output().expect("agentd").into()
    }

    fn command(&self) -> Command {
        let mut command = match self.within.split_first() {
            None => Command::new(&programs().agentd),
            Some((first, others)) => {
                let mut command = Command::new(first);
                command.args(others).arg(&programs().agentd);
                command
            }
        };
        command.args(["run", "--root"]).arg(self.root());
        if let Some(host_root) = &self.host_root {
            command.arg("--host-root").arg(host_root);
        }
        command
    }

    /// `agentctl` with this root.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn ctl(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(&programs().agentctl);
        command.arg("--root").arg(self.root()).args(arguments).stdin(Stdio::null());
        command.output().expect("agentctl").into()
    }

    /// `agentctl` with this root, as a user without any right (uid 65534); for a caller who is root.
    ///
    /// # Panics
    /// When it cannot be started.
    #[cfg(unix)]
    #[must_use]
    pub fn ctl_as_stranger(&self, arguments: &[&str]) -> Outcome {
        use std::os::unix::fs::PermissionsExt as _;
        use std::os::unix::process::CommandExt as _;
        // The temporary directory is ours alone; on a host the way to the root is open.
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).expect("the way");
        let mut command = Command::new(&programs().agentctl);
        command.arg("--root").arg(self.root()).args(arguments).stdin(Stdio::null());
        command.uid(65534).gid(65534).output().expect("agentctl").into()
    }

    /// `status --json`.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn status(&self) -> Value {
        let outcome = self.ctl(&["status", "--json"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}: {}", self.log());
        outcome.json()
    }

    /// Stops the probes, uploads everything, and waits.
    ///
    /// # Panics
    /// When something is still pending afterwards.
    pub fn settle(&self) {
        let outcome = self.ctl(&["flush", "--wait", "--stop-probes"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}: {}", self.log());
        assert_eq!(self.status()["events"]["pending"], 0, "{}", self.log());
    }

    /// Kills it: no ordered stop.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
    }

    /// Asks it to stop as a service manager does, and waits.
    ///
    /// # Panics
    /// When it does not run or does not end.
    #[cfg(unix)]
    pub fn stop(&mut self) -> std::process::ExitStatus {
        use nix::sys::signal::{Signal, kill};
        let mut process = self.process.take().expect("it runs");
        let id = i32::try_from(process.id()).expect("a process id");
        kill(nix::unistd::Pid::from_raw(id), Signal::SIGTERM).expect("it can be asked");
        eventually("agentd stops", || process.try_wait().expect("its end"))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    #[cfg(unix)]
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = i32::try_from(self.id()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal).expect("it runs");
    }

    /// One request over its socket, without `agentctl`: the status and the JSON.
    ///
    /// # Panics
    /// When nobody answers, or not in JSON.
    #[cfg(unix)]
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        let answer = self.raw(format!("{head}{body}").as_bytes()).expect("an answer");
        let text = String::from_utf8(answer).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), serde_json::from_str(body).expect("JSON"))
    }

    /// Bytes over its socket, and whatever comes back until it closes; one that does not is an error
    /// after 20 s.
    ///
    /// # Errors
    /// What the socket says.
    #[cfg(unix)]
    pub fn raw(&self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        use std::io::{Read as _, Write as _};
        let path = self.root().join("run/candor/agent.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(path)?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20)))?;
        // It may answer and close before it has read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(answer),
        }
    }

    /// Stops it in its tracks, or lets it go on: no handler sees either.
    ///
    /// # Panics
    /// When it does not run.
    #[cfg(unix)]
    pub fn freeze(&self, frozen: bool) {
        use nix::sys::signal::{Signal, kill};
        let id = i32::try_from(self.id()).expect("a process id");
        let signal = if frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        kill(nix::unistd::Pid::from_raw(id), signal).expect("it can be told");
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A path under its root; its directory exists.
    ///
    /// # Panics
    /// When the root cannot be made.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("directories");
        path
    }

    /// Where it hears local programs over TCP, as soon as it does.
    ///
    /// # Panics
    /// When it does not come to that.
    #[must_use]
    pub fn heard_at(&self) -> String {
        eventually("the agent hears programs over TCP", || {
            let log = self.log();
            let rest = log.lines().rev().find_map(|line| line.split("heard address=").nth(1))?;
            Some(rest.split_whitespace().next()?.to_owned())
        })
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.root().join("agent.log")).unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
