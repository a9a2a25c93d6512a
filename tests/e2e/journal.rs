//! What left is kept, shown and guarded: the journal of a real agent, its events with their states, and what
//! `audit` says of a changed byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor_tests::{Agent, Collector, Settings, eventually};
use serde_json::Value;

fn segments(agent: &Agent) -> Vec<PathBuf> {
    let dir = agent.root().join("var/lib/candor/journal");
    let files = fs::read_dir(dir).into_iter().flatten();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// The entry that each byte of a segment belongs to.
fn owners(bytes: &[u8]) -> Vec<u64> {
    let mut owners = Vec::new();
    while owners.len() < bytes.len() {
        let head = &bytes[owners.len()..];
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        let number = u64::from_le_bytes(head[5..13].try_into().unwrap());
        owners.extend(std::iter::repeat_n(number, 25 + word(13) + word(17) + 32));
    }
    owners
}

fn audit(agent: &Agent) -> (Option<i32>, Value) {
    let outcome = agent.ctl(&["audit", "--json"]);
    (outcome.code, outcome.json())
}

fn bend(file: &Path, place: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[place] ^= 1 << (place % 8);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_changed_byte_is_named_by_audit_and_a_torn_end_is_not_one() {
    let collector = Collector::start();
    let mut agent = Agent::start(&Settings::to(&collector, 2));
    eventually("some requests", || {
        (audit(&agent).1["journal"]["entries"].as_u64()? >= 3).then_some(())
    });
    agent.settle();
    // The running agent sees it as well.
    let file = segments(&agent).remove(0);
    let whole = fs::read(&file).unwrap();
    let owner = owners(&whole)[whole.len() / 2];
    bend(&file, whole.len() / 2);
    let (code, report) = audit(&agent);
    assert_eq!((code, &report["journal"]["changed"]), (Some(1), &serde_json::json!([owner])));
    bend(&file, whole.len() / 2);
    assert_eq!(audit(&agent).0, Some(0));
    agent.kill();
    let whole = fs::read(&file).unwrap();
    let owners = owners(&whole);
    for place in (0..whole.len()).step_by(whole.len() / 25 + 1).chain([whole.len() - 1]) {
        bend(&file, place);
        let (code, report) = audit(&agent);
        assert_eq!(code, Some(1), "byte {place}: {report}");
        assert_eq!(
            report["journal"]["changed"],
            serde_json::json!([owners[place]]),
            "byte {place}"
        );
        assert!(report["findings"][0].as_str().unwrap().contains("journal entry"), "{report}");
        bend(&file, place);
    }
    fs::write(&file, &whole[..whole.len() - 10]).unwrap();
    let (code, report) = audit(&agent);
    assert_eq!(code, Some(0), "a power cut is no change: {report}");
    assert!(report["journal"]["torn_bytes"].as_u64().unwrap() > 0);
    agent.run();
    eventually("the next request", || {
        (agent.status()["upload"]["last_success"]).is_string().then_some(())
    });
    agent.settle();
    let (code, report) = audit(&agent);
    assert_eq!(
        (code, &report["journal"]["torn_bytes"]),
        (Some(0), &serde_json::json!(0)),
        "{report}"
    );
}

#[cfg(unix)]
#[test]
fn what_the_api_shows_is_what_left_and_lowering_and_off_keep_it() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 3));
    eventually("a report", || (agent.status()["events"]["uploaded"].as_u64()? > 20).then_some(()));
    agent.settle();
    let (status, journal) = agent.ask("GET", "/v1/journal?limit=500", "");
    assert_eq!(status, 200);
    let entries = journal["entries"].as_array().unwrap().clone();
    let uploaded = agent.status()["events"]["uploaded"].as_u64().unwrap();
    let taken = entries.iter().filter(|entry| entry["status"] == 200);
    assert_eq!(taken.map(|entry| entry["records"].as_u64().unwrap()).sum::<u64>(), uploaded);
    for entry in &entries {
        assert_eq!((&entry["outcome"], &entry["tls"]), (&"answered".into(), &"1.3".into()));
        let request =
            format!("GET /v1/journal/{}/body HTTP/1.1\r\nHost: x\r\n\r\n", entry["number"]);
        let answer = agent.raw(request.as_bytes()).unwrap();
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(
            answer.len() - head,
            usize::try_from(entry["body_bytes"].as_u64().unwrap()).unwrap()
        );
        assert_eq!(answer[head..head + 4], [0x28, 0xb5, 0x2f, 0xfd], "zstd");
    }
    let (_, volume) = agent.ask("GET", "/v1/volume", "");
    let days = volume["days"].as_array().unwrap();
    let sum = |key: &str| days.iter().map(|day| day[key].as_u64().unwrap()).sum::<u64>();
    let bytes: u64 = entries.iter().map(|entry| entry["body_bytes"].as_u64().unwrap()).sum();
    assert_eq!((sum("requests"), sum("body_bytes")), (entries.len() as u64, bytes));
    assert!(days[0]["by_level"]["1"]["records"].as_u64().unwrap() > 0);
    assert!(days[0]["by_category"]["device"].as_u64().unwrap() > 0, "{volume}");
    // What left has left: neither a lower level nor off takes it out of the journal.
    assert_eq!(agent.ctl(&["set-level", "1"]).code, Some(0));
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    let (_, after) = agent.ask("GET", "/v1/journal?limit=500", "");
    let kept = after["entries"].as_array().unwrap();
    assert!(entries.iter().all(|entry| kept.contains(entry)), "{after}");
    let (status, page) = agent.ask("GET", "/v1/events?level=3&limit=5", "");
    assert_eq!(status, 200, "{page}");
    assert!(!page["events"].as_array().unwrap().is_empty());
}

/// Records by number, as the command prints them.
fn events(agent: &Agent, arguments: &[&str]) -> BTreeMap<u64, Value> {
    let outcome = agent.ctl(&[&["events", "--json"], arguments].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.lines().into_iter().map(|event| (event["seq"].as_u64().unwrap(), event)).collect()
}

#[test]
fn every_record_is_shown_with_its_state_whether_the_agent_runs_or_not() {
    let mut collector = Collector::start();
    let mut agent = Agent::start(&Settings::to(&collector, 2));
    eventually("a report", || (agent.status()["events"]["uploaded"].as_u64()? > 20).then_some(()));
    collector.kill();
    eventually("something waits", || {
        (agent.status()["events"]["pending"].as_u64()? > 5).then_some(())
    });
    // The last report, and nothing after it.
    let _ = agent.ctl(&["flush", "--stop-probes"]);
    let still = || {
        let status = agent.status();
        let is_still = status["spool"]["loss_bound"]["events"] == 0;
        is_still.then(|| status["events"].clone())
    };
    let first = eventually("nothing lingers", still);
    let counts = eventually("nothing new comes", || still().filter(|counts| *counts == first));
    let all = events(&agent, &["--limit", "100000"]);
    let of = |state: &str| all.values().filter(|event| event["state"] == state).count() as u64;
    assert_eq!(all.len() as u64, counts["generated"].as_u64().unwrap(), "{counts}");
    assert_eq!(of("sent"), counts["uploaded"].as_u64().unwrap());
    assert_eq!(of("pending") + of("in_flight"), counts["pending"].as_u64().unwrap());
    let machine = all.values().find(|event| event["name"] == "candor.device.machine").unwrap();
    assert!(machine["attributes"]["architecture"].is_string(), "{machine}");
    assert_eq!(
        (&machine["level"], &machine["kind"], &machine["state"]),
        (&1.into(), &"log".into(), &"sent".into())
    );
    assert!(
        machine["request"].is_u64() && machine["uid"].is_string() && machine["time"].is_string()
    );
    let metric = all.values().find(|event| event["kind"] == "metric").unwrap();
    assert!(metric["points"].is_array() && metric["unit"].is_string(), "{metric}");

    let only = events(
        &agent,
        &["--name", "candor.device.", "--level", "1", "--state", "sent", "--limit", "100000"],
    );
    assert!(!only.is_empty());
    assert!(
        only.values().all(|event| event["name"].as_str().unwrap().starts_with("candor.device."))
    );
    assert!(events(&agent, &["--since", "2090-01-01T00:00:00Z"]).is_empty());
    assert!(events(&agent, &["--until", "24h"]).is_empty());
    let arch = machine["attributes"]["architecture"].as_str().unwrap().to_uppercase();
    let found = events(&agent, &["--text", &format!("{arch} DEVICE.MACHINE"), "--limit", "100000"]);
    assert!(found.contains_key(&machine["seq"].as_u64().unwrap()), "{found:?}");

    let number = machine["seq"].to_string();
    let shown = agent.ctl(&["events", "--seq", &number]);
    assert!(
        shown.stdout.contains("collected for:") && shown.stdout.contains("architecture = "),
        "{shown:?}"
    );
    let running = agent.ctl(&["events", "--json", "--seq", &number]).json();
    assert!(running["bytes"].is_string() && running["resource"]["service.name"] == "candor");
    agent.kill();
    assert_eq!(
        events(&agent, &["--limit", "100000"]).len(),
        all.len(),
        "as a stopped agent left it"
    );
    assert_eq!(agent.ctl(&["events", "--json", "--seq", &number]).json(), running);
    assert_eq!(agent.ctl(&["events", "--seq", "999999999"]).code, Some(1));
}

#[cfg(unix)]
#[test]
fn where_policy_disables_the_viewer_nobody_is_shown_what_left() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 1));
    agent.write("etc/candor/policy.d/10-org.toml", "DisableDiagnosticDataViewer = 1\n");
    assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    for path in ["/v1/events", "/v1/events/1", "/v1/journal", "/v1/journal/1/body", "/v1/volume"] {
        let (status, error) = agent.ask("GET", path, "");
        assert_eq!((status, &error["error"]["code"]), (403, &"refused_by_policy".into()), "{path}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("DisableDiagnosticDataViewer") && message.contains("10-org.toml"));
    }
    assert_eq!(agent.ctl(&["events"]).code, Some(3));
    assert_eq!(agent.ctl(&["audit"]).code, Some(0), "the chain is verified all the same");
    if nix::unistd::geteuid().is_root() {
        let asked = agent.ctl_as_stranger(&["events"]);
        assert_eq!(asked.code, Some(4), "{asked:?}");
    }
}
