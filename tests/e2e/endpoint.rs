//! The receiver misbehaves or is not who it should be: nothing is lost, and status says what to do.

use candor_tests::{Agent, Collector, Settings, eventually};
use serde_json::Value;

use crate::delivery::sequence;

fn hold(agent: &Agent) -> Value {
    let status = eventually("a hold", || {
        let status = agent.status();
        (status["upload"]["state"] == "hold" && status["events"]["pending"].as_u64()? > 0)
            .then_some(status)
    });
    assert_eq!(status["events"]["dropped"], 0, "{status}");
    assert_eq!(status["events"]["uploaded"], 0, "{status}");
    assert!(
        status["upload"]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()),
        "{status}"
    );
    status
}

#[test]
fn a_wrong_pin_holds_everything_until_the_right_one_is_configured() {
    let collector = Collector::start();
    let foreign = Collector::prepare();
    let pins: Vec<String> = foreign.pins().iter().map(|pin| format!("{pin:?}")).collect();
    let wrong =
        Settings::to(&collector, 1).with("CertificatePins", &format!("[{}]", pins.join(", ")));
    let agent = Agent::start(&wrong);
    let status = hold(&agent);
    assert!(status["upload"]["reason"].as_str().unwrap().contains("pin"), "{status}");
    assert_eq!(
        collector.records(),
        Vec::<Value>::new(),
        "bytes went to a server whose key is not pinned"
    );

    let tested = agent.ctl(&["pins", "test", "--json"]);
    assert_eq!(tested.code, Some(1), "{tested:?}");
    assert!(
        collector.pins().iter().any(|pin| tested.stdout.contains(pin)),
        "the pin that would match is not named: {tested:?}"
    );

    agent.configure(&Settings::to(&collector, 1));
    eventually("the hold ends", || (agent.status()["upload"]["state"] == "ok").then_some(()));
    agent.settle();
    let uploaded = agent.status()["events"]["uploaded"].as_u64().unwrap();
    assert_eq!(sequence(&collector.records()), (1..=uploaded).collect());
}

#[test]
fn a_foreign_certificate_holds() {
    let collector = Collector::start();
    let foreign = Collector::prepare();
    let ours = Settings::to(&collector, 1);
    let agent = Agent::start(&ours.replace(collector.ca_file(), foreign.ca_file()));
    let status = hold(&agent);
    assert!(status["upload"]["reason"].as_str().unwrap().contains("certificate"), "{status}");
}

#[test]
fn a_single_pin_is_a_hold_with_a_remedy_and_never_an_exit() {
    let collector = Collector::start();
    let one = format!("[{:?}]", collector.pins()[0]);
    let agent = Agent::start(&Settings::to(&collector, 1).with("CertificatePins", &one));
    hold(&agent);
}

#[test]
fn without_an_endpoint_nothing_is_spooled_and_the_remedy_is_said() {
    let agent = Agent::start(&Settings::level(3));
    // A report that is asked for finds nothing to keep, either.
    assert_eq!(agent.ctl(&["flush", "--wait"]).code, Some(1));
    let status = agent.status();
    assert_eq!(status["upload"]["state"], "hold", "{status}");
    assert!(status["upload"]["remedy"].as_str().unwrap().contains("EventsEndpoint"), "{status}");
    assert_eq!(status["events"]["generated"], 0, "{status}");
}

#[test]
fn while_the_preferred_endpoint_is_away_a_fallback_serves_and_then_the_preferred_one_again() {
    let mut preferred = Collector::prepare();
    let fallback = Collector::start();
    let pins = [preferred.pins(), fallback.pins()].concat();
    let settings =
        Settings::to(&preferred, 1).with("CertificatePins", &format!("{pins:?}")).replace(
            "interval = \"500ms\"",
            &format!("fallback_endpoints = [\"{}\"]\ninterval = \"500ms\"", fallback.endpoint()),
        );
    let agent = Agent::prepare(&settings);
    // Both authorities are trusted.
    let both = [preferred.ca_file(), fallback.ca_file()]
        .map(|file| std::fs::read_to_string(file).unwrap());
    agent.write("both.pem", &both.concat());
    let both = agent.path("both.pem");
    agent.configure(&settings.replace(preferred.ca_file(), both.to_str().unwrap()));
    let mut agent = agent;
    agent.run();
    let serves = |collector: &Collector| {
        eventually("the other endpoint", || {
            let status = agent.status();
            let upload = &status["upload"];
            let is_so = upload["endpoint"] == collector.endpoint() && upload["state"] == "ok";
            (is_so && upload["last_success"].is_string()).then_some(())
        });
    };
    serves(&fallback);
    preferred.serve();
    serves(&preferred);
    agent.settle();
    let records = [preferred.records(), fallback.records()].concat();
    let uploaded = agent.status()["events"]["uploaded"].as_u64().unwrap();
    assert_eq!(sequence(&records), (1..=uploaded).collect());
}
