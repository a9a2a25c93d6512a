//! The store of a stopped agent in its owner's hands: `agentctl spool verify|export|repair`.

use std::collections::BTreeSet;
use std::fs;

use candor_tests::{Agent, Collector, Outcome, Settings, eventually};
use rusqlite::Connection;

use crate::delivery::{assert_balanced, sequence};
use crate::waiting::contents;

/// An agent that was killed while records wait, and how many.
fn killed(collector: &Collector) -> (Agent, u64) {
    let mut agent = Agent::start(&Settings::to(collector, 3));
    eventually("records wait", || {
        (agent.status()["events"]["pending"].as_u64()? > 60).then_some(())
    });
    let refused = agent.ctl(&["spool", "verify"]);
    assert_eq!(refused.code, Some(1), "a store in use is not looked at: {refused:?}");
    assert!(refused.stderr.contains("in use"), "{refused:?}");
    agent.kill();
    let pending = spool(&agent, &["verify"]).json()["pending"].as_u64().unwrap();
    (agent, pending)
}

fn spool(agent: &Agent, arguments: &[&str]) -> Outcome {
    agent.ctl(&[&["spool"], arguments, &["--json"]].concat())
}

#[test]
fn what_waits_in_a_stopped_store_is_verified_and_exported_without_a_change_and_repaired_when_asked()
{
    let mut collector = Collector::prepare();
    let (mut agent, pending) = killed(&collector);
    let state = agent.root().join("var/lib/candor");
    let before = contents(&state);
    let verified = spool(&agent, &["verify"]);
    assert_eq!((verified.code, &verified.json()["sound"]), (Some(0), &true.into()), "{verified:?}");
    let file = agent.path("waiting.ndjson");
    let export = |agent: &Agent| {
        let told = spool(agent, &["export", "--out", file.to_str().unwrap()]);
        assert_eq!(told.code, Some(0), "{told:?}");
        let text = fs::read_to_string(&file).unwrap();
        let records: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told.json()["records"], records.len());
        (records, told.json()["damaged_rows"].as_u64().unwrap())
    };
    let (records, damaged) = export(&agent);
    assert_eq!((records.len() as u64, damaged), (pending, 0));
    assert_eq!(contents(&state), before, "looking changes no byte");

    // One row is another than it was written.
    let store = Connection::open(state.join("spool.db")).unwrap();
    let bend = "UPDATE batch SET at = at + 1 WHERE id = (SELECT id FROM batch ORDER BY records DESC LIMIT 1)";
    assert_eq!(store.execute(bend, []).unwrap(), 1);
    drop(store);
    let verified = spool(&agent, &["verify"]);
    assert_eq!(
        (verified.code, &verified.json()["sound"]),
        (Some(1), &false.into()),
        "{verified:?}"
    );
    let (whole, damaged) = export(&agent);
    assert_eq!(damaged, 1);
    let repaired = spool(&agent, &["repair"]);
    assert_eq!((repaired.code, &repaired.json()["sound"]), (Some(0), &true.into()), "{repaired:?}");
    let lost = repaired.json()["lost"].as_u64().unwrap();
    assert_eq!((lost > 0, lost), (true, pending - whole.len() as u64), "{repaired:?}");
    assert_eq!(spool(&agent, &["verify"]).code, Some(0));

    // The agent goes on with it, and tells what is gone.
    collector.serve();
    agent.run();
    agent.settle();
    let status = agent.status();
    assert_balanced(&status);
    assert_eq!(status["events"]["dropped_by_reason"]["corrupt"].as_u64(), Some(lost), "{status}");
    let numbers = |records: &[serde_json::Value]| -> BTreeSet<u64> {
        records.iter().map(|record| record["seq"].as_u64().unwrap()).collect()
    };
    let gone: BTreeSet<u64> = numbers(&records).difference(&numbers(&whole)).copied().collect();
    let generated = status["events"]["generated"].as_u64().unwrap();
    let expected: BTreeSet<u64> = (1..=generated).filter(|seq| !gone.contains(seq)).collect();
    assert_eq!(sequence(&collector.records()), expected);
    let gaps = collector.gaps();
    let told = gaps.iter().filter(|line| line["cause"] == "corrupt");
    let told: BTreeSet<u64> = told
        .flat_map(|line| line["first"].as_u64().unwrap()..=line["last"].as_u64().unwrap())
        .collect();
    assert_eq!(told, gone, "{gaps:?}");
    agent.kill();
}
