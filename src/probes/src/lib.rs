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

mod host;
mod probe;
pub mod runner;
pub mod schedule;

pub use host::Host;
pub use probe::{Moment, Probe, ProbeError, ProbeStatus, Rhythm};
pub use runner::Runner;
pub use schedule::{Intervals, Schedule};

/// Every probe of this build, lowest level first.
#[must_use]
pub fn all() -> Vec<Box<dyn Probe>> {
    vec![]
}
