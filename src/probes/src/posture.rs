//! `candor.security.posture`: how the host is protected and how current it is.
//!
//! Linux reads `etc/os-release`, the EFI variables, `sys/kernel/security`, the traces of firewall
//! services, the root file system's devices and the package databases; Windows the registry.
//!
//! # Invariants
//! - Nothing is run and nothing is asked over a network.
//! - On or off is said only where the host is certain; a protection that may be there in a form
//!   that this agent cannot see is absent, never `false`.
//!
//! Nothing here fails: what is not there is absent.

use candor_model::{Level, Record};

use crate::probe::record;
use crate::{Change, Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(not(windows))]
mod firewall;
#[cfg(not(windows))]
#[path = "posture/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "posture/windows.rs"]
mod os;
#[cfg_attr(not(any(windows, test)), expect(dead_code, reason = "only Windows has a registry"))]
mod registry;
#[cfg(not(windows))]
mod root_disk;
#[cfg(not(windows))]
mod updates;
#[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "Windows has no `os-release`"))]
mod version;

/// Whether systemd's link for an active unit, by its name, is a firewall's.
#[cfg(not(windows))]
pub(crate) fn is_firewall(link: &str) -> bool {
    firewall::is_unit(link)
}

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct Posture;

impl Probe for Posture {
    fn name(&self) -> &'static str {
        "posture"
    }

    fn level(&self) -> Level {
        Level::Security
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn wakes_on(&self) -> &'static [Change] {
        &[Change::Protection]
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        Ok(record(os::posture(host)))
    }
}
