//! kill -9 in the middle of work: the ledger holds, and the collector misses nothing that was acknowledged.

#[cfg(unix)]
use std::time::Duration;

use candor_tests::{Agent, Collector, Settings, eventually};

use crate::delivery::{assert_balanced, sequence};

#[cfg(unix)]
mod random;

/// Kills in a row; the long suite multiplies them.
fn rounds() -> u32 {
    if std::env::var_os("CANDOR_LONG").is_some() { 400 } else { 20 }
}

#[test]
fn twenty_kills_of_the_agent_lose_and_double_nothing() {
    let collector = Collector::start();
    let settings = Settings::to(&collector, 3).replace("200ms", "100ms").replace("500ms", "100ms");
    let mut agent = Agent::prepare(&settings);
    let mut uploaded = 0;
    for round in 0..rounds() {
        agent.run();
        // Kill at another point of its work each time: at once, or after more records went out.
        let wanted = uploaded + u64::from(round % 5) * 7;
        uploaded = eventually("work", || {
            let status = agent.status();
            assert_balanced(&status);
            status["events"]["uploaded"].as_u64().filter(|uploaded| *uploaded >= wanted)
        });
        let audit = agent.ctl(&["audit"]);
        assert_eq!(audit.code, Some(0), "{audit:?}");
        agent.kill();
    }
    agent.run();
    agent.settle();
    let status = agent.status();
    assert_balanced(&status);
    assert_eq!(status["events"]["dropped"], 0, "{status}");
    let generated = status["events"]["generated"].as_u64().unwrap();
    assert_eq!(sequence(&collector.records()), (1..=generated).collect());
}

#[test]
fn kills_of_the_collector_lose_and_double_nothing() {
    let mut collector = Collector::start();
    let settings = Settings::to(&collector, 3).replace("200ms", "100ms").replace("500ms", "100ms");
    let agent = Agent::start(&settings);
    for _ in 0..rounds() / 4 {
        let before = agent.status()["events"]["uploaded"].as_u64().unwrap();
        eventually("work", || {
            assert_eq!(agent.ctl(&["flush"]).code, Some(0));
            (agent.status()["events"]["uploaded"].as_u64()? > before).then_some(())
        });
        collector.kill();
        collector.serve();
    }
    agent.settle();
    assert_eq!(agent.ctl(&["audit"]).code, Some(0));
    let status = agent.status();
    assert_balanced(&status);
    let uploaded = status["events"]["uploaded"].as_u64().unwrap();
    assert_eq!(status["events"]["dropped"], 0, "{status}");
    assert_eq!(sequence(&collector.records()), (1..=uploaded).collect());
}

/// How long a process is stopped; a minute in the long suite.
#[cfg(unix)]
fn standstill() -> Duration {
    Duration::from_secs(if std::env::var_os("CANDOR_LONG").is_some() { 60 } else { 3 })
}

#[cfg(unix)]
#[test]
fn a_standstill_of_the_agent_loses_and_doubles_nothing() {
    let collector = Collector::start();
    let settings = Settings::to(&collector, 3).replace("200ms", "100ms").replace("500ms", "100ms");
    let agent = Agent::start(&settings);
    for _ in 0..3 {
        agent.freeze(true);
        // The one thing that is waited for is that time passes.
        std::thread::sleep(standstill() / 3);
        agent.freeze(false);
        let before = agent.status()["events"]["uploaded"].as_u64().unwrap();
        eventually("work goes on", || {
            (agent.status()["events"]["uploaded"].as_u64()? > before).then_some(())
        });
    }
    agent.settle();
    let status = agent.status();
    assert_balanced(&status);
    assert_eq!(status["events"]["dropped"], 0, "{status}");
    let generated = status["events"]["generated"].as_u64().unwrap();
    assert_eq!(sequence(&collector.records()), (1..=generated).collect());
}
