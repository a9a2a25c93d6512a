//! Every event, by subject. One list, in the order of the documentation.

use crate::{EventDef, EventEntry};

pub mod agent;
pub mod device;
pub mod process;
pub mod security;

/// Every event of the catalog, by level.
pub(crate) static ALL: &[&EventEntry] = &[
    agent::Settings::ENTRY,
    agent::Change::ENTRY,
    agent::Gap::ENTRY,
    security::Posture::ENTRY,
    device::Machine::ENTRY,
    device::Processor::ENTRY,
    device::Memory::ENTRY,
    device::Network::ENTRY,
    device::Storage::ENTRY,
    agent::Health::ENTRY,
    process::Table::ENTRY,
];
