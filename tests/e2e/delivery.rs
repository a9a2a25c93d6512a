//! What the collector holds is what the agent says it uploaded: record by record, none twice, none missing.

use std::collections::{BTreeMap, BTreeSet};

use candor_tests::{Agent, Collector, Settings, eventually};
use serde_json::Value;

/// The sequence numbers and ids of one installation, as the collector holds them.
pub(crate) fn sequence(records: &[Value]) -> BTreeSet<u64> {
    let ids: BTreeSet<&str> =
        records.iter().map(|record| record["uid"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), records.len(), "a record id stands twice");
    let numbers: BTreeSet<u64> =
        records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), records.len(), "a sequence number stands twice");
    numbers
}

/// generated = uploaded + dropped + pending.
pub(crate) fn assert_balanced(status: &Value) {
    let count = |key: &str| status["events"][key].as_u64().unwrap();
    assert_eq!(
        count("generated"),
        count("uploaded") + count("dropped") + count("pending"),
        "{status}"
    );
    let by_level: u64 = status["events"]["by_level"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(count("generated"), by_level, "{status}");
}

#[test]
fn the_collector_holds_what_the_agent_says_it_uploaded() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 3));
    // Several reports, so that more than the first inventory travels.
    eventually("several uploads", || {
        (agent.status()["events"]["uploaded"].as_u64()? > 60).then_some(())
    });
    agent.settle();

    let status = agent.status();
    assert_balanced(&status);
    assert_eq!(status["events"]["dropped"], 0, "{status}");
    assert_eq!(status["upload"]["state"], "ok", "{status}");
    let records = collector.records();
    let uploaded = status["events"]["uploaded"].as_u64().unwrap();
    assert_eq!(sequence(&records), (1..=uploaded).collect(), "{}", agent.log());
    assert_eq!(collector.gaps(), Vec::<Value>::new());

    let install_id = status["install_id"].as_str().unwrap();
    assert!(records.iter().all(|record| record["install_id"] == install_id));
    let mut by_level = BTreeMap::<String, u64>::new();
    for record in &records {
        *by_level.entry(record["level"].to_string()).or_default() += 1;
    }
    for level in ["0", "1", "2", "3"] {
        assert!(
            by_level.get(level).is_some_and(|count| *count > 0),
            "nothing of level {level}: {by_level:?}"
        );
        assert_eq!(status["events"]["by_level"][level], by_level[level], "{status}");
    }
}

#[cfg(unix)]
#[test]
fn a_restart_goes_on_where_it_stopped() {
    let collector = Collector::start();
    let mut agent = Agent::start(&Settings::to(&collector, 2));
    let first = agent.status()["install_id"].as_str().unwrap().to_owned();
    assert!(agent.stop().success(), "{}", agent.log());
    agent.run();
    agent.settle();
    let status = agent.status();
    assert_eq!(status["install_id"], first);
    assert_balanced(&status);
    let uploaded = status["events"]["uploaded"].as_u64().unwrap();
    assert_eq!(sequence(&collector.records()), (1..=uploaded).collect());
}

#[test]
fn what_is_recorded_while_the_collector_is_away_arrives_later() {
    let mut collector = Collector::prepare();
    let agent = Agent::start(&Settings::to(&collector, 1));
    let status = eventually("a back-off", || {
        let status = agent.status();
        (status["upload"]["state"] == "backoff" && status["events"]["pending"].as_u64()? > 0)
            .then_some(status)
    });
    assert_eq!(status["events"]["dropped"], 0);
    assert!(
        status["upload"]["reason"].is_string() && status["upload"]["remedy"].is_string(),
        "{status}"
    );
    collector.serve();
    agent.settle();
    let uploaded = agent.status()["events"]["uploaded"].as_u64().unwrap();
    assert_eq!(sequence(&collector.records()), (1..=uploaded).collect());
}
