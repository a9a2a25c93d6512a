//! Windows: what the crate `sysinfo` tells of memory and the page file.
//!
//! # Invariants
//! - `sysinfo` tells neither cache nor faults, so they are absent here.
//!
//! Where the system tells no memory at all the round fails.

use sysinfo::System;

use super::Reading;
use crate::{Host, ProbeError};

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    system: Option<System>,
}

impl Reader {
    /// The numbers now.
    pub(super) fn read(&mut self, _host: &Host) -> Result<Reading, ProbeError> {
        let failed = |source| ProbeError::System { what: "the memory", source };
        let system = match self.system.take() {
            Some(system) => system,
            None => {
                System::new().map_err(|error| failed(std::io::Error::other(error.to_string())))?
            }
        };
        let system = self.system.insert(system);
        system.refresh_memory();
        if system.total_memory() == 0 {
            return Err(failed(std::io::ErrorKind::Unsupported.into()));
        }
        Ok(Reading {
            total: Some(system.total_memory()),
            free: Some(system.free_memory()),
            available: Some(system.available_memory()),
            swap_total: Some(system.total_swap()),
            swap_free: Some(system.free_swap()),
            ..Reading::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_its_memory_and_not_what_sysinfo_cannot_know() {
        let reading = Reader::default().read(&Host::live()).unwrap();
        assert!(reading.total.unwrap() > reading.available.unwrap());
        assert_eq!((reading.cached, reading.faults), (None, None));
        assert!(reading.states()[0].is_some());
    }
}
