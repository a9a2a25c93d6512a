//! The recorded machines: `NAME/tree.txt` is what a machine's files say, `NAME/host.md` describes it, and
//! `NAME/expected.json` is what follows from the description. `README.md` says how to add one.
//!
//! # Invariants
//! - The whole of `preview --level 1 --json` is compared, the agent's own events included; only the values that
//!   [`crate::volatile`] lists are not looked at, and they must be there.
//! - No test writes an expected file: what the program says now is shown by the difference.
//! - What must never leave is planted in the trees and looked for in every record.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use candor_tests::{Agent, Settings};
use serde_json::Value;

use crate::SECRET;
use crate::tree::Tree;
use crate::volatile;

/// What the machines must be; others may be added.
const WANTED: [&str; 15] = [
    "arm-big-little",
    "arm-board",
    "arm-virtual",
    "container-cgroup2",
    "cpus-256",
    "hyper-v",
    "kvm",
    "laptop",
    "layered-storage",
    "recorded-vm",
    "router-many-links",
    "server-numa",
    "vmware",
    "workstation-smt-off",
    "xen-guest",
];

/// The directory of a machine, or of all of them.
pub(crate) fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hosts").join(name)
}

/// The names of all machines.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(place("")).expect("the machines").flatten();
    let names = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().expect("a name")).collect();
    names.sort();
    names
}

/// What `preview` says of the machine below `root`, as it stands in an expected file.
pub(crate) fn said(root: &Path, level: u8) -> Vec<Value> {
    let agent = Agent::prepare(&Settings::level(0));
    let (level, root) = (level.to_string(), root.to_str().expect("a path"));
    let outcome = agent.ctl(&["preview", "--level", &level, "--json", "--host-root", root]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.stdout.contains(SECRET), "{}", outcome.stdout);
    in_order(outcome.lines().iter().map(volatile::without).collect())
}

/// By name, then by what they say: the order of records is none of theirs.
fn in_order(mut records: Vec<Value>) -> Vec<Value> {
    records.sort_by_cached_key(|record| (record["name"].to_string(), record.to_string()));
    records
}

/// What a person reads: a line for each value, by record and way.
pub(crate) fn lines(records: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for record in records {
        walk(record["name"].as_str().unwrap_or("no name"), record, &mut lines);
    }
    lines
}

fn walk(way: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| walk(&format!("{way}.{key}"), value, lines));
        }
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.for_each(|(number, value)| walk(&format!("{way}[{number}]"), value, lines));
        }
        leaf => lines.push(format!("{way} = {leaf}")),
    }
}

/// What the two differ in, as a person reads it; empty when they are the same.
pub(crate) fn difference(expected: &[Value], said: &[Value]) -> String {
    let (expected, said) = (lines(expected), lines(said));
    let only = |mark: &str, these: &[String], those: &[String]| {
        let mut rest = those.to_vec();
        let mut text = String::new();
        for line in these {
            match rest.iter().position(|other| other == line) {
                Some(at) => drop(rest.swap_remove(at)),
                None => text.extend([mark, " ", line, "\n"]),
            }
        }
        text
    };
    only("expected, not said:", &expected, &said) + &only("said, not expected:", &said, &expected)
}

/// What must be said of a machine.
pub(crate) fn expected(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(place(name).join("expected.json")).expect(name);
    in_order(serde_json::from_str(&text).expect(name))
}

#[test]
fn every_machine_is_told_as_its_description_says() {
    let mut wrong = String::new();
    for name in names() {
        let tree = Tree::recorded(&name);
        let (expected, said) = (expected(&name), said(tree.root(), 1));
        let difference = difference(&expected, &said);
        if !difference.is_empty() {
            wrong.extend([&*name, ":\n", &difference, "\n"]);
        }
        assert!(difference.is_empty() == (expected == said), "{name}: an unseen difference");
        // Nothing planted leaves, either: level 3 shows what the levels below it show, too.
        crate::golden::said(tree.root(), 3);
    }
    assert!(wrong.is_empty(), "what host.md describes and what is said differ\n{wrong}");
}

#[test]
fn every_machine_is_there_with_its_description() {
    let names: BTreeSet<_> = names().into_iter().collect();
    for name in WANTED {
        assert!(names.contains(name), "no machine {name}");
    }
    for name in names {
        let text = fs::read_to_string(place(&name).join("host.md")).unwrap_or_default();
        assert!(text.starts_with("# ") && text.contains("| "), "{name} is not described");
    }
}

/// Whoever opens a pipe without a writer waits, and what it has to tell is missing.
#[test]
fn no_device_is_opened_to_tell_of_a_machine() {
    let tree = Tree::recorded("laptop");
    tree.directory("dev");
    let pipes =
        ["nvme0", "nvme0n1", "sda", "sdb", "sr0"].map(|name| tree.root().join("dev").join(name));
    let made = Command::new("mkfifo").args(&pipes).status().expect("mkfifo");
    assert!(made.success());
    assert_eq!(difference(&expected("laptop"), &said(tree.root(), 1)), "");
}

#[test]
fn an_empty_root_tells_only_of_the_agent() {
    let records = said(Tree::new().root(), 1);
    let names: Vec<_> =
        records.iter().map(|record| record["name"].as_str().unwrap_or("")).collect();
    assert_eq!(names, ["candor.agent.settings", "candor.telemetry.health"]);
}

#[test]
fn a_difference_is_said_by_record_and_field() {
    let record = |kind: &str| serde_json::json!({ "name": "x", "attributes": { "drives": [{ "kind": kind }] } });
    assert_eq!(difference(&[record("hdd")], &[record("hdd")]), "");
    let text = difference(&[record("hdd"), record("hdd")], &[record("hdd"), record("ssd")]);
    assert_eq!(
        text,
        "expected, not said: x.attributes.drives[0].kind = \"hdd\"\n\
         said, not expected: x.attributes.drives[0].kind = \"ssd\"\n"
    );
}
