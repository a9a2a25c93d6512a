//! `diagnose record-host`: what a recording says is what the machine itself says, but for what [`UNRECORDED`]
//! lists; on every machine that is kept here, and on the one that runs this test.
//!
//! # Invariants
//! - The planted secrets, which stand in and beside the files that are recorded, are in no recording.

use std::path::Path;
use std::process::Command;

use candor_model::CATALOG;
use candor_tests::{Agent, Settings, eventually};
use serde_json::Value;

use crate::SECRET;
use crate::golden::{difference, expected, names, said};
use crate::tree::Tree;
use crate::{archive, volatile};

/// Events, or some of their fields, that tell of what is not on the recorder's allow-list: processes, dumps,
/// records of starts, answers of services and of drives, and what the agent's owner declared.
const UNRECORDED: &[(&str, &[&str])] = &[
    ("candor.usage.applications", &[]),
    ("candor.crash.summary", &[]),
    ("candor.security.antimalware", &[]),
    ("candor.compat.components", &["providers", "failed_services"]),
    (
        "candor.quality.alerts",
        &["drives_asked", "drives_failing", "unclean_shutdowns", "kernel_crash_records"],
    ),
];

/// What can be said of a recording, too.
fn recordable(records: Vec<Value>) -> Vec<Value> {
    let unrecorded = |record: &Value| {
        UNRECORDED.iter().find(|(name, _)| record["name"] == **name).map(|(_, fields)| *fields)
    };
    let mut left = Vec::new();
    for mut record in records {
        let fields = unrecorded(&record);
        if fields.is_some_and(<[_]>::is_empty) {
            continue;
        }
        let attributes = record["attributes"].as_object_mut().expect("attributes");
        for field in fields.unwrap_or_default() {
            attributes.remove(*field);
        }
        // An event that has nothing else to say is not made at all.
        if !attributes.is_empty() {
            left.push(record);
        }
    }
    left
}

/// Records the machine below `root`, or this one, as `options` say.
fn record(target: &Path, root: Option<&Path>, options: &[&str]) {
    let agent = Agent::prepare(&Settings::level(0));
    let target = target.to_str().expect("a path");
    let root = root.map(|root| root.to_str().expect("a path"));
    let root = root.map_or_else(Vec::new, |root| vec!["--host-root", root]);
    let command = [&["diagnose", "record-host", target], options, &*root].concat();
    let outcome = agent.ctl(&command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

fn assert_same_files(one: &Path, other: &Path) {
    let outcome = Command::new("diff").args(["-r", "--no-dereference"]).args([one, other]).output();
    let outcome = outcome.expect("diff");
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stdout));
}

#[test]
fn a_recording_of_every_machine_tells_the_same_and_no_secret() {
    for name in names() {
        let tree = Tree::recorded(&name);
        tree.file("sys/class/net/beside/uevent", SECRET).file("etc/candor/agent.toml", SECRET);
        let target = tempfile::tempdir().expect("a directory");
        let (dir, text) = (target.path().join("copy"), target.path().join("copy.txt"));
        record(&dir, Some(tree.root()), &[]);
        let difference = difference(&recordable(expected(&name)), &recordable(said(&dir, 1)));
        assert!(difference.is_empty(), "{name}, its recording being what is said:\n{difference}");
        record(&text, Some(tree.root()), &["--archive"]);
        let text = std::fs::read_to_string(text).expect("the archive");
        let unpacked = Tree::new();
        archive::unpack(&text, unpacked.root()).expect("an archive");
        assert_same_files(&dir, unpacked.root());
        assert!(!text.contains(SECRET), "{name}: {text}");
    }
}

/// Two looks at a machine in use may differ: its links go up and down, its modules come and go.
#[test]
fn a_recording_of_this_machine_tells_what_this_machine_tells() {
    let agent = Agent::prepare(&Settings::level(0));
    eventually("this machine and its recording tell the same", || {
        let target = tempfile::tempdir().expect("a directory");
        let dir = target.path().join("copy");
        record(&dir, None, &[]);
        let outcome = agent.ctl(&["preview", "--level", "1", "--json"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let live: Vec<_> = outcome.lines().iter().map(volatile::without).collect();
        let difference = difference(&recordable(live), &recordable(said(&dir, 1)));
        if difference.is_empty() {
            return Some(());
        }
        println!("its recording being what is said:\n{difference}");
        None
    });
}

#[test]
fn a_recording_is_not_written_over_what_exists() {
    let (agent, target) = (Agent::prepare(&Settings::level(0)), Tree::new());
    target.file("a/kept", "kept").file("text", "kept");
    for (name, options) in [("a", &[][..]), ("text", &["--archive"])] {
        let path = target.root().join(name);
        let path = path.to_str().expect("a path");
        let outcome = agent.ctl(&[&["diagnose", "record-host", path], options].concat());
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(name), "{outcome:?}");
    }
    let read = |path: &str| std::fs::read_to_string(target.root().join(path)).expect("a file");
    assert_eq!((read("a/kept"), read("text")), ("kept\n".to_owned(), "kept\n".to_owned()));
}

#[test]
fn what_is_not_recorded_is_of_the_catalog() {
    for (name, fields) in UNRECORDED {
        let event = CATALOG.events.iter().find(|event| event.name == *name);
        let event = event.unwrap_or_else(|| panic!("no {name} in the catalog"));
        for field in *fields {
            assert!(event.fields.iter().any(|entry| entry.name == *field), "no {name}.{field}");
        }
    }
}
