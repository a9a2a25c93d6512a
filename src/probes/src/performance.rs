//! The probes of levels 2 and 3 that tell how the host and its services perform. Made together,
//! since some look at what the others report.
//!
//! # Invariants
//! - Nothing here runs below level 2.
//!
//! Nothing here fails.

use crate::anomaly::{Anomalies, Board, Noted};
use crate::{Probe, Settings};
use crate::{cpu, disk, filesystem, memory, network, processes};

/// All of them, in the order in which a round runs them.
pub(crate) fn probes(settings: &Settings) -> Vec<Box<dyn Probe>> {
    let board = Board::default();
    let noted = |probe: Box<dyn Probe>| -> Box<dyn Probe> { Box::new(Noted::new(probe, &board)) };
    let mut all: Vec<Box<dyn Probe>> = vec![
        noted(Box::new(cpu::Cpu::new())),
        noted(Box::new(memory::Memory::new())),
        noted(Box::new(disk::Disk::new())),
        Box::new(filesystem::Filesystem::new(settings.forecast_file.clone())),
        noted(Box::new(network::Network::new())),
        Box::new(processes::ProcessCount::default()),
    ];
    all.push(Box::new(crate::services::ServiceUse::default()));
    all.push(noted(Box::new(crate::tcp::Tcp::new())));
    #[cfg(unix)]
    all.extend([
        noted(Box::new(crate::pressure::Pressure::new())),
        Box::new(crate::containers::Containers::new(settings.pseudonym.clone())),
        Box::new(crate::reliability::Reliability::default()),
    ]);
    #[cfg(windows)]
    all.push(Box::new(crate::windows::Reliability::default()));
    all.push(Box::new(Anomalies::new(&board)));
    #[cfg(unix)]
    all.push(Box::new(cpu::Cores::new()));
    all.push(Box::new(processes::ProcessUse::default()));
    all
}
