//! Every event, by subject. One list, in the order of the documentation.

use crate::{EventDef, EventEntry};

pub mod agent;
pub mod process;

/// Every event of the catalog, by level.
pub(crate) static ALL: &[&EventEntry] =
    &[agent::Settings::ENTRY, agent::Change::ENTRY, agent::Health::ENTRY, process::Table::ENTRY];
