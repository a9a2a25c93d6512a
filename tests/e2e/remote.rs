//! Remote settings: a signed document lowers, nothing else does, and nothing of it raises.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use candor_tests::{Agent, Collector, Settings, eventually, programs};
use serde_json::{Value, json};

/// A host that wants remote settings from this collector.
fn wanting(collector: &Collector, level: u8) -> Settings {
    let public = fs::read_to_string(collector.store().join("settings.pub")).unwrap();
    Settings::to(collector, level)
        .with("SettingsEndpoint", &format!("\"{}\"", collector.endpoint()))
        .with("SettingsKeys", &format!("[\"{}\"]", public.lines().nth(1).unwrap()))
}

fn document(version: u64, words: &Value) -> Value {
    let mut document = json!({ "candor_settings": 1, "version": version, "audience": "all" });
    for (word, value) in words.as_object().unwrap() {
        document[word] = value.clone();
    }
    document
}

/// Signs with the key of one collector and publishes at another.
fn publish(signer: &Collector, at: &Collector, document: &Value) {
    let file = at.store().join("document.json");
    fs::write(&file, document.to_string()).unwrap();
    let outcome = Command::new(&programs().collector)
        .args(["settings", "sign", "--key"])
        .arg(signer.store().join("offline/settings.key"))
        .arg("--document")
        .arg(&file)
        .arg("--dir")
        .arg(at.store())
        .output()
        .unwrap();
    assert!(outcome.status.success(), "{outcome:?}");
}

fn trail(agent: &Agent) -> Vec<Value> {
    let text = fs::read_to_string(agent.path("var/lib/candor/audit.log")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of the trail about fetches.
fn fetches(agent: &Agent) -> Vec<Value> {
    let about = |line: &Value| line["subject"] == "remote_fetch";
    trail(agent).into_iter().filter(about).collect()
}

/// What `explain` says of remote settings: place and verdict.
fn explained(agent: &Agent) -> (String, String) {
    let explained = agent.ctl(&["explain", "--json"]).json();
    let layers = explained["layers"].as_array().unwrap();
    let line = layers.iter().find(|line| line["layer"] == "remote").cloned().unwrap_or_default();
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (text("place"), text("verdict"))
}

/// Asks for a fetch and waits until `explain` says so of remote settings.
fn reload_until(agent: &Agent, said: &str) {
    assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    eventually(said, || explained(agent).1.contains(said).then_some(()));
}

/// Asks for a fetch and waits for a refusal that says this.
fn refused(agent: &Agent, why: &str) {
    let before = fetches(agent).len();
    assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    let line = eventually(why, || fetches(agent).get(before).cloned());
    assert_eq!((&line["to"], &line["layer"]), (&json!("refused"), &json!("remote")), "{line}");
    assert!(line["reason"].as_str().unwrap().contains(why), "{line}");
}

fn level(agent: &Agent) -> Value {
    agent.status()["level"]["effective"].clone()
}

#[test]
fn a_ceiling_lowers_is_explained_and_audited_and_outlives_both_ends() {
    let mut collector = Collector::start();
    publish(&collector, &collector, &document(1, &json!({ "MaxTelemetryAllowed": 1 })));
    let mut agent = Agent::start(&wanting(&collector, 3));
    eventually("the ceiling counts", || (level(&agent) == 1).then_some(()));
    let status = agent.status();
    assert_eq!(status["level"]["requested"], 3, "{status}");
    assert_eq!(status["level"]["source"], "remote settings", "{status}");
    let (place, verdict) = explained(&agent);
    assert_eq!(place, collector.endpoint());
    assert_eq!(verdict, "decides: version 1: MaxTelemetryAllowed = 1");
    assert_eq!(
        agent.ctl(&["set-level", "2"]).code,
        Some(3),
        "the owner is told that it would not hold"
    );
    let lines = trail(&agent);
    let found = |subject: &str, to: &str| {
        lines.iter().any(|line| {
            line["subject"] == subject
                && line["to"].as_str().unwrap_or_default().starts_with(to)
                && line["layer"] == "remote"
                && line["role"] == "agent"
        })
    };
    assert!(found("remote_fetch", "accepted") && found("level", "1"), "{lines:?}");
    assert!(found("remote", "version 1: MaxTelemetryAllowed = 1"), "{lines:?}");

    // Nobody is there to ask, and it still counts, from the first moment on.
    collector.kill();
    agent.kill();
    agent.run();
    assert_eq!(level(&agent), 1);

    // A damaged copy counts as less, until the document is fetched again.
    agent.kill();
    agent.write("var/lib/candor/remote.json", "{}\n{}");
    agent.run();
    assert_eq!(level(&agent), 0);
    assert!(explained(&agent).1.contains("counts as a stop"), "{:?}", explained(&agent));
    assert_eq!(agent.status()["upload"]["state"], "hold");
    collector.serve();
    reload_until(&agent, "decides: version 1");
    assert_eq!(level(&agent), 1);

    publish(&collector, &collector, &document(2, &json!({ "MaxTelemetryAllowed": 3 })));
    reload_until(&agent, "version 2");
    assert_eq!(level(&agent), 3, "what was lowered from afar comes back, and no more");
}

#[test]
fn a_stop_stops_and_its_end_goes_on() {
    let collector = Collector::start();
    let agent = Agent::start(&wanting(&collector, 2));
    publish(&collector, &collector, &document(1, &json!({ "stop": true })));
    reload_until(&agent, "version 1: stop");
    let status = eventually("upload holds", || {
        let status = agent.status();
        (status["upload"]["state"] == "hold").then_some(status)
    });
    let reason = status["upload"]["reason"].as_str().unwrap();
    assert!(reason.contains("say stop") && reason.contains(&collector.endpoint()), "{reason}");
    // A round that was under way may end; from then on nothing comes, not even when it is asked for.
    let generated = |status: &Value| status["events"]["generated"].as_u64().unwrap();
    assert_eq!(agent.ctl(&["flush"]).code, Some(0));
    let before = generated(&agent.status());
    for _ in 0..3 {
        assert_eq!(agent.ctl(&["flush"]).code, Some(0));
    }
    assert_eq!(generated(&agent.status()), before);

    publish(&collector, &collector, &document(2, &json!({})));
    reload_until(&agent, "version 2: lowers nothing");
    eventually("it goes on", || (generated(&agent.status()) > before).then_some(()));
    agent.settle();
}

#[test]
fn an_event_that_is_off_is_no_longer_generated() {
    let collector = Collector::start();
    let agent = Agent::start(&wanting(&collector, 2));
    let count =
        |name: &str| collector.records().iter().filter(|record| record["name"] == name).count();
    eventually("both come", || {
        (count("system.cpu.time") > 0 && count("system.memory.usage") > 0).then_some(())
    });
    publish(&collector, &collector, &document(1, &json!({ "off": ["system.cpu.time"] })));
    reload_until(&agent, "off: system.cpu.time");
    // What was reported before it was off is sent.
    assert_eq!(agent.ctl(&["flush", "--wait"]).code, Some(0));
    let (off, other) = (count("system.cpu.time"), count("system.memory.usage"));
    eventually("the other comes again", || {
        (count("system.memory.usage") > other + 2).then_some(())
    });
    assert_eq!(count("system.cpu.time"), off);
    let status = agent.status();
    assert!(status["events"]["withheld_by_level"].as_u64() > Some(0), "{status}");
}

#[test]
fn what_may_not_count_is_refused_and_audited_and_the_last_good_one_stays() {
    let (collector, stranger) = (Collector::start(), Collector::prepare());
    publish(&collector, &collector, &document(5, &json!({ "MaxTelemetryAllowed": 2 })));
    let agent = Agent::start(&wanting(&collector, 3));
    eventually("the good one counts", || (level(&agent) == 2).then_some(()));
    let file = collector.store().join("settings.json");

    let documents = [
        (document(6, &json!({ "AllowTelemetry": 3 })), "states AllowTelemetry"),
        (document(6, &json!({ "UploadEnabled": 1 })), "states UploadEnabled"),
        (document(6, &json!({ "EventsEndpoint": "https://elsewhere" })), "states EventsEndpoint"),
        (document(6, &json!({ "CertificatePins": [] })), "states CertificatePins"),
        (document(6, &json!({ "sample_interval": "1ms" })), "unknown field"),
        (document(4, &json!({ "MaxTelemetryAllowed": 3 })), "version 4 where version 5 was taken"),
        (document(5, &json!({ "MaxTelemetryAllowed": 3 })), "version 5 where version 5 was taken"),
        (document(6, &json!({ "audience": ["somebody-else"] })), "for other hosts"),
        (document(6, &json!({ "expires": "2020-01-01T00:00:00Z" })), "expired"),
        (document(6, &json!({ "next_pins": [collector.pins()[0]] })), "at least 2"),
    ];
    for (document, why) in documents {
        publish(&collector, &collector, &document);
        refused(&agent, why);
    }
    publish(&stranger, &collector, &document(6, &json!({ "stop": true })));
    refused(&agent, "not signed by a key in SettingsKeys");
    fs::write(&file, document(6, &json!({ "stop": true })).to_string()).unwrap();
    refused(&agent, "carries no signature");
    publish(&collector, &collector, &document(6, &json!({ "stop": true })));
    let signed = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{signed}{}", " ".repeat(64 * 1024))).unwrap();
    refused(&agent, "larger than 64 KiB");
    fs::write(&file, signed.replace("stop", "Stop")).unwrap();
    refused(&agent, "not signed by a key in SettingsKeys");

    let (_, verdict) = explained(&agent);
    assert_eq!(verdict, "decides: version 5: MaxTelemetryAllowed = 2");
    assert_eq!(agent.status()["upload"]["state"], "ok");
    fs::write(&file, signed).unwrap();
    reload_until(&agent, "version 6: stop");
}

#[test]
fn intervals_and_ceilings_above_the_hosts_own_raise_nothing() {
    let collector = Collector::start();
    let words = json!({ "MaxTelemetryAllowed": 3, "min_sample_interval": "1ms", "min_upload_interval": "1ms" });
    publish(&collector, &collector, &document(1, &words));
    let slow = wanting(&collector, 1).replace("500ms", "1h").replace("200ms", "1h");
    let agent = Agent::start(&slow);
    reload_until(&agent, "version 1");
    assert_eq!(level(&agent), 1);
    assert_eq!(agent.ctl(&["flush", "--wait"]).code, Some(0));
    let generated = agent.status()["events"]["generated"].clone();
    let from = std::time::Instant::now();
    eventually("two seconds", || {
        (from.elapsed() > std::time::Duration::from_secs(2)).then_some(())
    });
    assert_eq!(agent.status()["events"]["generated"], generated, "it reports once an hour");
}

#[test]
fn a_next_pin_set_that_is_signed_lets_the_server_change_its_key() {
    let (mut collector, next) = (Collector::start(), Collector::prepare());
    // The host trusts both authorities, and has the pins of the first alone.
    let read = |collector: &Collector, name: &str| {
        fs::read_to_string(collector.store().join(name)).unwrap()
    };
    let both = read(&collector, "ca.pem") + &read(&next, "ca.pem");
    let both_file = collector.store().join("both.pem");
    fs::write(&both_file, both).unwrap();
    let settings = wanting(&collector, 1).replace(collector.ca_file(), both_file.to_str().unwrap());
    let agent = Agent::start(&settings);
    publish(&collector, &collector, &document(1, &json!({ "next_pins": next.pins() })));
    reload_until(&agent, "next pins: 2");
    let told = trail(&agent).into_iter().find(|line| line["subject"] == "pins").unwrap();
    assert_eq!(told["to"].as_str().unwrap().split(' ').count(), 4, "{told}");

    collector.kill();
    for name in ["server.pem", "server.key"] {
        fs::copy(next.store().join(name), collector.store().join(name)).unwrap();
    }
    collector.serve();
    let before = collector.records().len();
    agent.settle();
    assert!(collector.records().len() > before);
}

#[test]
fn disabling_the_downloads_ends_what_they_lowered_and_asks_nobody() {
    let collector = Collector::start();
    publish(&collector, &collector, &document(1, &json!({ "MaxTelemetryAllowed": 1 })));
    let agent = Agent::start(&wanting(&collector, 2).with("EnableOneSettingsAuditing", "1"));
    eventually("the ceiling counts", || (level(&agent) == 1).then_some(()));
    agent.write("etc/candor/policy.d/10-org.toml", "DisableOneSettingsDownloads = 1\n");
    eventually("it is gone", || (level(&agent) == 2).then_some(()));
    assert_eq!(explained(&agent).1, "DisableOneSettingsDownloads = 1: nothing is fetched");

    publish(&collector, &collector, &document(2, &json!({ "stop": true })));
    let before = fetches(&agent).len();
    for _ in 0..3 {
        assert_eq!(agent.ctl(&["reload"]).code, Some(0));
        agent.settle();
    }
    assert_eq!(fetches(&agent).len(), before);
    fs::remove_file(agent.path("etc/candor/policy.d/10-org.toml")).unwrap();
    reload_until(&agent, "version 2: stop");
}

#[test]
fn every_fetch_is_audited_where_policy_asks_for_it_and_only_what_matters_elsewhere() {
    let collector = Collector::start();
    publish(&collector, &collector, &document(1, &json!({})));
    let words = |agent: &Agent| -> Vec<String> {
        fetches(agent).iter().map(|line| line["to"].as_str().unwrap().to_owned()).collect()
    };
    let agent = Agent::start(&wanting(&collector, 1).with("EnableOneSettingsAuditing", "1"));
    reload_until(&agent, "version 1");
    eventually("an unchanged one is written", || {
        assert_eq!(agent.ctl(&["reload"]).code, Some(0));
        words(&agent).contains(&"unchanged".to_owned()).then_some(())
    });
    assert_eq!(words(&agent).iter().filter(|word| *word == "accepted").count(), 1);

    let quiet = Agent::start(&wanting(&collector, 1));
    reload_until(&quiet, "version 1");
    // A refusal after it shows that the unchanged ones were fetched and are not written.
    for _ in 0..3 {
        assert_eq!(quiet.ctl(&["reload"]).code, Some(0));
    }
    fs::write(collector.store().join("settings.json"), "{}").unwrap();
    refused(&quiet, "carries no signature");
    let written = words(&quiet);
    assert_eq!(written.first().map(String::as_str), Some("accepted"));
    assert!(written[1..].iter().all(|word| word == "refused"), "{written:?}");
}

/// Whether somebody has connected since the last question.
fn was_asked(listener: &TcpListener) -> bool {
    // Dropped at once: the agent's handshake fails, and so does its fetch.
    std::iter::from_fn(|| listener.accept().ok()).count() > 0
}

#[test]
fn nobody_is_asked_while_telemetry_is_off_or_remote_settings_are_not_wanted() {
    let collector = Collector::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("\"https://{}\"", listener.local_addr().unwrap());
    let asking = wanting(&collector, 1).with("SettingsEndpoint", &endpoint);
    let agent = Agent::start(&asking);
    eventually("it is asked at the start", || was_asked(&listener).then_some(()));
    for settings in [
        asking.clone().with("DisableOneSettingsDownloads", "1"),
        asking.clone().with("SettingsKeys", "[]"),
        asking.clone().with("UploadEnabled", "0"),
    ] {
        agent.configure(&settings);
        assert_eq!(agent.ctl(&["reload"]).code, Some(0));
        // One that was under way when the settings changed.
        let _before = was_asked(&listener);
        for _ in 0..3 {
            assert_eq!(agent.ctl(&["reload"]).code, Some(0));
            agent.settle();
        }
        assert!(!was_asked(&listener), "{}", settings.text());
        agent.configure(&asking);
        assert_eq!(agent.ctl(&["reload"]).code, Some(0));
        eventually("it is asked again", || was_asked(&listener).then_some(()));
    }
}

#[test]
fn while_telemetry_is_off_nothing_is_fetched() {
    let collector = Collector::start();
    publish(&collector, &collector, &document(1, &json!({ "MaxTelemetryAllowed": 0 })));
    let off =
        wanting(&collector, 2).with("EnableOneSettingsAuditing", "1").with("UploadEnabled", "0");
    let agent = Agent::start(&off);
    for _ in 0..3 {
        assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    }
    assert_eq!((explained(&agent).1.as_str(), trail(&agent)), ("nothing was fetched yet", vec![]));
}
