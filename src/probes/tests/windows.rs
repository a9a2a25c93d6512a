//! The real Windows below the probes must tell the facts that every Windows has.
//!
//! # Invariants
//! - Compared with what the standard library and the system's variables say, not with the probes.

#![cfg(windows)]

use candor_model::{Event, EventDef, Level, Record, Value, events::device, events::security};
use candor_probes::{Host, Moment, Settings, all};

fn said<E: EventDef>() -> Option<Event> {
    let host = Host::live();
    let mut probes = all(&Settings::default());
    let inventory = probes.iter_mut().filter(|probe| probe.level() <= Level::Basic);
    let reports = inventory.filter_map(|probe| probe.report(&host, Moment::default()).ok());
    reports.flatten().find_map(|record| match record {
        Record::Event(event) if std::ptr::eq(event.entry(), E::ENTRY) => Some(event),
        _ => None,
    })
}

fn value(event: Option<&Event>, name: &str) -> Option<Value> {
    event?.fields().find(|(entry, _)| entry.name == name).map(|(_, value)| value.clone())
}

#[test]
fn windows_tells_its_name_and_build() {
    let posture = said::<security::Posture>();
    let name = value(posture.as_ref(), "os.name");
    assert!(matches!(&name, Some(Value::Text(name)) if name.contains("Windows")), "{posture:?}");
    assert!(value(posture.as_ref(), "os.build_id").is_some(), "{posture:?}");
}

#[test]
fn windows_tells_its_threads_and_memory() {
    let processor = said::<device::Processor>();
    let variable = std::env::var("NUMBER_OF_PROCESSORS").ok().and_then(|text| text.parse().ok());
    assert_eq!(value(processor.as_ref(), "threads"), variable.map(Value::Int), "{processor:?}");
    let memory = said::<device::Memory>();
    let usable = value(memory.as_ref(), "usable");
    assert!(matches!(usable, Some(Value::Int(64_000_000..))), "{memory:?}");
}

#[test]
fn windows_tells_its_adapters_and_architecture() {
    let network = said::<device::Network>();
    assert!(matches!(value(network.as_ref(), "count"), Some(Value::Int(1..))), "{network:?}");
    let machine = said::<device::Machine>();
    let architecture = value(machine.as_ref(), "architecture");
    let expected = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    assert_eq!(architecture, Some(expected.into()), "{machine:?}");
}
