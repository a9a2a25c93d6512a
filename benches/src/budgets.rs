//! An idle agent beside its promises.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use candor_tests::{Profile, Programs};
use serde::Deserialize;

use crate::process::cost;

/// How many processes the promise assumes on the host.
const PROCESSES: usize = 100;
/// What counts as settled: the first upload, whose jitter is at most a minute, is over.
const SETTLE: Duration = Duration::from_secs(62);
const STATUS_RUNS: usize = 21;

#[derive(Deserialize)]
struct Budgets {
    idle: Idle,
    latency: Latency,
}

#[derive(Deserialize)]
struct Idle {
    rss_anon_mib: f64,
    rss_mib: f64,
    cpu_ms_per_minute: f64,
    wakeups_per_second: f64,
    binary_mib: f64,
}

#[derive(Deserialize)]
struct Latency {
    ready_ms: f64,
    status_ms: f64,
}

/// Processes that this run started; ended when it is dropped.
pub(crate) struct Started(pub(crate) Vec<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Measures and prints; whether every promise is kept.
pub(crate) fn measure(seconds: u64) -> Result<bool> {
    let budgets: Budgets = toml::from_str(&fs::read_to_string(workspace("budgets.toml"))?)?;
    let programs = Programs::build(Profile::Release)?;
    let crowd = crowd()?;
    let dir = tempfile::tempdir()?;
    let mut started = Started(Vec::new());
    let root = dir.path().join("root");
    prepare(&programs, dir.path(), &root, &mut started)?;

    let ready = start_agent(&programs, &root, &mut started)?;
    let id = started.0.last().context("the agent")?.id();
    thread::sleep(SETTLE);
    let before = cost(id)?;
    let from = Instant::now();
    thread::sleep(Duration::from_secs(seconds));
    let after = cost(id)?;
    let watched = from.elapsed().as_secs_f64();
    let status = status_ms(&programs, &root)?;
    let crowded = processes()?;
    drop(crowd);

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (binary, wakeups) = (
        fs::metadata(&programs.agentd)?.len() as f64 / f64::from(1 << 20),
        (after.wakeups - before.wakeups) as f64,
    );
    let rows = [
        ("RssAnon, MiB", after.rss_anon_mib, budgets.idle.rss_anon_mib),
        ("RSS, MiB", after.rss_mib, budgets.idle.rss_mib),
        (
            "CPU, ms a minute",
            (after.cpu_ms - before.cpu_ms) * 60.0 / watched,
            budgets.idle.cpu_ms_per_minute,
        ),
        ("wakeups a second", wakeups / watched, budgets.idle.wakeups_per_second),
        ("agentd on disk, MiB", binary, budgets.idle.binary_mib),
        ("ready after, ms", ready, budgets.latency.ready_ms),
        ("agentctl status, ms (median)", status, budgets.latency.status_ms),
    ];
    println!(
        "idle agent, level 2, sampling every 10 s, {watched:.0} s watched, {crowded} processes on the host"
    );
    println!("{:<30} {:>10} {:>10} {:>7}", "", "measured", "promised", "ratio");
    for (name, measured, promised) in rows {
        let verdict = if measured <= promised { "" } else { "  BROKEN" };
        println!(
            "{name:<30} {measured:>10.2} {promised:>10.2} {:>7.2}{verdict}",
            measured / promised
        );
    }
    Ok(rows.iter().all(|(_, measured, promised)| measured <= promised))
}

pub(crate) fn workspace(path: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

pub(crate) fn processes() -> Result<usize> {
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    Ok(fs::read_dir("/proc")?
        .flatten()
        .filter(|entry| is_process(&entry.file_name().to_string_lossy()))
        .count())
}

/// Sleepers, until the host has as many processes as the promise assumes.
pub(crate) fn crowd() -> Result<Started> {
    let mut crowd = Started(Vec::new());
    for _ in processes()?..PROCESSES {
        crowd.0.push(Command::new("sleep").arg("600").spawn().context("sleep")?);
    }
    Ok(crowd)
}

/// A collector that listens, and an agent's root that points to it.
fn prepare(programs: &Programs, dir: &Path, root: &Path, started: &mut Started) -> Result<()> {
    let store = dir.join("collector");
    let made =
        Command::new(&programs.collector).args(["init", "--json", "--dir"]).arg(&store).output()?;
    ensure!(
        made.status.success(),
        "candor-collector init: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let made: serde_json::Value = serde_json::from_slice(&made.stdout)?;
    let mut collector = Command::new(&programs.collector)
        .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
        .arg(&store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    let stdout = collector.stdout.take().context("the collector's output")?;
    started.0.push(collector);
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    let ready: serde_json::Value = serde_json::from_str(&line)?;
    let (endpoint, ca_file) =
        (ready["listening"].as_str().context("endpoint")?, made["ca_file"].as_str().context("CA")?);
    fs::create_dir_all(root.join("etc/candor"))?;
    let text = format!(
        "EventsEndpoint = \"{endpoint}\"\nCertificatePins = {}\n[upload]\nca_file = '{ca_file}'\n",
        made["pins"]
    );
    Ok(fs::write(root.join("etc/candor/agent.toml"), text)?)
}

/// Milliseconds from the start of the process until `status` is answered.
fn start_agent(programs: &Programs, root: &Path, started: &mut Started) -> Result<f64> {
    let from = Instant::now();
    let agent = Command::new(&programs.agentd)
        .args(["run", "--root"])
        .arg(root)
        .stderr(Stdio::null())
        .spawn()?;
    started.0.push(agent);
    while from.elapsed() < Duration::from_secs(20) {
        if answers(root) {
            return Ok(from.elapsed().as_secs_f64() * 1e3);
        }
        thread::sleep(Duration::from_millis(1));
    }
    anyhow::bail!("agentd does not answer")
}

#[cfg(unix)]
fn answers(root: &Path) -> bool {
    use std::io::{Read as _, Write as _};
    let ask = || -> std::io::Result<bool> {
        let mut socket =
            std::os::unix::net::UnixStream::connect(root.join("run/candor/agent.sock"))?;
        socket.write_all(
            b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

#[cfg(not(unix))]
fn answers(_root: &Path) -> bool {
    false
}

/// Median over several runs of the whole command, process start included.
fn status_ms(programs: &Programs, root: &Path) -> Result<f64> {
    let mut runs = Vec::new();
    for _ in 0..STATUS_RUNS {
        let from = Instant::now();
        let output =
            Command::new(&programs.agentctl).arg("--root").arg(root).arg("status").output()?;
        ensure!(
            output.status.success(),
            "agentctl status: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        runs.push(from.elapsed().as_secs_f64() * 1e3);
    }
    runs.sort_by(f64::total_cmp);
    Ok(runs[STATUS_RUNS / 2])
}
