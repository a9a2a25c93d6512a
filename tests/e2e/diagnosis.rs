//! `agentctl test`: every step with PASS or FAIL, a remedy, and what was not tried.

use candor_tests::{Agent, Collector, Outcome, Settings};
use serde_json::Value;

const STEPS: [&str; 8] = ["policy", "store", "clock", "dns", "tcp", "tls", "pin", "endpoint"];

fn results(outcome: &Outcome) -> Vec<String> {
    let json = outcome.json();
    let checks = json["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, STEPS);
    for check in checks.iter().filter(|check| check["result"] == "fail") {
        assert!(check["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{check}");
    }
    checks.iter().map(|check| check["result"].as_str().unwrap().to_owned()).collect()
}

/// So many steps pass, then one fails, and the rest is not tried.
fn fails_at(outcome: &Outcome, step: &str) -> Value {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let at = STEPS.iter().position(|name| *name == step).unwrap();
    let expected = (0..STEPS.len()).map(|n| match n.cmp(&at) {
        std::cmp::Ordering::Less => "pass",
        std::cmp::Ordering::Equal => "fail",
        std::cmp::Ordering::Greater => "not_tried",
    });
    assert_eq!(results(outcome), expected.collect::<Vec<_>>(), "{outcome:?}");
    outcome.json()["checks"][at].clone()
}

fn test(agent: &Agent) -> Outcome {
    agent.ctl(&["test", "--json"])
}

#[test]
fn a_good_way_passes_with_and_without_a_daemon_and_sends_no_record() {
    let collector = Collector::start();
    let mut agent = Agent::prepare(&Settings::to(&collector, 1));
    let tried = test(&agent);
    assert_eq!(tried.code, Some(0), "{tried:?}");
    assert_eq!(results(&tried), ["pass"; 8]);
    assert!(agent.ctl(&["test"]).stdout.contains("PASS  endpoint"));
    assert_eq!(collector.records(), Vec::<Value>::new());
    assert!(!agent.root().join("var").exists(), "it left something");
    agent.run();
    assert_eq!(test(&agent).code, Some(0));
}

#[test]
fn a_key_that_is_not_pinned_fails_at_the_pin_and_the_one_that_would_match_is_named() {
    let (collector, other) = (Collector::start(), Collector::prepare());
    let pins = serde_json::to_string(&other.pins()).unwrap();
    let agent = Agent::prepare(&Settings::to(&collector, 1).with("CertificatePins", &pins));
    let tried = test(&agent);
    assert_eq!(fails_at(&tried, "pin")["reason"], "pin");
    let would_match = tried.json()["would_match"].clone();
    assert!(
        would_match.as_array().unwrap().contains(&collector.pins()[0].clone().into()),
        "{tried:?}"
    );
    let text = agent.ctl(&["test"]).stdout;
    assert!(
        text.contains("FAIL  pin")
            && text.contains("to do:")
            && text.contains(&collector.pins()[0]),
        "{text}"
    );
}

#[test]
fn a_certificate_that_does_not_verify_fails_at_tls_and_is_named() {
    let (collector, other) = (Collector::start(), Collector::prepare());
    let settings = Settings::to(&collector, 1).replace(collector.ca_file(), other.ca_file());
    let agent = Agent::prepare(&settings);
    let tried = test(&agent);
    assert_eq!(fails_at(&tried, "tls")["reason"], "certificate");
    let presented = tried.json()["presented"].clone();
    assert_eq!(presented[0]["subject"], "Candor collector", "{presented}");
}

#[test]
fn a_door_that_is_shut_fails_at_tcp_and_a_name_without_an_address_at_dns() {
    let collector = Collector::prepare();
    let agent = Agent::prepare(&Settings::to(&collector, 1));
    assert_eq!(fails_at(&test(&agent), "tcp")["reason"], "connection");
    // A label of 64 letters is no name: no resolver is asked for it.
    let nowhere = format!("\"https://{}.test\"", "a".repeat(64));
    agent.configure(&Settings::to(&collector, 1).with("EventsEndpoint", &nowhere));
    assert_eq!(fails_at(&test(&agent), "dns")["reason"], "connection");
}

#[test]
fn without_an_endpoint_and_with_a_broken_policy_that_is_what_fails() {
    let agent = Agent::prepare(&Settings::level(1));
    let tried = test(&agent);
    assert_eq!(tried.code, Some(1), "{tried:?}");
    assert_eq!(results(&tried)[7], "fail");
    agent.write("etc/candor/policy.d/1.toml", "AllowTelemetry = \"much\"\n");
    let tried = test(&agent);
    assert_eq!(results(&tried)[0], "fail", "{tried:?}");
    agent.write("etc/candor/agent.toml", "[upload\n");
    let tried = test(&agent);
    assert_eq!((results(&tried)[0].as_str(), results(&tried)[7].as_str()), ("fail", "not_tried"));
}

#[test]
fn while_off_it_connects_only_for_the_owner_and_is_written_down_before() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 1));
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    assert_eq!(test(&agent).code, Some(0));
    let trail = agent.ctl(&["explain", "--history", "--json"]).lines();
    let last = trail.last().unwrap();
    assert_eq!(last["subject"], "test", "{trail:?}");
    assert!(
        last["to"].as_str().unwrap().contains("127.0.0.1") && last["pid"].is_number(),
        "{last}"
    );
    assert_eq!(agent.status()["upload"]["state"], "off");
    // It is the owner's own business: the receiver is not told of it.
    assert_eq!(agent.ctl(&["enable"]).code, Some(0));
    agent.settle();
    assert!(!collector.records().iter().any(|record| record["attributes"]["subject"] == "test"));

    #[cfg(unix)]
    if nix::unistd::geteuid().is_root() {
        assert_eq!(agent.ctl(&["disable"]).code, Some(0));
        let lines = agent.ctl(&["explain", "--history", "--json"]).lines().len();
        let refused = agent.ctl_as_stranger(&["test"]);
        assert_eq!(refused.code, Some(4), "{refused:?}");
        assert_eq!(agent.ctl(&["explain", "--history", "--json"]).lines().len(), lines);
    }
}
