//! What the host runs on decides when ordinary records go, where the owner set no interval: a battery in
//! the host's own tree, and a metered link told by a service on a real bus.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use candor_tests::{Agent, Collector, Settings, eventually, need, python};
use serde_json::Value;
use tempfile::TempDir;

/// A laptop's files: its maker, and a battery that discharges or not.
fn laptop(status: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let battery = root.path().join("sys/class/power_supply/BAT0");
    fs::create_dir_all(&battery).unwrap();
    fs::write(battery.join("type"), "Battery\n").unwrap();
    fs::write(battery.join("status"), status).unwrap();
    // Something to tell at level 1.
    let firmware = root.path().join("sys/class/dmi/id");
    fs::create_dir_all(&firmware).unwrap();
    fs::write(firmware.join("sys_vendor"), "Acme\n").unwrap();
    root
}

/// Everything as it is by default, but for the sampling.
fn settings(collector: &Collector) -> Settings {
    Settings::to(collector, 1).replace("\ninterval = \"500ms\"", "")
}

fn scheduled(agent: &Agent, word: &str) -> Value {
    eventually(&format!("the schedule is {word}"), || {
        let status = agent.status();
        (status["upload"]["schedule"] == word).then_some(status)
    })
}

#[test]
fn status_tells_the_schedule_and_when_each_probe_runs_next() {
    let collector = Collector::start();
    let root = laptop("Discharging\n");
    let mut agent = Agent::prepare(&settings(&collector)).on_host(root.path());
    agent.run();
    let status = scheduled(&agent, "battery");
    assert!(status["upload"]["schedule_reason"].as_str().unwrap().contains("4 h"), "{status}");
    let status = eventually("the probes have run", || {
        let status = agent.status();
        let probes = status["probes"].as_array().unwrap();
        let is_told = |probe: &Value| probe["next_run"].is_string();
        (!probes.is_empty() && probes.iter().all(is_told)).then_some(status.clone())
    });
    let text = agent.ctl(&["status"]).stdout;
    let next = status["probes"][0]["next_run"].as_str().unwrap();
    assert!(text.contains("every 4 h") && text.contains("next "), "{text} {next}");

    agent.configure(&Settings::to(&collector, 1));
    assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    scheduled(&agent, "fixed");
}

/// A bus of our own with a `NetworkManager` on it, both ended with this.
struct Bus {
    daemon: Child,
    service: Child,
    words: ChildStdin,
}

impl Bus {
    /// Listens where the host's bus does, below its root; `None` where this system has no such parts.
    fn start(root: &Path, metered: u32) -> Option<Self> {
        let python = python("jeepney").filter(|_| Path::new("/usr/bin/busctl").exists())?;
        fs::create_dir_all(root.join("run/dbus")).unwrap();
        fs::create_dir_all(root.join("run/NetworkManager")).unwrap();
        let address = format!("unix:path={}", root.join("run/dbus/system_bus_socket").display());
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .arg(format!("--address={address}"))
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        first_line(&mut daemon);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/network_manager.py");
        let mut service = Command::new(python)
            .args([script, &address, &metered.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(first_line(&mut service), "ready");
        let words = service.stdin.take().unwrap();
        Some(Self { daemon, service, words })
    }

    /// From now on the link is so.
    fn say(&mut self, metered: u32) {
        writeln!(self.words, "{metered}").unwrap();
    }
}

fn first_line(process: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

impl Drop for Bus {
    fn drop(&mut self) {
        for process in [&mut self.service, &mut self.daemon] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn over_a_metered_link_a_change_of_level_goes_at_once_and_the_rest_waits_for_another_link() {
    let collector = Collector::start();
    let root = laptop("Full\n");
    let bus = Bus::start(root.path(), 1);
    if !need("dbus-daemon, busctl, and jeepney in target/venv (.ci/packages)", bus.is_some()) {
        return;
    }
    let mut bus = bus.unwrap();
    let mut agent = Agent::prepare(&settings(&collector)).on_host(root.path());
    agent.run();
    let status = scheduled(&agent, "metered");
    assert!(status["upload"]["next_attempt"].is_null(), "{status}");
    // The owner's word goes before the link's.
    assert_eq!(agent.ctl(&["flush", "--wait"]).code, Some(0));
    assert_eq!(agent.ctl(&["set-level", "2"]).code, Some(0));
    eventually("the change has arrived", || {
        let records = collector.records();
        records.iter().any(|record| record["name"] == "candor.agent.change").then_some(())
    });
    let waits = eventually("ordinary records wait", || {
        let status = agent.status();
        status["events"]["pending"].as_u64().filter(|pending| *pending > 0)
    });
    assert!(waits > 0);
    // A guess that it is not metered.
    bus.say(4);
    assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    scheduled(&agent, "mains");
}
