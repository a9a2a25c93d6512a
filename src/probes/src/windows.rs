//! Subjects that Windows tells of in a form of its own, one file each. What is only text, bytes or directories
//! is compiled and tested on every system; the calls and the registry are in the files beside it.
//!
//! # Invariants
//! - A recorded machine is not this one: nothing is told of it here.

#[cfg(windows)]
use crate::{Probe, Settings};

mod alerts;
#[cfg(windows)]
mod antimalware;
pub(crate) mod channel;
#[cfg(windows)]
mod components;
mod crashes;
mod defender;
pub(crate) mod entry;
mod filetime;
mod history;
mod reliability;
mod runtime;
mod wer;

#[cfg(windows)]
pub(crate) use components::came_with_windows;
#[cfg(windows)]
pub(crate) use reliability::Reliability;

/// The probes of this folder, lowest level first.
#[cfg(windows)]
pub(crate) fn probes(_settings: &Settings) -> Vec<Box<dyn Probe>> {
    vec![
        Box::new(antimalware::Antimalware),
        Box::new(alerts::Alerts::default()),
        Box::new(components::Components::default()),
        Box::new(crashes::Crashes::new(crashes::places())),
    ]
}
