//! Windows: what the crate `sysinfo` tells of the adapters.
//!
//! # Invariants
//! - `sysinfo` tells no drops, so there is no `system.network.packet.dropped` here.
//! - Adapters that Windows makes itself (loopback, tunnels, virtual switches) are left out by name.
//!
//! A host without adapters tells none; that is no failure.

use sysinfo::Networks;

use super::Reading;
use crate::name::Name;
use crate::{Host, ProbeError};

/// How the names of adapters begin that are no hardware.
const VIRTUAL: [&str; 5] = ["Loopback", "vEthernet", "isatap", "Teredo", "Local Area Connection*"];

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    networks: Option<Networks>,
}

impl Reader {
    /// `sysinfo` tells none.
    pub(super) const TELLS_DROPS: bool = false;

    /// The counters now.
    pub(super) fn read(&mut self, _host: &Host, into: &mut Vec<Reading>) -> Result<(), ProbeError> {
        let networks = match self.networks.take() {
            Some(networks) => networks,
            None => Networks::new().map_err(|error| ProbeError::System {
                what: "the adapters",
                source: std::io::Error::other(error.to_string()),
            })?,
        };
        let networks = self.networks.insert(networks);
        networks.refresh(true);
        into.extend(networks.iter().filter_map(|(name, data)| {
            let name = name.to_str()?;
            let is_virtual = VIRTUAL.iter().any(|kind| name.starts_with(kind));
            let name = Name::new(name.as_bytes()).filter(|_| !is_virtual)?;
            let counters = [
                data.total_received(),
                data.total_packets_received(),
                data.total_errors_on_received(),
                0,
                data.total_transmitted(),
                data.total_packets_transmitted(),
                data.total_errors_on_transmitted(),
                0,
            ];
            Some(Reading { name, counters })
        }));
        into.sort_unstable_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_loopback_is_among_this_hosts_adapters() {
        let mut readings = Vec::new();
        Reader::default().read(&Host::live(), &mut readings).unwrap();
        assert!(readings.iter().all(|one| !one.name.as_str().starts_with("Loopback")));
    }
}
