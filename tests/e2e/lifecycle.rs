//! The life of a policy file: it appears, changes, breaks, is repaired and disappears; and that of
//! `agent.toml`. Each counts within a second and is explained.

use std::fs;
use std::time::{Duration, Instant};

use candor_tests::{Agent, Collector, Settings, eventually};
use serde_json::Value;

/// The contract's second.
const PROMISE: Duration = Duration::from_secs(1);
const FILE: &str = "etc/candor/policy.d/10-org.toml";

/// Makes a change and gives what is explained once it counts; that is asked over the socket, so that
/// the second is the agent's and not that of starting a program.
fn after(agent: &Agent, change: impl Fn(&Agent), level: u64) -> Value {
    let from = Instant::now();
    change(agent);
    let took = eventually("the change counts", || {
        let now = agent.ask("GET", "/v1/level", "").1;
        (now["effective"].as_u64() == Some(level)).then(|| from.elapsed())
    });
    assert!(took < PROMISE, "it took {took:?}");
    agent.ask("GET", "/v1/explain", "").1
}

/// The verdict about a place.
fn verdict(explanation: &Value, place: &str) -> String {
    let layers = explanation["layers"].as_array().unwrap();
    let layer = layers.iter().find(|layer| layer["place"].as_str().unwrap().contains(place));
    layer.map_or_else(String::new, |layer| layer["verdict"].as_str().unwrap().to_owned())
}

#[test]
fn a_policy_file_appears_changes_breaks_is_repaired_and_disappears() {
    let agent = Agent::start(&Settings::level(3));

    let appeared = after(&agent, |agent| agent.write(FILE, "AllowTelemetry = 1\n"), 1);
    assert_eq!((&appeared["winner"], &appeared["requested"]), (&"policy".into(), &3.into()));
    assert!(verdict(&appeared, "10-org.toml").contains("decides"), "{appeared}");

    let changed = after(&agent, |agent| agent.write(FILE, "AllowTelemetry = 2\n"), 2);
    assert_eq!(changed["winner"], "policy", "{changed}");

    let broken = after(&agent, |agent| agent.write(FILE, "AllowTelemetry = \"all\"\n"), 0);
    let said = verdict(&broken, "10-org.toml");
    assert!(said.contains("AllowTelemetry") && said.contains("line 1"), "{broken}");
    let status = agent.status();
    assert_eq!(status["upload"]["state"], "hold", "{status}");

    let repaired = after(&agent, |agent| agent.write(FILE, "MaxTelemetryAllowed = 2\n"), 2);
    assert!(!verdict(&repaired, "10-org.toml").contains("AllowTelemetry ="), "{repaired}");

    let gone = after(&agent, |agent| fs::remove_file(agent.path(FILE)).unwrap(), 3);
    assert_eq!(gone["winner"], "configuration", "{gone}");
    assert_eq!(verdict(&gone, "10-org.toml"), "", "{gone}");
}

#[test]
fn a_bad_configuration_is_not_taken_and_status_says_why_until_it_is_mended() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 2));
    let before = agent.status();
    assert!(before.get("config_error").is_none(), "{before}");
    let good = fs::read_to_string(agent.path("etc/candor/agent.toml")).unwrap();

    agent.write("etc/candor/agent.toml", &good.replace("AllowTelemetry = 2", "AllowTelemetry = 9"));
    #[cfg(unix)]
    agent.signal(nix::sys::signal::Signal::SIGHUP);
    let status = eventually("status says so", || {
        let status = agent.status();
        status.get("config_error").is_some().then_some(status)
    });
    let error = status["config_error"].as_str().unwrap();
    assert!(error.contains("agent.toml:1") && error.contains("AllowTelemetry"), "{error}");
    assert_eq!(
        (&status["level"]["effective"], &status["upload"]["enabled"]),
        (&2.into(), &true.into())
    );
    let reloaded = agent.ctl(&["reload", "--json"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    assert!(
        reloaded.json()["warnings"][0].as_str().unwrap().contains("agent.toml:1"),
        "{reloaded:?}"
    );

    // The old one runs on: it still uploads to the same place, from the same store.
    let uploaded = agent.status()["events"]["uploaded"].as_u64().unwrap();
    eventually("it uploads on", || {
        (agent.status()["events"]["uploaded"].as_u64()? > uploaded).then_some(())
    });
    let after = agent.status();
    assert_eq!(after["install_id"], before["install_id"]);
    assert!(after["uptime_seconds"].as_u64() >= before["uptime_seconds"].as_u64());

    agent.write("etc/candor/agent.toml", &good.replace("AllowTelemetry = 2", "AllowTelemetry = 1"));
    eventually("the mended one counts", || {
        let status = agent.status();
        (status["level"]["effective"] == 1 && status.get("config_error").is_none()).then_some(())
    });
    agent.settle();
    crate::delivery::assert_balanced(&agent.status());
}
