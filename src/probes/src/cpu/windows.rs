//! Windows: what the crate `sysinfo` tells of the processors.
//!
//! # Invariants
//! - `sysinfo` gives a busy fraction since its last look and no time by mode, so there is no
//!   `system.cpu.time` here, and `system.cpu.utilization` has the mode `idle` only.
//!
//! The first look has nothing to compare with and tells no fraction.

use std::time::Duration;

use sysinfo::System;

use super::Reading;
use crate::{Host, Moment, ProbeError};

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    system: Option<System>,
}

impl Reader {
    /// The fraction since the last reading.
    pub(super) fn read(&mut self, _host: &Host) -> Result<Reading, ProbeError> {
        let is_first = self.system.is_none();
        let system = match self.system.take() {
            Some(system) => system,
            None => System::new().map_err(|error| ProbeError::System {
                what: "the processors",
                source: std::io::Error::other(error.to_string()),
            })?,
        };
        let system = self.system.insert(system);
        system.refresh_cpu_usage();
        let busy = f64::from(system.global_cpu_usage()) / 100.0;
        let logical = u64::try_from(system.cpus().len()).ok().filter(|cpus| *cpus > 0);
        let busy = (!is_first && logical.is_some()).then(|| busy.clamp(0.0, 1.0));
        Ok(Reading { ticks: None, busy, logical, created: None })
    }

    /// Number of cores.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn physical(&self, _host: &Host) -> Option<u64> {
        System::physical_core_count().ok().and_then(|cores| u64::try_from(cores).ok())
    }

    /// Time since boot, by the clock that counts suspended time.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn uptime(&self, _host: &Host, now: Moment) -> Option<Duration> {
        Some(now.boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_tells_no_fraction_and_the_second_one_within_a_whole() {
        let mut reader = Reader::default();
        let first = reader.read(&Host::live()).unwrap();
        assert_eq!((first.busy, first.ticks), (None, None));
        assert!(first.logical.unwrap() > 0);
        let second = reader.read(&Host::live()).unwrap();
        assert!((0.0..=1.0).contains(&second.busy.unwrap()));
    }
}
