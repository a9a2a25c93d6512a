//! Machines that were written down by hand, each with what Candor must say of it. What is expected
//! follows from the description of the machine, not from what the program says.
//!
//! # Invariants
//! - Each event is compared as a whole: a field too many fails as well as one too few.
//! - What must never leave (serial numbers, addresses, names) is planted in the trees and looked
//!   for in every record.

#![cfg(unix)]

use candor_model::{Event, EventDef, Record};
use candor_probes::{Host, Moment, Settings, all};

#[path = "machines/board.rs"]
mod board;
#[path = "machines/guest.rs"]
mod guest;
#[path = "machines/laptop.rs"]
mod laptop;
#[path = "machines/server.rs"]
mod server;
#[path = "machines/tree.rs"]
mod tree;

use tree::Tree;

/// Stands in every place of the trees from which nothing may leave.
const SECRET: &str = "S3CR3T";

/// The event of a type that the probes report of a recorded machine; `None` when there is none.
fn said<E: EventDef>(tree: &Tree) -> Option<Event> {
    let host = Host::new(tree.root());
    let mut probes = all(&Settings::default());
    let reports = probes.iter_mut().map(|probe| probe.report(&host, Moment::default()));
    let events = reports.filter_map(Result::ok).flatten().filter_map(|record| match record {
        Record::Event(event) => Some(event),
        Record::Metric(_) => None,
    });
    let mut events = events.filter(|event| std::ptr::eq(event.entry(), E::ENTRY));
    let event = events.next();
    assert_eq!(events.next(), None, "{} is said twice", E::ENTRY.name);
    assert!(!format!("{event:?}").contains(SECRET), "{event:?}");
    event
}

/// Compares field by field, so that a failure names the field.
fn expect<E: EventDef>(tree: &Tree, expected: E) {
    let said = said::<E>(tree);
    let fields = |event: &Event| -> Vec<(&str, String)> {
        event.fields().map(|(entry, value)| (entry.name, format!("{value:#?}"))).collect()
    };
    let said = said.as_ref().map(fields).unwrap_or_default();
    assert_eq!(said, fields(&expected.into_event()), "{}", E::ENTRY.name);
}

#[test]
fn a_laptop_with_wifi_and_nvme() {
    let tree = laptop::tree();
    expect(&tree, laptop::posture());
    expect(&tree, laptop::machine());
    expect(&tree, laptop::processor());
    expect(&tree, laptop::memory());
    expect(&tree, laptop::network());
    expect(&tree, laptop::storage());
}

#[test]
fn a_server_with_two_sockets_a_bond_and_sas_drives() {
    let tree = server::tree();
    expect(&tree, server::posture());
    expect(&tree, server::machine());
    expect(&tree, server::processor());
    expect(&tree, server::memory());
    expect(&tree, server::network());
    expect(&tree, server::storage());
}

#[test]
fn an_arm_board_without_dmi() {
    let tree = board::tree();
    expect(&tree, board::posture());
    expect(&tree, board::machine());
    expect(&tree, board::processor());
    expect(&tree, board::memory());
    expect(&tree, board::network());
    expect(&tree, board::storage());
}

#[test]
fn a_virtual_machine() {
    let tree = guest::tree();
    expect(&tree, guest::posture());
    expect(&tree, guest::machine());
    expect(&tree, guest::processor());
    expect(&tree, guest::memory());
    expect(&tree, guest::network());
    expect(&tree, guest::storage());
}

#[test]
fn an_empty_root_says_nothing() {
    use candor_model::events::{device, security};

    let tree = Tree::new();
    assert_eq!(said::<security::Posture>(&tree), None);
    assert_eq!(said::<device::Machine>(&tree), None);
    assert_eq!(said::<device::Processor>(&tree), None);
    assert_eq!(said::<device::Memory>(&tree), None);
    assert_eq!(said::<device::Network>(&tree), None);
    assert_eq!(said::<device::Storage>(&tree), None);
}
