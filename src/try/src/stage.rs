//! A temporary root with a real collector and a real agent in it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use candor_tests::Programs;
use serde_json::Value;
use tempfile::TempDir;

/// How long a program may take to be ready.
const READY: Duration = Duration::from_secs(20);

/// Running programs and their files.
pub(crate) struct Stage {
    dir: TempDir,
    agentctl: PathBuf,
    collector_program: PathBuf,
    collector: Child,
    agent: Child,
    endpoint: String,
    kept: bool,
}

impl Stage {
    /// Starts collector and agent; both are ready when this returns.
    pub(crate) fn set(programs: &Programs) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("candor-try-")
            .tempdir()
            .context("a temporary directory")?;
        let store = dir.path().join("collector");
        let made = run_json(
            Command::new(&programs.collector).args(["init", "--json", "--dir"]).arg(&store),
        )?;
        let (mut collector, endpoint) = serve(&programs.collector, &store)?;
        let agent = write_configuration(&dir.path().join("root"), &endpoint, &made)
            .and_then(|()| start_agent(&programs.agentd, dir.path()))
            .inspect_err(|_| drop(end(&mut collector)))?;
        let mut stage = Self {
            agentctl: programs.agentctl.clone(),
            collector_program: programs.collector.clone(),
            dir,
            collector,
            agent,
            endpoint,
            kept: false,
        };
        stage.wait_until_ready()?;
        Ok(stage)
    }

    /// Where everything lies.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The agent's root.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir().join("root")
    }

    /// The collector's directory.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir().join("collector")
    }

    /// Lets the agent work, then stops its probes, and waits until all that it holds is decided.
    pub(crate) fn play(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if let Some(status) = self.agent.try_wait()? {
                bail!(
                    "agentd ended with {status}: read {}",
                    self.dir().join("agent.log").display()
                );
            }
            thread::sleep(
                end.saturating_duration_since(Instant::now()).min(Duration::from_millis(200)),
            );
        }
        let flushed = self
            .agentctl(&["flush", "--wait", "--stop-probes"])
            .output()
            .context("cannot start agentctl")?;
        ensure!(
            flushed.status.success(),
            "agentctl flush: {}",
            String::from_utf8_lossy(&flushed.stderr).trim()
        );
        Ok(())
    }

    /// What the agent says of itself.
    pub(crate) fn status(&self) -> Result<Value> {
        run_json(&mut self.agentctl(&["status", "--json"]))
    }

    /// What the collector holds: one JSON object a record.
    pub(crate) fn records(&self) -> Result<Vec<Value>> {
        let output = Command::new(&self.collector_program)
            .args(["query", "records", "--json", "--dir"])
            .arg(self.store())
            .output()
            .context("cannot start candor-collector")?;
        ensure!(
            output.status.success(),
            "candor-collector query: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let text = String::from_utf8(output.stdout).context("the collector's answer")?;
        text.lines()
            .map(|line| serde_json::from_str(line).context("the collector's answer"))
            .collect()
    }

    /// Leaves everything as it is.
    pub(crate) fn keep(mut self) {
        self.kept = true;
        self.dir.disable_cleanup(true);
    }

    /// Ends both programs and takes the files away.
    pub(crate) fn clear(mut self) -> Result<()> {
        end(&mut self.agent)?;
        end(&mut self.collector)
    }

    /// How a person looks at it and ends it.
    pub(crate) fn advice(&self) -> String {
        format!(
            "still running: agent {} and collector {} ({})\n  {} --root {} status\n  {} query records --dir {}\n  end both: kill {} {}; then remove {}",
            self.agent.id(),
            self.collector.id(),
            self.endpoint,
            self.agentctl.display(),
            self.root().display(),
            self.collector_program.display(),
            self.store().display(),
            self.agent.id(),
            self.collector.id(),
            self.dir().display(),
        )
    }

    fn agentctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.agentctl);
        command.arg("--root").arg(self.root()).args(arguments);
        command
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let end = Instant::now() + READY;
        while Instant::now() < end {
            if let Some(status) = self.agent.try_wait()? {
                let log = fs::read_to_string(self.dir().join("agent.log")).unwrap_or_default();
                bail!("agentd ended with {status}:\n{log}");
            }
            if self
                .agentctl(&["status", "--json"])
                .output()
                .is_ok_and(|output| output.status.success())
            {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!(
            "agentd does not answer after {READY:?}: read {}",
            self.dir().join("agent.log").display()
        )
    }
}

/// A stage that is left by an error ends what it started.
impl Drop for Stage {
    fn drop(&mut self) {
        if !self.kept {
            let _ = end(&mut self.agent);
            let _ = end(&mut self.collector);
        }
    }
}

fn start_agent(program: &Path, dir: &Path) -> Result<Child> {
    Command::new(program)
        .args(["run", "--root"])
        .arg(dir.join("root"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.join("agent.log"))?)
        .spawn()
        .context("cannot start agentd")
}

fn serve(program: &Path, store: &Path) -> Result<(Child, String)> {
    let mut collector = Command::new(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
        .arg(store)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(store.join("collector.log"))?)
        .spawn()
        .context("cannot start candor-collector")?;
    let endpoint = listening(&mut collector).inspect_err(|_| drop(end(&mut collector)))?;
    Ok((collector, endpoint))
}

/// Where a collector says that it listens.
fn listening(collector: &mut Child) -> Result<String> {
    let stdout = collector.stdout.take().context("the collector's output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).context("the collector's ready line")?;
    let ready: Value =
        serde_json::from_str(&line).context("the collector did not say where it listens")?;
    Ok(ready["listening"].as_str().context("the collector's ready line")?.to_owned())
}

fn write_configuration(root: &Path, endpoint: &str, made: &Value) -> Result<()> {
    let ca_file = made["ca_file"].as_str().context("the collector named no ca_file")?;
    let pins = &made["pins"];
    ensure!(
        pins.as_array().is_some_and(|pins| pins.len() >= 2),
        "the collector printed fewer than two pins"
    );
    // A JSON list of plain strings is a TOML list as well.
    let text = format!(
        "AllowTelemetry = 3\nEventsEndpoint = \"{endpoint}\"\nCertificatePins = {pins}\n\n\
         [upload]\nca_file = '{ca_file}'\ninterval = \"2s\"\n\n[sample]\ninterval = \"1s\"\n"
    );
    let dir = root.join("etc/candor");
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("agent.toml"), text).context("writing agent.toml")
}

fn run_json(command: &mut Command) -> Result<Value> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).with_context(|| format!("the answer of {program}"))
}

/// Asks a program to stop, and ends it if it does not.
fn end(child: &mut Child) -> Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    ask_to_stop(child);
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().context("ending a program")?;
    child.wait()?;
    Ok(())
}

#[cfg(unix)]
fn ask_to_stop(child: &mut Child) {
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
}

#[cfg(not(unix))]
fn ask_to_stop(child: &mut Child) {
    let _ = child.kill();
}
