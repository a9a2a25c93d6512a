//! What looks at the host, one file per subject. The first room of the flow: probes make records,
//! `privacy` decides which of them may go on.
//!
//! [`schedule`] says which probe is due, [`runner`] runs it where it can be abandoned, and each
//! subject's file says what it reads and where; what differs by OS stands in files beside it.
//!
//! # Invariants
//! - Everything that stands in a file of the host is read below [`Host::root`], so that a recorded
//!   machine gives the same records as the machine itself.
//! - What the host does not tell is absent: never zero, never a placeholder.
//! - No MAC or IP address, serial number, user name or host name enters a record.
//!
//! A probe that fails, panics or hangs loses its own round and nothing else; it is counted and shown.

mod absence;
mod adapters;
mod anomaly;
mod beat;
mod bytes;
mod changes;
mod connections;
#[cfg(unix)]
mod containers;
mod cpu;
mod disk;
mod drives;
mod filesystem;
mod filler;
mod histogram;
mod host;
#[cfg(unix)]
mod kept;
#[cfg(not(windows))]
mod linux;
mod logs;
mod machine;
mod memory;
mod memory_inventory;
mod name;
mod network;
mod performance;
mod points;
mod posture;
#[cfg(unix)]
mod pressure;
mod probe;
mod processes;
mod processor;
mod recorder;
#[cfg(unix)]
mod reliability;
mod robust;
#[cfg(unix)]
mod roster;
pub mod rounds;
pub mod runner;
#[cfg(test)]
mod samples;
#[cfg(unix)]
mod scan;
pub mod schedule;
mod services;
mod settings;
mod smbios;
mod sockets;
#[cfg(unix)]
mod starts;
mod surroundings;
mod tcp;
mod whereabouts;
mod window;
#[cfg(any(windows, test))]
mod windows;

pub use absence::Absence;
pub use changes::{Change, Changes, Watch};
pub use host::Host;
pub use probe::{Moment, Probe, ProbeError, ProbeStatus, Rhythm};
pub use recorder::{record_archive, record_host};
pub use runner::Runner;
pub use schedule::{Intervals, Schedule};
pub use settings::{Pseudonym, Settings, Switch};
pub use surroundings::Surroundings;
pub use whereabouts::Whereabouts;

/// Every probe of this build, lowest level first.
#[must_use]
pub fn all(settings: &Settings) -> Vec<Box<dyn Probe>> {
    let mut all: Vec<Box<dyn Probe>> = vec![
        Box::new(posture::Posture),
        Box::new(machine::Machine),
        Box::new(processor::Processor),
        Box::new(memory_inventory::MemoryInventory),
        Box::new(adapters::Adapters),
        Box::new(drives::Drives),
    ];
    all.extend(performance::probes(settings));
    all.push(Box::new(processes::Applications::default()));
    all.push(Box::new(processes::Processes::default()));
    #[cfg(not(windows))]
    all.extend(linux::probes(settings));
    #[cfg(windows)]
    all.extend(windows::probes(settings));
    all.push(Box::new(connections::Connections::new(settings)));
    all.push(Box::new(logs::Logs::new(settings)));
    all
}
