//! Machines that were written down by hand, each with what `agentctl preview --level 1 --json` must say
//! of it. What is expected follows from the description of the machine, not from what the program says.
//!
//! # Invariants
//! - The output is compared as a whole: a record or a field too many fails as well as one too few. Only
//!   what is the agent's own, ids, times and the length of the preview are left out.
//! - What must never leave (serial numbers, addresses, names) is planted in the trees and looked
//!   for in every record at every level.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;

use candor_model::Event;
use candor_model::events::compat::{Component, Components, Driver};
use candor_otlp::json;
use candor_tests::{Agent, Settings};
use serde_json::{Value, json as object};

mod big;
mod board;
mod canary;
mod container;
mod hyperv;
mod kvm;
mod laptop;
mod layers;
mod sent;
mod server;
mod stuck;
mod tree;
mod vmware;
mod volatile;

use tree::Tree;

/// Stands in every place of the trees from which nothing may leave.
const SECRET: &str = "S3CR3T";

/// What `preview` says of a tree at a level, the agent's own events left out.
fn preview(tree: &Tree, level: u8) -> Vec<Value> {
    let agent = Agent::prepare(&Settings::level(0));
    let (level, root) = (level.to_string(), tree.root().to_str().expect("a path"));
    let outcome = agent.ctl(&["preview", "--level", &level, "--json", "--host-root", root]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.stdout.contains(SECRET), "{}", outcome.stdout);
    let own = ["candor.agent.", "candor.telemetry."];
    let is_own = |record: &Value| {
        own.iter().any(|own| record["name"].as_str().is_some_and(|name| name.starts_with(own)))
    };
    let mut records = outcome.lines();
    records.retain(|record| !is_own(record));
    for attributes in records.iter_mut().filter_map(|record| record["attributes"].as_object_mut()) {
        // How long the preview itself took.
        attributes.remove("window");
    }
    records
}

/// The golden output: name and attributes of each event, in one form.
fn golden(expected: Vec<Event>) -> BTreeSet<String> {
    let line = |event: Event| {
        let pairs: Vec<_> =
            event.fields().map(|(entry, value)| (entry.name.to_owned(), value.clone())).collect();
        format!(
            "{:#}",
            object!({ "name": event.entry().name, "attributes": json::attributes(&pairs) })
        )
    };
    expected.into_iter().map(line).collect()
}

fn expect(tree: &Tree, expected: Vec<Event>) {
    let said = preview(tree, 1);
    let line = |record: &Value| {
        format!("{:#}", object!({ "name": record["name"], "attributes": record["attributes"] }))
    };
    let count = said.len();
    let said: BTreeSet<_> = said.iter().map(line).collect();
    let golden = golden(expected);
    let show = |lines: Vec<&String>| {
        lines.into_iter().fold(String::new(), |text, line| text + line + "\n")
    };
    let (extra, lacking) =
        (show(said.difference(&golden).collect()), show(golden.difference(&said).collect()));
    assert!(said == golden, "said and not expected:\n{extra}expected and not said:\n{lacking}");
    assert_eq!(count, golden.len(), "said twice");
    for level in [2, 3] {
        preview(tree, level);
    }
}

/// The components of a machine of which only the kernel tells its version.
fn kernel(release: &str) -> Components {
    let kernel = Component { name: "kernel", version: Some(release.to_owned()) };
    Components { components: Some(vec![kernel]), ..Components::default() }
}

macro_rules! events {
    ($($event:expr),+ $(,)?) => { vec![$(candor_model::EventDef::into_event($event)),+] };
}
use events;

#[test]
fn a_laptop_with_wifi_and_nvme() {
    use laptop::{machine, memory, network, posture, processor, storage};
    let components = kernel("6.8.0-45-generic");
    expect(
        &laptop::tree(),
        events![posture(), machine(), processor(), memory(), network(), storage(), components],
    );
}

#[test]
fn a_server_with_two_sockets_a_bond_sas_drives_and_memory_errors() {
    use server::{alerts, machine, memory, network, posture, processor, storage};
    let components = kernel("5.14.0-427.el9.x86_64");
    expect(
        &server::tree(),
        events![
            posture(),
            machine(),
            processor(),
            memory(),
            network(),
            storage(),
            alerts(),
            components
        ],
    );
}

#[test]
fn an_arm_board_without_dmi() {
    use board::{machine, memory, network, posture, processor, storage};
    let components = kernel("6.6.31+rpt-rpi-v8");
    expect(
        &board::tree(),
        events![posture(), machine(), processor(), memory(), network(), storage(), components],
    );
}

#[test]
fn a_virtual_machine_under_kvm() {
    use kvm::{machine, memory, network, posture, processor, storage};
    let driver = Driver { name: "virtio_net".into(), version: None, out_of_tree: Some(false) };
    let components = Components {
        driver_count: Some(1),
        drivers: Some(vec![driver]),
        ..kernel("6.1.0-25-cloud-amd64")
    };
    expect(
        &kvm::tree(),
        events![posture(), machine(), processor(), memory(), network(), storage(), components],
    );
}

#[test]
fn a_virtual_machine_under_hyper_v() {
    expect(&hyperv::tree(), hyperv::expected());
}

#[test]
fn a_virtual_machine_under_vmware() {
    expect(&vmware::tree(), vmware::expected());
}

#[test]
fn a_container_with_limits_sees_its_hosts_hardware() {
    expect(&container::tree(), container::expected());
}

#[test]
fn a_host_with_256_logical_processors() {
    expect(&big::tree(), big::expected());
}

#[test]
fn a_host_whose_storage_is_layered() {
    expect(&layers::tree(), layers::expected());
}

/// What a recording says of the hardware is what the machine itself says; the planted secrets, some of
/// which stand in files beside those that are recorded, are not in it.
#[test]
fn a_recorded_machine_tells_the_same_hardware() {
    let tree = laptop::tree();
    tree.file("proc/sys/kernel/hostname", SECRET);
    tree.file("sys/class/net/enx/uevent", "INTERFACE=enx\n");
    let target = Tree::new();
    let dir = target.root().join("copy");
    let agent = Agent::prepare(&Settings::level(0));
    let (dir, root) = (dir.to_str().expect("a path"), tree.root().to_str().expect("a path"));
    let outcome = agent.ctl(&["diagnose", "record-host", dir, "--host-root", root]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let again = agent.ctl(&["diagnose", "record-host", dir, "--host-root", root]);
    assert_eq!(again.code, Some(1), "an existing directory is not written into");
    let hardware = |root: &str| {
        let outcome = agent.ctl(&["preview", "--level", "1", "--json", "--host-root", root]);
        let records = outcome.lines();
        let names = ["machine", "processor", "network", "storage"]
            .map(|name| format!("candor.device.{name}"));
        let of = |name: &String| {
            records
                .iter()
                .find(|record| record["name"] == **name)
                .map(|record| record["attributes"].clone())
        };
        names.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(hardware(dir), hardware(root));
    let grep = std::process::Command::new("grep").args(["-r", SECRET, dir]).output().expect("grep");
    assert_eq!(grep.status.code(), Some(1), "{}", String::from_utf8_lossy(&grep.stdout));
}

#[test]
fn an_empty_root_says_nothing() {
    expect(&Tree::new(), Vec::new());
}
