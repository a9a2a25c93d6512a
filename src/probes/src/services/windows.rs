//! The services of Windows that run, as the service control manager lists them.
//!
//! # Invariants
//! - Of a process only its age is looked at.
//! - A recorded machine is not this one: nothing is told of it here.
//!
//! What may not be looked at is absent.

use std::time::Duration;

use candor_platform::{process_age, system_services};

use super::template;
use crate::Host;
use crate::windows::came_with_windows;

/// One service.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) name: String,
    /// Its process: another one after each start.
    pub(super) start: Option<u32>,
    pub(super) restarts: u64,
    /// How many looks did not find it.
    pub(super) missed: u32,
    /// Whether its program came with Windows.
    is_packaged: bool,
}

/// The services that run, by name; the first so many.
pub(super) fn running(host: &Host, most: usize) -> Vec<Unit> {
    let services = host.is_live().then(system_services).flatten().unwrap_or_default();
    let mut running: Vec<_> =
        services.into_iter().filter(|service| !service.is_driver && service.is_running).collect();
    running.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    running.truncate(most);
    let unit = |service: candor_platform::SystemService| Unit {
        is_packaged: came_with_windows(&service.name) == Some(true),
        name: service.name,
        start: service.pid,
        restarts: 0,
        missed: 0,
    };
    running.into_iter().map(unit).collect()
}

impl Unit {
    /// How long its process runs; several services may share one.
    pub(super) fn ran(&self, _host: &Host, _uptime: Option<Duration>) -> Option<Duration> {
        process_age(self.start?)
    }

    /// The name that may be told.
    pub(super) fn told(&self, _host: &Host) -> Option<String> {
        self.is_packaged.then(|| template(&self.name))
    }
}

/// The system tells the age of each process by itself.
pub(super) fn uptime(_host: &Host) -> Option<Duration> {
    None
}
