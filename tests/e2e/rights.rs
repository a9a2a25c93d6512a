//! The owner's rights: what is deleted here is gone with its ids, what a receiver deleted is proven by its
//! receipt, and a host without a network gets its records out and its ledger settled.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use candor_tests::{Agent, Collector, Outcome, Settings, eventually, programs};
use serde_json::{Value, json};

/// Numbers from the first to the last.
type Range = (u64, u64);

/// A collector's settings key, as `SettingsKeys` wants it.
fn keys(collector: &Collector) -> String {
    let public = fs::read_to_string(collector.store().join("settings.pub")).unwrap();
    format!("[\"{}\"]", public.lines().nth(1).unwrap())
}

fn trusting(collector: &Collector, level: u8) -> Settings {
    Settings::to(collector, level).with("SettingsKeys", &keys(collector))
}

/// A host without a network.
fn air_gapped(collector: &Collector) -> Settings {
    Settings::level(2)
        .with("SettingsKeys", &keys(collector))
        .table("spool", "keep_without_endpoint = true")
        .table("upload", "interval = \"500ms\"")
        .table("sample", "interval = \"200ms\"")
}

/// An agent that has collected something and collects nothing more.
fn resting(settings: &Settings) -> Agent {
    let agent = Agent::start(settings);
    eventually("records wait", || (pending(&agent) >= 20).then_some(()));
    let rested = agent.ctl(&["flush", "--stop-probes"]);
    assert_eq!(rested.code, Some(0), "{rested:?}");
    agent
}

fn events(agent: &Agent) -> Value {
    agent.status()["events"].clone()
}

fn pending(agent: &Agent) -> u64 {
    events(agent)["pending"].as_u64().unwrap()
}

fn install_id(agent: &Agent) -> String {
    agent.status()["install_id"].as_str().unwrap().to_owned()
}

fn assert_balanced(events: &Value) {
    let number = |key: &str| events[key].as_u64().unwrap();
    assert_eq!(
        number("generated"),
        number("uploaded") + number("dropped") + number("pending"),
        "{events}"
    );
}

/// The files of a directory, its directories too, that hold the bytes.
fn holders(dir: &Path, needle: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holders(&path, needle));
        } else if fs::read(&path)
            .is_ok_and(|bytes| bytes.windows(needle.len()).any(|part| part == needle.as_bytes()))
        {
            found.push(path);
        }
    }
    found
}

/// Writes what waits to a file; its numbers, and the ids of its records.
fn export(agent: &Agent, name: &str, format: &str) -> (PathBuf, Vec<(u64, u64)>, BTreeSet<String>) {
    let path = agent.path(name);
    let out = path.to_str().unwrap();
    let done = agent.ctl(&["export", "--out", out, "--format", format, "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let ranges = serde_json::from_value(done.json()["ranges"].clone()).unwrap();
    let text = fs::read_to_string(&path).unwrap_or_default();
    let marks = text.match_indices("{\"key\":\"log.record.uid\",\"value\":{\"stringValue\":\"");
    let ids = marks.map(|(at, mark)| text[at + mark.len()..][..36].to_owned()).collect();
    (path, ranges, ids)
}

fn import(collector: &Collector, file: &Path) -> Outcome {
    let mut command = Command::new(&programs().collector);
    command.arg("import").arg(file).arg("--dir").arg(collector.store());
    command.output().unwrap().into()
}

fn trail(agent: &Agent) -> String {
    fs::read_to_string(agent.path("var/lib/candor/audit.log")).unwrap_or_default()
}

#[test]
fn a_deletion_here_leaves_no_byte_and_goes_on_as_a_new_installation() {
    let mut collector = Collector::prepare();
    let agent = resting(&trusting(&collector, 2));
    let (state, former) = (agent.path("var/lib/candor/x"), install_id(&agent));
    let state = state.parent().unwrap();
    let secret = fs::read(state.join("secret")).unwrap();
    let (copy, _, ids) = export(&agent, "copy", "json");
    assert!(ids.len() >= 10, "or the search for them shows nothing");
    assert!(!holders(state, &former).is_empty(), "or the search for it shows nothing");
    fs::remove_file(copy).unwrap();
    let waited = pending(&agent);

    let done = agent.ctl(&["delete", "--local", "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.json()["local"]["deleted"], waited, "{done:?}");
    // Some of them: the search is slow.
    for id in ids.iter().take(5).chain([&former]) {
        assert_eq!(holders(state, id), Vec::<PathBuf>::new(), "{id}");
    }
    let status = agent.status();
    assert_balanced(&status["events"]);
    assert_eq!(status["events"]["dropped_by_reason"]["deleted"], waited);
    assert_ne!(status["install_id"], former);
    assert_eq!(status["install_id"], done.json()["local"]["install_id"]);
    assert_ne!(fs::read(state.join("secret")).unwrap(), secret);
    assert!(trail(&agent).contains("\"subject\":\"delete\""), "{}", trail(&agent));

    // What comes now comes as from another host: numbers from 1, nothing missing, no sum of before.
    collector.serve();
    agent.settle();
    let records = collector.records();
    assert!(!records.is_empty());
    assert!(records.iter().all(|record| record["install_id"] == status["install_id"]));
    let seqs: BTreeSet<u64> =
        records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!((seqs.first(), seqs.len()), (Some(&1), records.len()));
    assert!(records.iter().all(|record| !ids.contains(record["uid"].as_str().unwrap())));
    let health = records.iter().rfind(|record| record["name"] == "candor.telemetry.health");
    let told = &health.unwrap()["attributes"];
    assert_eq!(told["dropped"], 0, "{told}");
    // A preview shows these sums, too: they are what is sent.
    let shown = agent.ctl(&["preview", "--level", "1", "--json"]).lines();
    let shown = shown.iter().find(|record| record["name"] == "candor.telemetry.health").unwrap();
    for (sum, expected) in
        [("generated", records.len()), ("uploaded", records.len()), ("dropped", 0)]
    {
        assert_eq!(shown["attributes"][sum], expected, "{sum}: {shown}");
    }
    assert_balanced(&events(&agent));
    assert_eq!(agent.ctl(&["audit"]).code, Some(0));
}

#[test]
fn a_deletion_here_cuts_an_upload_under_way_and_counts_what_it_carried() {
    let collector = Collector::prepare();
    // Somebody who takes the connection and never says a word.
    let silence = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silence.local_addr().unwrap();
    let settings =
        trusting(&collector, 2).with("EventsEndpoint", &format!("\"https://{address}\""));
    let agent = Agent::start(&settings);
    let caller = silence.accept().unwrap();
    eventually("records wait", || (pending(&agent) > 0).then_some(()));
    let done = agent.ctl(&["delete", "--local", "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.json()["local"]["deleted"].as_u64().unwrap() > 0);
    let events = events(&agent);
    assert_balanced(&events);
    assert_eq!(events["dropped_by_reason"]["deleted"], done.json()["local"]["deleted"]);
    drop(caller);
}

#[cfg(unix)]
#[test]
fn a_deletion_here_works_while_telemetry_is_off_and_without_a_daemon() {
    let collector = Collector::prepare();
    let mut agent = resting(&trusting(&collector, 2));
    assert_eq!(agent.ctl(&["disable", "--keep-pending"]).code, Some(0));
    let (waited, former) = (pending(&agent), install_id(&agent));
    assert!(waited > 0);
    let off = agent.ctl(&["delete", "--local", "--json"]);
    assert_eq!((off.code, &off.json()["local"]["deleted"]), (Some(0), &json!(waited)), "{off:?}");
    assert_eq!((pending(&agent), install_id(&agent) == former), (0, false));
    assert_balanced(&events(&agent));

    assert_eq!(agent.ctl(&["enable"]).code, Some(0));
    eventually("records wait", || (pending(&agent) > 0).then_some(()));
    let former = install_id(&agent);
    agent.stop();
    let stopped = agent.ctl(&["delete", "--local", "--json"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert!(stopped.json()["local"]["deleted"].as_u64().unwrap() > 0);
    let state = agent.path("var/lib/candor/x");
    assert_eq!(holders(state.parent().unwrap(), &former), Vec::<PathBuf>::new());
    assert_eq!(trail(&agent).matches("\"subject\":\"delete\"").count(), 2);
    assert_eq!(agent.ctl(&["audit"]).code, Some(0));
}

#[test]
fn a_receiver_forgets_a_host_that_asks_also_while_off_and_proves_it() {
    let collector = Collector::start();
    let agent = Agent::start(&trusting(&collector, 2));
    eventually("records arrive", || (collector.records().len() >= 20).then_some(()));
    agent.settle();
    let (id, records) = (install_id(&agent), collector.records().len());
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    let of_the_store = |needle: &str| {
        let found = holders(&collector.store(), needle).into_iter();
        found.filter(|path| path.to_string_lossy().contains(".db")).collect::<Vec<_>>()
    };
    assert!(!of_the_store(&id).is_empty(), "or the search for it shows nothing");

    let done = agent.ctl(&["delete", "--remote", "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let told = &done.json()["remote"];
    assert_eq!((&told["verified"], &told["records"]), (&json!(true), &json!(records)), "{told}");
    assert_eq!(of_the_store(&id), Vec::<PathBuf>::new());
    assert_eq!(collector.records(), Vec::<Value>::new());
    assert!(trail(&agent).contains("\"to\":\"remote https://"), "{}", trail(&agent));

    let receipt = PathBuf::from(told["receipt"].as_str().unwrap());
    let verify = |path: &Path| agent.ctl(&["delete", "--verify", path.to_str().unwrap()]);
    let good = verify(&receipt);
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.stdout.contains(&format!("deleted all {records} records")), "{good:?}");
    let text = fs::read_to_string(&receipt).unwrap();
    let changed = agent.path("changed");
    let more = text.replace(&format!("\\\"records\\\":{records}"), "\\\"records\\\":9999");
    assert_ne!(more, text);
    fs::write(&changed, more).unwrap();
    let bad = verify(&changed);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    // A receipt that somebody else signed, with keys that look the same.
    let stranger = Collector::start();
    let strange = forged(&stranger, &id, "deletion", (&[], &[]));
    fs::write(&changed, strange).unwrap();
    assert_eq!(verify(&changed).code, Some(1));
}

#[cfg(unix)]
#[test]
fn a_policy_that_forbids_deletions_is_obeyed_and_nothing_is_deleted() {
    let collector = Collector::start();
    let mut agent = Agent::start(&trusting(&collector, 1).with("DisableDeviceDelete", "1"));
    eventually("records arrive", || (!collector.records().is_empty()).then_some(()));
    let id = install_id(&agent);
    for how in ["--local", "--remote"] {
        let refused = agent.ctl(&["delete", how]);
        assert_eq!(refused.code, Some(3), "{refused:?}");
        assert!(refused.stderr.contains("DisableDeviceDelete"), "{refused:?}");
    }
    let (status, body) = agent.ask("POST", "/v1/delete", "");
    assert_eq!((status, &body["error"]["code"]), (409, &json!("refused_by_policy")), "{body}");
    assert_eq!(install_id(&agent), id);
    assert!(!collector.records().is_empty());
    agent.stop();
    assert_eq!(agent.ctl(&["delete", "--local"]).code, Some(3));
    assert!(!trail(&agent).contains("\"subject\":\"delete\""));
}

/// A receipt that this collector would sign for these numbers.
fn forged(collector: &Collector, id: &str, purpose: &str, numbers: (&[Range], &[Range])) -> String {
    let read = |name: &str| fs::read_to_string(collector.store().join(name)).unwrap();
    let secret = minisign::SecretKeyBox::from(read("receipt.key"));
    let secret = secret.into_unencrypted_secret_key().unwrap();
    let (accepted, rejected) = numbers;
    let count = |ranges: &[(u64, u64)]| -> u64 { ranges.iter().map(|(a, b)| b - a + 1).sum() };
    let document = json!({
        "candor_receipt": 1, "purpose": purpose, "install_id": id, "time": "2026-01-02T03:04:05Z",
        "nonce": "n", "records": count(accepted) + count(rejected),
        "accepted": accepted, "rejected": rejected,
    })
    .to_string();
    let signature = minisign::sign(None, &secret, document.as_bytes(), None, None).unwrap();
    let key: Value = serde_json::from_str(&read("receipt.json")).unwrap();
    json!({ "document": document, "signature": signature.into_string(), "key": key }).to_string()
}

#[test]
fn a_host_without_a_network_gets_its_records_out_and_its_ledger_settled() {
    let collector = Collector::prepare();
    let agent = resting(&air_gapped(&collector));
    let (id, waited) = (install_id(&agent), pending(&agent));
    let (first, ranges, _) = export(&agent, "first", "protobuf");
    let (second, again, ids) = export(&agent, "second", "json");
    assert_eq!((&ranges, pending(&agent)), (&again, waited), "an export settles nothing");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(first.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let (sheet, ..) = export(&agent, "sheet", "csv");
    assert!(fs::read_to_string(&sheet).unwrap().starts_with("seq,level,kind,name,time,"));
    assert_eq!(import(&collector, &sheet).code, Some(1), "a sheet is for reading");

    let done = import(&collector, &first);
    assert_eq!(done.code, Some(0), "{done:?}");
    let stored = collector.records();
    assert_eq!(stored.len() as u64, waited);
    assert!(stored.iter().all(|record| record["install_id"] == id));
    let uids: BTreeSet<_> =
        stored.iter().map(|record| record["uid"].as_str().unwrap().to_owned()).collect();
    assert!(ids.is_subset(&uids));
    assert_eq!(import(&collector, &second).code, Some(0));
    assert_eq!(collector.records().len() as u64, waited, "the same records, stored once");

    let receipt = agent.path("receipt");
    let take = |text: &str| {
        fs::write(&receipt, text).unwrap();
        agent.ctl(&["import-receipt", receipt.to_str().unwrap(), "--json"])
    };
    let stranger = Collector::prepare();
    for (what, text) in [
        ("a stranger's", forged(&stranger, &id, "import", (&ranges, &[]))),
        ("another host's", forged(&collector, "another", "import", (&ranges, &[]))),
        ("for a deletion", forged(&collector, &id, "deletion", (&ranges, &[]))),
        ("changed", done.stdout.replace("import", "1mport")),
        ("none", "hello".to_owned()),
    ] {
        let refused = take(&text);
        assert_eq!((refused.code, pending(&agent)), (Some(1), waited), "{what}: {refused:?}");
    }
    let taken = take(&done.stdout);
    assert_eq!(taken.code, Some(0), "{taken:?}");
    assert_eq!(taken.json(), json!({ "uploaded": waited, "rejected": 0, "pending": 0 }));
    let events = events(&agent);
    assert_eq!((&events["uploaded"], &events["pending"]), (&json!(waited), &json!(0)));
    assert_balanced(&events);
    assert_eq!(take(&done.stdout).json()["uploaded"], 0, "taken twice, it settles nothing");

    assert_eq!(agent.ctl(&["delete", "--local"]).code, Some(0));
    let old = take(&done.stdout);
    assert_eq!(old.code, Some(1), "{old:?}");
    assert!(old.stderr.contains("from before `agentctl delete --local`"), "{old:?}");
}

#[cfg(unix)]
#[test]
fn a_receipt_that_refuses_some_counts_them_rejected_also_on_a_stopped_agent() {
    let collector = Collector::prepare();
    let mut agent = resting(&air_gapped(&collector));
    let (id, waited) = (install_id(&agent), pending(&agent));
    agent.stop();
    let (_, ranges, _) = export(&agent, "stopped", "protobuf");
    let (first, last) = (ranges[0].0, ranges[ranges.len() - 1].1);
    assert!(ranges.len() == 1 && last - first + 1 >= waited, "{ranges:?}");
    let text = forged(
        &collector,
        &id,
        "import",
        (&[(first, first), (first + 2, last)], &[(first + 1, first + 1)]),
    );
    let receipt = agent.path("receipt");
    fs::write(&receipt, text).unwrap();
    let taken = agent.ctl(&["import-receipt", receipt.to_str().unwrap(), "--json"]);
    assert_eq!(taken.code, Some(0), "{taken:?}");
    let total = last - first + 1;
    assert_eq!(taken.json(), json!({ "uploaded": total - 1, "rejected": 1, "pending": 0 }));
    let audit = agent.ctl(&["audit", "--json"]).json();
    assert_eq!((&audit["sound"], &audit["pending"]), (&json!(true), &json!(0)), "{audit}");
}
