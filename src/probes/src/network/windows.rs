//! Windows: what the network drivers count, by `GetIfTable2`.
//!
//! # Invariants
//! - Hardware only: neither loopback, tunnels and switches, nor the filters that Windows lists beside each.
//! - An adapter is named as its locally unique id is: by what it is and a number, in no language. The name
//!   that a person gave it is not looked at.
//!
//! A host without adapters tells none; that is no failure.

use windows_sys::Win32::NetworkManagement::IpHelper::MIB_IF_ROW2;

use super::Reading;
use super::luid;
use crate::adapters::rows;
use crate::name::Name;
use crate::{Host, ProbeError};

/// `HardwareInterface` and `FilterInterface` of `InterfaceAndOperStatusFlags`.
const HARDWARE: u8 = 1;
const FILTER: u8 = 1 << 1;

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader(());

impl Reader {
    /// The drivers count what they threw away.
    pub(super) const TELLS_DROPS: bool = true;

    /// The counters now.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the same signature as on Linux"
    )]
    pub(super) fn read(&mut self, host: &Host, into: &mut Vec<Reading>) -> Result<(), ProbeError> {
        let rows = host.is_live().then(|| rows(reading)).flatten();
        into.extend(rows.into_iter().flatten().flatten());
        into.sort_unstable_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        Ok(())
    }
}

fn reading(row: &MIB_IF_ROW2) -> Option<Reading> {
    let flags = row.InterfaceAndOperStatusFlags._bitfield;
    if flags & HARDWARE == 0 || flags & FILTER != 0 {
        return None;
    }
    let name = luid::name(luid_of(row))?;
    let counters = [
        row.InOctets,
        row.InUcastPkts.saturating_add(row.InNUcastPkts),
        row.InErrors,
        row.InDiscards,
        row.OutOctets,
        row.OutUcastPkts.saturating_add(row.OutNUcastPkts),
        row.OutErrors,
        row.OutDiscards,
    ];
    Some(Reading { name: Name::new(name.as_bytes())?, counters })
}

#[expect(unsafe_code, reason = "the system's struct has a union")]
fn luid_of(row: &MIB_IF_ROW2) -> u64 {
    // SAFETY: every variant of the union is the same plain 64 bits.
    unsafe { row.InterfaceLuid.Value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_loopback_is_among_this_hosts_adapters() {
        let mut readings = Vec::new();
        Reader::default().read(&Host::live(), &mut readings).unwrap();
        assert!(readings.iter().all(|one| !one.name.as_str().starts_with("loopback")));
    }
}
