//! What is kept on this host is shown whatever the state of the agent: what waits while telemetry is off, what a local
//! program told with its manifest's words, and the journal within the bounds that its owner set.

use std::collections::BTreeMap;

use candor_tests::{Agent, Collector, Program, Settings, eventually, export};
use serde_json::{Value, json};

use crate::ingest::{order, prepared};
use crate::off::{state, still};

fn event(agent: &Agent, seq: &Value) -> Value {
    let (status, event) = agent.ask("GET", &format!("/v1/events/{seq}"), "");
    assert_eq!(status, 200, "{event}");
    event
}

/// What the daemon shows, by number.
fn events(agent: &Agent) -> BTreeMap<u64, Value> {
    let (mut all, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let (status, page) = agent.ask("GET", &format!("/v1/events?limit=1000{cursor}"), "");
        assert_eq!(status, 200, "{page}");
        let shown = page["events"].as_array().unwrap().iter().cloned();
        all.extend(shown.map(|event| (event["seq"].as_u64().unwrap(), event)));
        match &page["next"] {
            Value::Null => return all,
            next => cursor = format!("&before={next}"),
        }
    }
}

#[test]
fn what_waits_is_shown_while_telemetry_is_off_and_no_byte_changes() {
    let collector = Collector::prepare();
    let mut agent = Agent::start(&Settings::to(&collector, 2));
    eventually("records wait", || {
        assert_eq!(agent.ctl(&["flush", "--stop-probes"]).code, Some(0));
        (agent.status()["events"]["pending"].as_u64()? > 20).then_some(())
    });
    assert_eq!(agent.ctl(&["disable", "--keep-pending"]).code, Some(0));
    let pending = agent.status()["events"]["pending"].as_u64().unwrap();
    let before = still(&agent);

    let all = events(&agent);
    assert_eq!(all.len() as u64, pending);
    assert!(all.values().all(|event| event["state"] == "pending"), "{all:?}");
    let machine = all.values().find(|event| event["name"] == "candor.device.machine").unwrap();
    let machine = event(&agent, &machine["seq"]);
    assert!(machine["bytes"].is_string() && machine["boot_id"].is_string(), "{machine}");
    let fields = machine["fields"].as_array().unwrap();
    assert!(fields.iter().all(|field| field["text"].is_string()), "{machine}");
    let audit = agent.ctl(&["audit", "--json"]);
    assert_eq!((audit.code, &audit.json()["pending_by_rows"]), (Some(0), &json!(pending)));
    assert_eq!(state(&agent), before, "looking changed something");

    // Who looks meanwhile keeps nobody from switching it on.
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| (0..20).for_each(|_| drop(events(&agent))));
        assert_eq!(agent.ctl(&["enable"]).code, Some(0));
        looking.join().unwrap();
    });
    assert_ne!(agent.status()["upload"]["state"], "off");
    let log = agent.log();
    assert!(!log.contains("cannot start"), "{log}");
    agent.kill();
}

#[test]
fn what_a_program_told_is_explained_by_its_manifest_while_it_waits_and_after_it_left() {
    let mut collector = Collector::prepare();
    let mut agent = prepared(&collector, 2);
    agent.run();
    let mut program = Program::reach(&agent.root());
    let mut log = order(7);
    log["body"] = json!({"stringValue": "two lamps"});
    let told = program.post_json("/v1/logs", &export("logs", "shop", &[log])).unwrap();
    assert_eq!(told.status, 200, "{told:?}");
    let seq = {
        let (_, page) = agent.ask("GET", "/v1/events?name=shop.order", "");
        page["events"][0]["seq"].clone()
    };
    let waiting = event(&agent, &seq);
    assert_eq!((&waiting["state"], &waiting["provider"]), (&json!("pending"), &json!("shop")));
    assert_eq!(waiting["resource"]["service.name"], "shop", "{waiting}");
    assert_eq!(waiting["boot_id"], agent.status()["boot_id"], "{waiting}");
    let expected = |name: &str, value: Value, class: &str, text: &str| json!({"name": name, "value": value, "level": 2, "class": class, "purpose": "to test", "text": text});
    let fields = json!([
        expected("n", json!(7), "software", "Its number."),
        expected("body", json!("two lamps"), "diagnostic text", "What was said."),
    ]);
    assert_eq!(waiting["fields"], fields, "{waiting}");
    let shown = agent.ctl(&["events", "--seq", &seq.to_string()]).stdout;
    assert!(shown.contains("told by shop") && shown.contains("Its number."), "{shown}");
    let own = eventually("the agent tells something itself", || {
        events(&agent).into_values().find(|event| event["name"] == "candor.agent.settings")
    });
    assert_eq!(event(&agent, &own["seq"])["provider"], Value::Null);

    collector.serve();
    agent.settle();
    let sent = event(&agent, &seq);
    assert_eq!(sent["state"], "sent");
    for key in ["provider", "fields", "boot_id", "resource", "bytes", "attributes", "body"] {
        assert_eq!(sent[key], waiting[key], "{key}");
    }
    agent.kill();
    let stopped = agent.ctl(&["events", "--json", "--seq", &seq.to_string()]).json();
    assert_eq!(stopped, sent, "as a stopped agent left it");
}

/// Bytes of the journal's files.
fn journal_bytes(agent: &Agent) -> u64 {
    let files = state(agent).into_iter();
    let of_journal = files.filter(|(path, _)| path.extension().is_some_and(|it| it == "journal"));
    of_journal.map(|(_, (length, _))| length).sum()
}

#[test]
fn a_smaller_journal_is_smaller_at_once_and_one_of_no_bytes_is_none_and_says_so() {
    let collector = Collector::start();
    let settings = |most: &str| {
        Settings::to(&collector, 3).table("journal", &format!("max_bytes = \"{most}\""))
    };
    let agent = Agent::start(&settings("16MiB"));
    eventually("much has left", || {
        assert_eq!(agent.ctl(&["flush", "--wait"]).code, Some(0));
        (journal_bytes(&agent) > 24 * 1024).then_some(())
    });
    let reload = |most: &str| {
        agent.configure(&settings(most));
        assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    };
    reload("16KiB");
    let left = journal_bytes(&agent);
    assert!(left > 0 && left <= 16 * 1024, "{left} bytes");
    let audit = agent.ctl(&["audit", "--json"]);
    assert_eq!(audit.code, Some(0), "{audit:?}");

    reload("0B");
    assert_eq!(journal_bytes(&agent), 0);
    let uploaded = || agent.status()["events"]["uploaded"].as_u64().unwrap();
    let before = uploaded();
    eventually("it goes on delivering", || (uploaded() > before).then_some(()));
    assert_eq!(journal_bytes(&agent), 0);
    let (_, page) = agent.ask("GET", "/v1/journal", "");
    assert_eq!(page, json!({"entries": [], "holes": [], "max_bytes": 0, "next": null}));
    let journal = &agent.status()["journal"];
    assert_eq!(*journal, json!({"max_bytes": 0, "bytes": null, "holes": 0, "trouble": null}));
    for command in ["audit", "status"] {
        let told = agent.ctl(&[command]);
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.stdout.contains("journal.max_bytes = 0"), "{told:?}");
    }
    reload("16MiB");
    eventually("it is kept again", || (journal_bytes(&agent) > 0).then_some(()));
    let audit = agent.ctl(&["audit", "--json"]).json();
    assert_eq!((&audit["sound"], &audit["journal"]["first"]), (&json!(true), &json!(1)), "{audit}");
}
