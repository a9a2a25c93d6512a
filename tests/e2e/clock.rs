//! The wall clock of the real agent jumps by years, forwards and backwards, while it runs.
//!
//! What turns it is `libfaketime`, loaded into `agentd` alone: its wall clock is moved, its monotonic and its
//! boot clock are the host's. A suspend, which moves the boot clock alone, cannot be had so; the rules that
//! follow from it are tested where they are written (`timeline`, `window`).

use std::path::Path;

use candor_tests::{Agent, Collector, Settings, eventually, need};
use serde_json::Value;

use crate::delivery::{assert_balanced, sequence};

/// Where Debian keeps it.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

fn count(status: &Value, key: &str) -> u64 {
    status["events"][key].as_u64().unwrap()
}

/// Waits until upload holds for this reason and more is collected meanwhile; nothing is lost by it.
fn holds(agent: &Agent, reason: &str) {
    let before = count(&agent.status(), "generated");
    let status = eventually(reason, || {
        let status = agent.status();
        let is_so = status["upload"]["state"] == "hold"
            && status["upload"]["reason"].as_str()?.starts_with(reason);
        (is_so && count(&status, "generated") > before + 50).then_some(status)
    });
    assert!(status["upload"]["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{status}");
    assert_eq!(count(&status, "dropped"), 0, "{status}");
    assert_balanced(&status);
    assert_eq!(agent.ctl(&["audit"]).code, Some(0));
}

#[test]
fn jumps_of_the_wall_clock_by_years_lose_expire_and_double_nothing() {
    if !need("libfaketime", Path::new(LIBRARY).exists()) {
        return;
    }
    let collector = Collector::start();
    let settings = Settings::to(&collector, 3).replace("200ms", "100ms").replace("500ms", "200ms");
    let agent = Agent::prepare(&settings);
    let clock = agent.path("clock").display().to_string();
    let mut agent = agent.within(&[
        "env",
        &format!("LD_PRELOAD={LIBRARY}"),
        &format!("FAKETIME_TIMESTAMP_FILE={clock}"),
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "FAKETIME_NO_CACHE=1",
    ]);
    agent.write("clock", "+0");
    agent.run();
    eventually("it delivers", || (count(&agent.status(), "uploaded") > 30).then_some(()));
    // The collector's certificate is of today.
    agent.write("clock", "+10y");
    holds(&agent, "certificate");
    agent.write("clock", "-20y");
    holds(&agent, "clock");
    // A start in the wrong time is a start like another.
    agent.kill();
    agent.run();
    holds(&agent, "clock");
    agent.write("clock", "+0");
    agent.settle();
    let status = agent.status();
    assert_balanced(&status);
    assert_eq!(count(&status, "dropped"), 0, "{status}");
    let generated = count(&status, "generated");
    assert_eq!(sequence(&collector.records()), (1..=generated).collect());
    assert_eq!(collector.gaps(), Vec::<Value>::new());
    agent.kill();
}
