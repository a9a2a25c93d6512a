//! The probes of level 2: how the host and its services perform. Made together, since some look at
//! what the others report.
//!
//! # Invariants
//! - Nothing here runs below level 2.
//!
//! Nothing here fails.

use crate::{Probe, Settings};
use crate::{cpu, disk, filesystem, memory, network, processes};

/// All of them, in the order in which a round runs them.
pub(crate) fn probes(settings: &Settings) -> Vec<Box<dyn Probe>> {
    let mut all: Vec<Box<dyn Probe>> = vec![
        Box::new(cpu::Cpu::new()),
        Box::new(memory::Memory::new()),
        Box::new(disk::Disk::new()),
        Box::new(filesystem::Filesystem),
        Box::new(network::Network::new()),
        Box::new(processes::ProcessCount::default()),
    ];
    all.extend(of_this_os(settings));
    all
}

#[cfg(unix)]
fn of_this_os(settings: &Settings) -> Vec<Box<dyn Probe>> {
    vec![
        Box::new(crate::tcp::Tcp::new()),
        Box::new(crate::pressure::Pressure::new()),
        Box::new(crate::containers::Containers::new(settings.pseudonym.clone())),
        Box::new(crate::services::ServiceUse::default()),
        Box::new(crate::reliability::Reliability::default()),
    ]
}

#[cfg(not(unix))]
fn of_this_os(_settings: &Settings) -> Vec<Box<dyn Probe>> {
    Vec::new()
}
