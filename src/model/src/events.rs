//! Every event, by subject. One list, in the order of the documentation.

use crate::{EventDef, EventEntry};

pub mod agent;
pub mod anomaly;
pub mod application;
pub mod compat;
pub mod connection;
pub mod crash;
pub mod device;
pub mod hardware;
pub mod log;
pub mod process;
pub mod quality;
pub mod reliability;
pub mod security;
pub mod storage_forecast;
pub mod usage;

/// Every event of the catalog, by level.
pub(crate) static ALL: &[&EventEntry] = &[
    agent::Settings::ENTRY,
    agent::Change::ENTRY,
    agent::Gap::ENTRY,
    security::Posture::ENTRY,
    security::Antimalware::ENTRY,
    device::Machine::ENTRY,
    device::Processor::ENTRY,
    device::Memory::ENTRY,
    device::Network::ENTRY,
    device::Storage::ENTRY,
    agent::Health::ENTRY,
    quality::Alerts::ENTRY,
    compat::Components::ENTRY,
    application::Usage::ENTRY,
    crash::Summary::ENTRY,
    usage::Services::ENTRY,
    reliability::Summary::ENTRY,
    storage_forecast::StorageForecast::ENTRY,
    anomaly::Anomaly::ENTRY,
    process::Table::ENTRY,
    connection::Listening::ENTRY,
    connection::Map::ENTRY,
    log::Entry::ENTRY,
    hardware::Smart::ENTRY,
    hardware::Sensors::ENTRY,
];
