//! What changed on the host, as the system tells it: hardware that came or went, a link that went up
//! or down, a protection that was switched. The service waits for it and has the probes look that
//! say so by [`Probe::wakes_on`](crate::Probe::wakes_on); what did not change for the catalog stays
//! unsaid.
//!
//! # Invariants
//! - Nothing is polled: while nothing changes, nothing wakes.
//! - What comes in bursts is gathered for [`SETTLE`], and after that left alone for [`REST`]: a storm
//!   of changes wakes the agent twice in that time.
//! - Dropped means closed; the service holds a [`Watch`] only while it collects.
//! - At level 0 only what concerns protection is watched.
//!
//! A source that this system does not have, or that the sandbox hides, is left out: the probes look
//! with every report all the same.

use std::time::Duration;

use candor_model::Level;
use tokio::time::{Instant, sleep_until};

use crate::Host;

#[cfg(not(windows))]
#[path = "changes/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "changes/windows.rs"]
mod os;

/// Between the first sign of a change and the look at it.
const SETTLE: Duration = Duration::from_secs(2);

/// From a look at changes until the next sign is listened to.
const REST: Duration = Duration::from_secs(10);

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Processors, memory or drives.
    Hardware,
    /// Network adapters and their links.
    Network,
    /// What protects the host, and how current it is.
    Protection,
}

/// What changed since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    hardware: bool,
    network: bool,
    protection: bool,
}

impl Changes {
    /// Every one.
    #[cfg(not(windows))]
    const ALL: Self = Self { hardware: true, network: true, protection: true };

    /// These.
    #[must_use]
    pub fn of(changed: &[Change]) -> Self {
        Self {
            hardware: changed.contains(&Change::Hardware),
            network: changed.contains(&Change::Network),
            protection: changed.contains(&Change::Protection),
        }
    }

    /// Whether this did.
    #[must_use]
    pub const fn has(self, change: Change) -> bool {
        match change {
            Change::Hardware => self.hardware,
            Change::Network => self.network,
            Change::Protection => self.protection,
        }
    }

    /// Whether nothing did.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    #[cfg(not(windows))]
    fn add(&mut self, change: Change) {
        match change {
            Change::Hardware => self.hardware = true,
            Change::Network => self.network = true,
            Change::Protection => self.protection = true,
        }
    }
}

/// Listens for changes.
#[derive(Debug)]
pub struct Watch {
    sources: os::Sources,
    phase: Phase,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Sign,
    Settle(Instant),
    Rest(Instant),
}

impl Watch {
    /// Listens to what this host has and `level` allows. In an async runtime only.
    #[must_use]
    pub fn open(host: &Host, level: Level) -> Self {
        Self { sources: os::Sources::open(host, level), phase: Phase::Sign }
    }

    /// Waits for changes, for ever where nobody tells of any. A dropped future loses nothing.
    pub async fn changed(&mut self) -> Changes {
        loop {
            match self.phase {
                Phase::Sign => {
                    self.sources.sign().await;
                    self.phase = Phase::Settle(Instant::now() + SETTLE);
                }
                Phase::Settle(until) => {
                    sleep_until(until).await;
                    self.phase = Phase::Rest(Instant::now() + REST);
                    let changes = self.sources.take();
                    if !changes.is_empty() {
                        return changes;
                    }
                }
                Phase::Rest(until) => {
                    sleep_until(until).await;
                    self.phase = Phase::Sign;
                }
            }
        }
    }
}
