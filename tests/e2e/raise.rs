//! A level that is set for a time: announced, kept over a restart, and over by itself.

use std::time::Duration;

use candor_tests::{Agent, Collector, Settings, eventually};
use serde_json::Value;

fn trail(agent: &Agent) -> Vec<Value> {
    agent.ctl(&["explain", "--history", "--json"]).lines()
}

#[test]
fn a_raise_for_a_time_is_announced_kept_over_a_restart_and_falls_back_by_itself() {
    let collector = Collector::start();
    let mut agent = Agent::start(&Settings::to(&collector, 1));
    let raised =
        agent.ctl(&["set-level", "3", "--for", "8s", "--reason", "disk trouble", "--json"]);
    assert_eq!(raised.code, Some(0), "{raised:?}");
    let until = raised.json()["until"].clone();
    assert!(until.is_string(), "{raised:?}");

    let level = agent.status()["level"].clone();
    assert_eq!(
        (&level["effective"], &level["until"], &level["afterwards"]),
        (&3.into(), &until, &1.into())
    );
    let shown = agent.ctl(&["status"]).stdout;
    assert!(shown.contains(&format!("until {}, then 1", until.as_str().unwrap())), "{shown}");
    eventually("the log announces it", || agent.log().contains("ends soon").then_some(()));

    agent.kill();
    agent.run();
    let level = agent.status()["level"].clone();
    assert_eq!((&level["effective"], &level["until"]), (&3.into(), &until), "lost by a restart");

    let level = eventually("it falls back", || {
        let level = agent.status()["level"].clone();
        (level["effective"] == 1).then_some(level)
    });
    assert!(level.get("until").is_none(), "{level}");
    let trail = trail(&agent);
    let last = trail.last().unwrap();
    assert_eq!(
        (&last["from"], &last["to"], &last["role"]),
        (&"3".into(), &"1".into(), &"agent".into()),
        "{trail:?}"
    );
}

#[test]
fn a_raise_that_ends_while_the_agent_is_stopped_has_ended_at_its_start() {
    let collector = Collector::prepare();
    let mut agent = Agent::start(&Settings::to(&collector, 3));
    assert_eq!(agent.ctl(&["set-level", "0"]).code, Some(0));
    assert_eq!(agent.ctl(&["set-level", "3", "--for", "1s"]).code, Some(0));
    eventually("level 3 is collected", || {
        (agent.status()["events"]["by_level"]["3"].as_u64() > Some(0)).then_some(())
    });
    agent.kill();
    std::thread::sleep(Duration::from_secs(2));
    agent.run();
    let status = agent.status();
    assert_eq!(status["level"]["effective"], 0, "{status}");
    assert_eq!(agent.ctl(&["set-level", "0"]).code, Some(0));
    assert!(status["events"]["dropped_by_reason"]["withdrawn"].as_u64() > Some(0), "{status}");
    let trail = trail(&agent);
    assert!(
        trail.iter().any(|entry| entry["to"] == "0" && entry["role"] == "agent"),
        "nobody says why it fell: {trail:?}"
    );
}

#[test]
fn a_raise_without_a_daemon_counts_from_then_and_is_told_by_level() {
    let agent = Agent::prepare(&Settings::level(1));
    assert_eq!(agent.ctl(&["set-level", "2", "--for", "1h"]).code, Some(0));
    let level = agent.ctl(&["level", "--json"]).json();
    assert_eq!((&level["effective"], &level["afterwards"]), (&2.into(), &1.into()), "{level}");
}

/// Nanoseconds of the start of a record's first window, else of its time.
fn begins(record: &Value) -> &str {
    let points = record["attributes"]["points"].as_array();
    let start = points.and_then(|points| points.first()?.get("start")?.as_str());
    start.or_else(|| record["time"].as_str()).unwrap()
}

#[test]
fn raising_sends_nothing_from_before_the_raise() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 1));
    eventually("some rounds at level 1", || {
        (agent.status()["events"]["uploaded"].as_u64()? > 20).then_some(())
    });
    assert_eq!(agent.ctl(&["set-level", "3"]).code, Some(0));
    let raise = trail(&agent).last().unwrap()["time"].as_str().unwrap().to_owned();
    eventually("rounds at level 3", || {
        (agent.status()["events"]["by_level"]["3"].as_u64() > Some(10)).then_some(())
    });
    agent.settle();
    let records = collector.records();
    let above: Vec<_> =
        records.iter().filter(|record| record["level"].as_u64() > Some(1)).collect();
    assert!(above.len() > 10, "{}", above.len());
    for record in above {
        // Both are RFC 3339 in UTC; to the second, texts compare like times.
        assert!(begins(record)[..19] >= raise[..19], "it is from before {raise}: {record}");
    }
}
