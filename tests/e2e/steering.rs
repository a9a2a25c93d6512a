//! What an administrator asks for counts at once, whatever else hangs, waits or fails.

use std::fs;

use candor_tests::{Agent, Collector, Settings, eventually};

/// An upload that nothing but a person's word brings within a test.
const SELDOM: &str = "interval = \"1h\"";

#[cfg(target_os = "linux")]
#[test]
fn a_probe_that_hangs_holds_up_neither_a_change_nor_the_stop() {
    // A pipe that nobody writes to: whoever opens it hangs, as on a dead mount.
    let host = tempfile::tempdir().unwrap();
    fs::create_dir_all(host.path().join("proc")).unwrap();
    fs::create_dir_all(host.path().join("etc")).unwrap();
    for pipe in ["proc/meminfo", "proc/stat", "proc/diskstats", "etc/os-release"] {
        let made = std::process::Command::new("mkfifo").arg(host.path().join(pipe)).status();
        assert!(made.unwrap().success());
    }
    let collector = Collector::prepare();
    let mut agent = Agent::prepare(&Settings::to(&collector, 3)).on_host(host.path());
    agent.run();

    let lowered = agent.ctl(&["set-level", "1", "--json"]);
    assert_eq!(lowered.code, Some(0), "{lowered:?}");
    // The first round, in which they hang one after the other, is not over yet.
    let status = agent.status();
    assert_eq!(status["probes"], serde_json::json!([]), "the change waited for the probes");
    assert_eq!(status["level"]["effective"], 1, "{status}");

    assert!(agent.stop().success(), "{}", agent.log());
    assert!(agent.log().contains("the last report did not come in time"), "{}", agent.log());
}

#[test]
fn reload_and_enable_end_a_hold_at_once_though_no_setting_changed() {
    let collector = Collector::start();
    let foreign = Collector::prepare();
    for command in ["reload", "enable"] {
        let mut agent = Agent::prepare(&Settings::level(1));
        let ca_file = agent.path("ca.pem");
        fs::copy(foreign.ca_file(), &ca_file).unwrap();
        let settings = Settings::to(&collector, 1)
            .replace(collector.ca_file(), &ca_file.display().to_string())
            .replace("interval = \"500ms\"", SELDOM);
        agent.configure(&settings);
        agent.run();
        let flushed = agent.ctl(&["flush", "--wait"]);
        assert_eq!(flushed.code, Some(1), "{flushed:?}");
        let status = agent.status();
        assert_eq!(status["upload"]["state"], "hold", "{status}");

        // The file is mended where it lies: agent.toml and policy say what they said before.
        fs::copy(collector.ca_file(), &ca_file).unwrap();
        assert_eq!(agent.ctl(&[command]).code, Some(0));
        eventually("the hold ends", || {
            (agent.status()["upload"]["last_success"].is_string()).then_some(())
        });
    }
}

#[test]
fn an_engine_that_cannot_start_is_said_and_started_by_the_next_word() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 1).with("UploadEnabled", "0"));
    let in_the_way = agent.path("var/lib/candor/spool.db");
    fs::create_dir(&in_the_way).unwrap();
    let refused = agent.ctl(&["enable"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("spool.db"), "{refused:?}");
    let status = agent.status();
    assert_eq!(status["upload"]["state"], "hold", "{status}");
    assert!(status["upload"]["reason"].as_str().unwrap().contains("spool.db"), "{status}");
    assert!(status["upload"]["remedy"].is_string(), "{status}");

    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(agent.ctl(&["enable"]).code, Some(0));
    agent.settle();
    let status = agent.status();
    assert!(status["events"]["uploaded"].as_u64() > Some(0), "{status}");
}

#[test]
fn a_smaller_spool_is_taken_over_and_loses_nothing() {
    let collector = Collector::prepare();
    let settings = Settings::to(&collector, 1);
    let agent = Agent::start(&settings);
    eventually("something waits", || {
        (agent.status()["events"]["pending"].as_u64()? > 0).then_some(())
    });
    agent.configure(&settings.table("spool", "max_bytes = \"1MiB\""));
    let status = eventually("the new bound", || {
        let status = agent.status();
        (status["spool"]["max_bytes"] == 1 << 20).then_some(status)
    });
    assert_eq!(status["events"]["dropped"], 0, "{status}");
    assert!(status["events"]["pending"].as_u64() > Some(0), "{status}");
}
