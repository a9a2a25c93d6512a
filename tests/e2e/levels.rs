//! Lowering purges, raising sends nothing from before, and the owner's word is found by `explain`.

use std::fs;
use std::time::{Duration, Instant};

use candor_tests::{Agent, Collector, Settings, eventually};

use crate::delivery::assert_balanced;
use crate::waiting::{Waiting, contents};

/// From the return of the command until the level must hold.
const PROMISE: Duration = Duration::from_secs(2);

#[test]
fn lowering_to_security_leaves_nothing_above_it_on_the_disk() {
    // Nobody listens: everything waits.
    let collector = Collector::prepare();
    let agent = Agent::start(&Settings::to(&collector, 3));
    let state = agent.path("var/lib/candor/x").parent().unwrap().to_owned();
    eventually("records of every level wait", || {
        let by_level = agent.status()["events"]["by_level"].clone();
        ["0", "1", "2", "3"].iter().all(|level| by_level[level].as_u64() > Some(0)).then_some(())
    });
    let waiting = eventually("they are on the disk", || {
        Waiting::read(&state).filter(|rows| (0..=3).all(|level| rows.count(|its| its == level) > 0))
    });

    let outcome = agent.ctl(&["set-level", "0", "--json"]);
    let from = Instant::now();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.json()["effective"], 0, "{outcome:?}");
    let files = contents(&state);
    assert!(from.elapsed() < PROMISE, "the machine is too slow to tell");
    assert_eq!(waiting.levels_in(&files), [0], "what is allowed stays, and nothing else");

    let status = agent.status();
    assert_balanced(&status);
    assert_eq!(status["level"]["effective"], 0);
    assert!(status["events"]["dropped_by_reason"]["withdrawn"].as_u64() > Some(0), "{status}");
    // Nothing above level 0 is generated from now on, however many rounds pass.
    let above = |status: &serde_json::Value| {
        ["1", "2", "3"].map(|level| status["events"]["by_level"][level].as_u64().unwrap())
    };
    let generated = above(&status);
    eventually("further rounds", || {
        let answered = agent.ctl(&["flush"]).code == Some(0);
        (answered && from.elapsed() > Duration::from_secs(3)).then_some(())
    });
    assert_eq!(above(&agent.status()), generated);
}

/// Every time that stands in a record: its own, and where the windows of its points begin. To the second.
fn times(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
            let is_time = ["time", "start"].contains(&key.as_str());
            found.extend(value.as_str().filter(|_| is_time).map(|time| time[..19].to_owned()));
            times(value, found);
        }),
        serde_json::Value::Array(list) => list.iter().for_each(|value| times(value, found)),
        _ => {}
    }
}

#[test]
fn raising_sends_nothing_that_was_measured_before() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 1));
    eventually("some seconds of work at level 1", || {
        (agent.status()["events"]["uploaded"].as_u64()? > 15
            && agent.status()["uptime_seconds"].as_u64()? > 2)
            .then_some(())
    });
    assert_eq!(agent.ctl(&["set-level", "3"]).code, Some(0));
    let history = agent.ctl(&["explain", "--history", "--json"]).lines();
    let raised = history.last().unwrap()["time"].as_str().unwrap()[..19].to_owned();
    eventually("work at level 3", || {
        (agent.status()["events"]["by_level"]["3"].as_u64()? > 0).then_some(())
    });
    agent.settle();
    let records = collector.records();
    let above = records.iter().filter(|record| record["level"].as_u64() > Some(1));
    // The events of these levels tell when processes began, long before anybody looked.
    let above: Vec<_> = above.filter(|record| record["kind"] == "metric").collect();
    let mut found = Vec::new();
    for record in &above {
        times(record, &mut found);
    }
    assert!(found.len() > above.len(), "no window is told: {above:?}");
    assert!(found.iter().all(|time| *time >= raised), "{raised}: {found:?}");
}

#[test]
fn a_policy_overrides_the_operator_and_is_explained() {
    let agent = Agent::start(&Settings::level(3));
    agent.write("etc/candor/policy.d/10-org.toml", "AllowTelemetry = 1\n");
    let status = eventually("the policy counts", || {
        let status = agent.status();
        (status["level"]["effective"] == 1).then_some(status)
    });
    assert!(status["level"]["source"].as_str().unwrap().contains("10-org.toml"), "{status}");
    assert_eq!(status["level"]["name"], "basic");

    let refused = agent.ctl(&["set-level", "2"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(!agent.path("var/lib/candor/operator.toml").exists(), "a refused level was written");

    let explained = agent.ctl(&["explain", "--json"]).json();
    assert_eq!(explained["effective"], 1, "{explained}");
    let layers = explained["layers"].as_array().unwrap();
    assert!(
        layers.iter().any(|layer| layer["value"] == 3),
        "agent.toml is not explained: {explained}"
    );

    fs::remove_file(agent.path("etc/candor/policy.d/10-org.toml")).unwrap();
    eventually("the policy is gone", || (agent.status()["level"]["effective"] == 3).then_some(()));
}

#[test]
fn a_malformed_policy_counts_as_level_0_and_says_why() {
    let agent = Agent::prepare(&Settings::level(3));
    agent.write("etc/candor/policy.d/10-org.toml", "AllowTelemetry = \"much\"\n");
    let mut agent = agent;
    agent.run();
    let status = agent.status();
    assert_eq!(status["level"]["effective"], 0, "{status}");
    assert_eq!(status["upload"]["state"], "hold", "{status}");
    let explained = agent.ctl(&["explain"]);
    assert!(
        explained.stdout.contains("10-org.toml") && explained.stdout.contains("AllowTelemetry"),
        "{explained:?}"
    );
}
