//! The service: installed, steered by the registry, killed, started again, gone; with a pinned collector.

use std::fs;
use std::time::{Duration, SystemTime};

use candor_tests::{Collector, Settings, eventually};

use serde_json::Value;

use super::{OPERATOR, SERVICE, SOURCE, Windows, needed};

const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\DataCollection";

#[test]
fn a_service_is_installed_steered_by_the_registry_uploads_survives_a_kill_and_goes() {
    let Some(programs) = needed() else { return };
    let collector = Collector::start();
    let windows = Windows::with(&programs);
    configure(&windows, &collector);

    let installed = windows.ctl(&["service", "install", "--json"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    // What this runtime refuses to keep is never taken for good.
    let settings = &installed.json()["settings"];
    for kept_by_windows_alone in ["recovery", "recovery on errors", "service SID", "privileges"] {
        assert_eq!(settings[kept_by_windows_alone], "not verifiable here", "{settings}");
    }
    assert_eq!(settings["delayed start"], "true", "{settings}");
    assert_eq!(settings["preshutdown"], "15s", "{settings}");
    let started = windows.ctl(&["service", "start"]);
    assert_eq!(started.code, Some(0), "{started:?}: {}", windows.log());
    windows.answers();

    steered_by_the_registry(&windows);
    uploads_and_survives_a_kill(&windows, &collector);

    let stopped = windows.ctl(&["service", "stop"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}: {}", windows.log());
    said_in_the_event_log(&windows);
    let uninstalled = windows.ctl(&["service", "uninstall", "--purge"]);
    assert_eq!(uninstalled.code, Some(0), "{uninstalled:?}");
    assert_eq!(windows.key(SERVICE), None, "the service is still registered");
    assert_eq!(windows.key(SOURCE), None, "the event source is still registered");
    assert_eq!(windows.ctl(&["status"]).code, Some(69));
    assert_eq!(windows.key(r"HKLM\SOFTWARE\Candor"), None, "the operator's setting is left");
    let left: Vec<_> = fs::read_dir(windows.drive("ProgramData/Candor"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["agent.toml"], "only what we wrote ourselves");
}

fn said_in_the_event_log(windows: &Windows) {
    let events = windows.events();
    for said in [
        "runs",
        "level: from 3 to 1, by operator",
        "level: from 1 to 0, by policy",
        "stopped in order",
    ] {
        assert!(events.contains(said), "{said:?} is not in {events}");
    }
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

    let at_best = (0..5).map(|_| delay_of_a_policy(windows)).min().unwrap();
    assert!(at_best < Duration::from_secs(1), "{at_best:?} after it was written, at best");
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

/// From the moment that a policy is written until the agent's own trail says that it counts. The machine may
/// be busy: who looks only now and then is never quick, who is told is quick at least once.
fn delay_of_a_policy(windows: &Windows) -> Duration {
    windows.reg(&["delete", POLICY, "/f"]);
    eventually("no policy holds", || (last_level(windows)?.0 == "1").then_some(()));
    let policy =
        windows.reg(&["add", POLICY, "/v", "AllowTelemetry", "/t", "REG_DWORD", "/d", "0", "/f"]);
    let written = SystemTime::now();
    assert_eq!(policy.code, Some(0), "{policy:?}");
    let counted = eventually("the policy is on the trail", || {
        last_level(windows).filter(|(level, _)| level == "0").map(|(_, time)| time)
    });
    counted.duration_since(written).unwrap_or_default()
}

/// The last change of the level on the trail, and when it was.
fn last_level(windows: &Windows) -> Option<(String, SystemTime)> {
    let trail = fs::read_to_string(windows.drive("ProgramData/Candor/state/audit.log")).ok()?;
    let mut entries = trail.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = entries.rfind(|entry| entry["subject"] == "level")?;
    let time: jiff::Timestamp = last["time"].as_str()?.parse().ok()?;
    Some((last["to"].as_str()?.to_owned(), time.into()))
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
    // What was on its way when the level fell counts as withdrawn, and may have arrived.
    let withdrawn = status["events"]["dropped_by_reason"]["withdrawn"].as_u64().unwrap();
    let arrived = collector.records().len() as u64;
    let may_have = count("uploaded")..=count("uploaded") + withdrawn;
    assert!(count("pending") == 0 && may_have.contains(&arrived), "{arrived}: {status}");
}
