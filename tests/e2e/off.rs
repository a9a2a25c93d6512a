//! Off is off: nothing pending, nothing written, nothing collected; and on is on again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use candor_tests::{Agent, Collector, Settings, eventually};

use crate::delivery::assert_balanced;
use crate::waiting::{Waiting, contents};

/// Every file under `dir` with its size and time of change.
fn files(dir: &Path, found: &mut BTreeMap<PathBuf, (u64, SystemTime)>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.map_while(Result::ok) {
        // What is gone by now is not there: a running agent removes files.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            files(&entry.path(), found);
        } else {
            found.insert(entry.path(), (meta.len(), meta.modified().unwrap()));
        }
    }
}

/// Every file under the agent's `var` with its size and time of change.
pub(crate) fn state(agent: &Agent) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    files(&agent.root().join("var"), &mut found);
    found
}

/// The same of an agent that was just switched off: from two seconds on nothing changes on the disk.
pub(crate) fn still(agent: &Agent) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let from = Instant::now();
    eventually("two seconds", || (from.elapsed() > Duration::from_secs(2)).then_some(()));
    state(agent)
}

#[test]
fn disable_purges_and_falls_silent_and_enable_goes_on() {
    let collector = Collector::prepare();
    let agent = Agent::start(&Settings::to(&collector, 2));
    eventually("something waits", || {
        (agent.status()["events"]["pending"].as_u64()? > 0).then_some(())
    });

    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    let status = agent.status();
    assert_eq!(status["upload"]["state"], "off", "{status}");
    assert_eq!(status["upload"]["enabled"], false, "{status}");
    assert_eq!(status["events"]["pending"], 0, "{status}");
    assert!(status["events"]["dropped_by_reason"]["disabled"].as_u64() > Some(0), "{status}");
    assert_balanced(&status);

    // Though ten sample intervals pass.
    let before = still(&agent);
    assert_eq!(still(&agent), before);

    assert_eq!(agent.ctl(&["enable"]).code, Some(0));
    let generated = status["events"]["generated"].as_u64().unwrap();
    let after = eventually("it collects again", || {
        let status = agent.status();
        (status["events"]["generated"].as_u64()? > generated).then_some(status)
    });
    assert_eq!(after["install_id"], status["install_id"], "enabling must not make a new id");
}

#[test]
fn the_time_of_silence_is_told_by_the_next_enable() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 1));
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    assert_eq!(agent.ctl(&["enable"]).code, Some(0));
    agent.settle();
    let changes: Vec<_> = collector
        .records()
        .into_iter()
        .filter(|record| record["name"] == "candor.agent.change")
        .collect();
    let told: Vec<_> = changes
        .iter()
        .map(|change| &change["attributes"])
        .map(|a| (&a["subject"], &a["from"], &a["to"]))
        .collect();
    assert!(
        told.iter()
            .any(|(subject, from, to)| **subject == "upload" && **from == "on" && **to == "off"),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|(subject, from, to)| **subject == "upload" && **from == "off" && **to == "on"),
        "{told:?}"
    );
    let text = format!("{changes:?}");
    assert!(
        !text.contains("\"uid\": Number") && !text.contains("pid"),
        "who did it must stay on the host: {text}"
    );
}

#[test]
fn a_host_that_is_off_from_its_first_start_gets_no_store_and_no_id() {
    let collector = Collector::prepare();
    let agent = Agent::start(&Settings::to(&collector, 3).with("UploadEnabled", "0"));
    let status = agent.status();
    assert!(status["install_id"].is_null(), "{status}");
    assert_eq!(status["upload"]["state"], "off");
    assert_eq!(status["events"]["generated"], 0);
    assert!(!agent.root().join("var/lib/candor/spool.db").exists());
    let before = state(&agent);
    assert_eq!(still(&agent), before);
}

#[test]
fn what_was_kept_goes_with_a_disable_that_keeps_nothing() {
    let collector = Collector::prepare();
    let agent = Agent::start(&Settings::to(&collector, 1));
    eventually("something waits", || {
        (agent.status()["events"]["pending"].as_u64()? > 0).then_some(())
    });
    assert_eq!(agent.ctl(&["disable", "--keep-pending"]).code, Some(0));
    assert!(agent.status()["events"]["pending"].as_u64() > Some(0));
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    let status = agent.status();
    assert_eq!(status["events"]["pending"], 0, "{status}");
    assert_balanced(&status);
}

#[test]
fn keep_pending_keeps_what_waits() {
    let mut collector = Collector::prepare();
    let agent = Agent::start(&Settings::to(&collector, 1));
    let pending = eventually("something waits", || {
        assert_eq!(agent.ctl(&["flush", "--stop-probes"]).code, Some(0));
        agent.status()["events"]["pending"].as_u64().filter(|pending| *pending > 0)
    });
    assert_eq!(agent.ctl(&["disable", "--keep-pending"]).code, Some(0));
    assert_eq!(agent.status()["events"]["pending"], pending);
    collector.serve();
    assert_eq!(agent.ctl(&["enable"]).code, Some(0));
    agent.settle();
    assert_eq!(agent.status()["events"]["dropped"], 0);
    assert!(collector.records().len() as u64 >= pending);
}

#[test]
fn without_a_daemon_disable_takes_what_waits_off_the_disk_at_once() {
    let collector = Collector::prepare();
    let mut agent = Agent::start(&Settings::to(&collector, 3));
    let dir = agent.root().join("var/lib/candor");
    let waiting = eventually("records of levels 0 and 2 are on the disk", || {
        let rows = Waiting::read(&dir)?;
        (rows.count(|level| level == 0) > 0 && rows.count(|level| level == 2) > 0).then_some(rows)
    });
    agent.kill();

    // Lowering takes what stands above the new level, and leaves the rest.
    let lowered = agent.ctl(&["set-level", "0", "--json"]);
    assert_eq!(lowered.code, Some(0), "{lowered:?}");
    assert!(lowered.json()["withdrawn"].as_u64() > Some(0), "{lowered:?}");
    assert_eq!(waiting.levels_in(&contents(&dir)), [0], "level 2 shall go, and level 0 stay");

    let disabled = agent.ctl(&["disable", "--json"]);
    assert_eq!(disabled.code, Some(0), "{disabled:?}");
    assert!(disabled.json()["dropped"].as_u64() > Some(0), "{disabled:?}");
    assert_eq!(waiting.levels_in(&contents(&dir)), [0; 0], "something is still on the disk");

    agent.run();
    let status = agent.status();
    assert_balanced(&status);
    let dropped = &status["events"]["dropped_by_reason"];
    assert!(
        dropped["withdrawn"].as_u64() > Some(0) && dropped["disabled"].as_u64() > Some(0),
        "{status}"
    );
}
