//! Subjects that so far only Linux tells of, one file each.
//!
//! # Invariants
//! - As for every probe: what stands in a file is read below the host's root, and programs are run
//!   only where the host is the one that the agent runs on.
//!
//! On other systems these events are absent.

use crate::{Probe, Settings};

mod alerts;
mod antimalware;
pub(crate) mod child;
mod components;
mod crashes;
pub(crate) mod kmsg;
mod running;
mod sensors;
mod smart;

/// The probes of this folder, lowest level first.
pub(crate) fn probes(settings: &Settings) -> Vec<Box<dyn Probe>> {
    vec![
        Box::new(antimalware::Antimalware),
        Box::new(alerts::Alerts::default()),
        Box::new(components::Components),
        Box::new(crashes::Crashes::new(settings)),
        Box::new(smart::SmartProbe),
        Box::new(sensors::SensorsProbe),
    ]
}
