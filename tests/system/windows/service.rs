//! The service: installed, steered by the registry, killed, started again, gone; with a pinned collector.

use std::fs;

use candor_tests::{Collector, Settings, eventually};

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
    let started = windows.ctl(&["service", "start"]);
    assert_eq!(started.code, Some(0), "{started:?}: {}", windows.log());
    windows.answers();

    steered_by_the_registry(&windows);
    uploads_and_survives_a_kill(&windows, &collector);

    let stopped = windows.ctl(&["service", "stop"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}: {}", windows.log());
    let uninstalled = windows.ctl(&["service", "uninstall"]);
    assert_eq!(uninstalled.code, Some(0), "{uninstalled:?}");
    assert_eq!(windows.key(SERVICE), None, "the service is still registered");
    assert_eq!(windows.key(SOURCE), None, "the event source is still registered");
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
