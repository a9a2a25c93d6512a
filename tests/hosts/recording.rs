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

/// The host's name, a drive's and a volume's id, where systems write them.
#[test]
fn a_recording_tells_no_name_of_the_host_its_drives_or_its_volumes() {
    const WWID: &str = "3600508b400105e210000900000490000";
    let tree = Tree::recorded("layered-storage");
    tree.file("proc/sys/kernel/hostname", "web-7.example.org");
    tree.file("sys/class/dmi/id/product_name", "WEB-7 of Web-7.Example.org");
    tree.bytes("sys/class/dmi/id/bios_vendor", b"web-7 \xff\n");
    let root = "21 1 252:2 / / rw - ext4 /dev/disk/by-id/ata-WDC_WD40EFRX_WCC4E0123456-part2 rw";
    tree.file("proc/1/mountinfo", root);
    let volumes = "sys/devices/virtual/block";
    tree.file(&format!("{volumes}/dm-2/dm/name"), "web--7--vg-root");
    tree.file(&format!("{volumes}/dm-0/dm/name"), WWID);
    tree.file(&format!("{volumes}/dm-0/dm/uuid"), format!("CRYPT-LUKS2-{WWID}"));
    let target = tempfile::tempdir().expect("a directory");
    let (dir, text) = (target.path().join("copy"), target.path().join("copy.txt"));
    record(&text, Some(tree.root()), &["--archive"]);
    let text = std::fs::read_to_string(text).expect("the archive").to_ascii_lowercase();
    for name in ["web-7", "web--7", "example.org", "wcc4e", WWID] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    record(&dir, Some(tree.root()), &[]);
    let is_encrypted = |root: &Path| {
        let records = said(root, 1);
        let posture = records.iter().find(|record| record["name"] == "candor.security.posture");
        posture.expect("a posture")["attributes"]["root_encrypted"].clone()
    };
    assert_eq!(is_encrypted(&dir), is_encrypted(tree.root()));
    assert!(!is_encrypted(&dir).is_null(), "it lies on encrypted volumes");
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
