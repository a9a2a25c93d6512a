//! `candor.device.network`: how many network adapters there are, and what each is.
//!
//! Linux reads `sys/class/net` and `proc/net/vlan`; Windows asks `GetIfTable2`.
//!
//! # Invariants
//! - No name, MAC or IP address of an adapter is read into a record.
//! - A speed that the adapter does not tell is absent: never 0, never -1.
//! - The list is bounded; hardware stands first, so that containers cannot push it out.
//!
//! Nothing here fails: what is not there is absent.

use candor_model::events::device::{Adapter, Network};
use candor_model::{Level, Record};

use crate::probe::record;
use crate::{Change, Host, Moment, Probe, ProbeError, Rhythm};

#[cfg_attr(not(any(windows, test)), expect(dead_code, reason = "only Windows has such a table"))]
mod interface;
#[cfg(not(windows))]
#[path = "adapters/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "adapters/windows.rs"]
mod os;

/// The rows of the system's table, for who counts what goes through them.
#[cfg(windows)]
pub(crate) use os::rows;

/// The most adapters that are listed; all are counted.
const MAX_LISTED: usize = 64;

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct Adapters;

impl Probe for Adapters {
    fn name(&self) -> &'static str {
        "adapters"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn wakes_on(&self) -> &'static [Change] {
        &[Change::Network]
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        Ok(os::adapters(host).map(network).map_or_else(Vec::new, record))
    }
}

/// In an order that does not follow the names, which come and go.
fn network(mut adapters: Vec<Adapter>) -> Network {
    let count = u32::try_from(adapters.len()).ok();
    adapters.sort_by(|a, b| {
        let hardware = |adapter: &Adapter| adapter.physical != Some(true);
        let rest = |adapter: &Adapter| (adapter.kind, adapter.link_speed, adapter.state);
        (hardware(a), rest(a), &a.driver).cmp(&(hardware(b), rest(b), &b.driver))
    });
    adapters.truncate(MAX_LISTED);
    Network { count, adapters: Some(adapters) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_listed_before_a_thousand_containers() {
        let software = Adapter { physical: Some(false), ..Adapter::default() };
        let hardware = Adapter { physical: Some(true), ..Adapter::default() };
        let mut adapters = vec![software; 1000];
        adapters.push(hardware.clone());
        let network = network(adapters);
        assert_eq!(network.count, Some(1001));
        let listed = network.adapters.unwrap();
        assert_eq!((listed.len(), &listed[0]), (MAX_LISTED, &hardware));
    }
}
