//! What the numbers of a Windows interface table mean. Only numbers to facts: the same everywhere.
//!
//! # Invariants
//! - A number that is not known, and a speed of all ones, is absent.

use candor_model::events::device::{Adapter, AdapterKind, AdapterState};

use crate::filler::fact;

/// One row of `GetIfTable2`, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub(super) struct Interface {
    /// `Type`, IANA's `ifType`.
    pub(super) kind: u32,
    /// `InterfaceAndOperStatusFlags`.
    pub(super) flags: u8,
    /// `OperStatus`, RFC 2863.
    pub(super) status: i32,
    /// `TransmitLinkSpeed`, bit/s.
    pub(super) speed: u64,
    /// The service of its driver.
    pub(super) driver: Option<String>,
}

/// The drivers of hypervisors' own adapters, which call themselves hardware: Hyper-V, `VMware`, KVM, Xen.
const PARAVIRTUAL: [&str; 5] = ["netvsc", "vmxnet3ndis6", "netkvm", "xennet", "xenvif"];

const HARDWARE: u8 = 1;
const FILTER: u8 = 1 << 1;

impl Interface {
    /// The adapter; `None` for the filter drivers that Windows lists beside each.
    pub(super) fn adapter(&self) -> Option<Adapter> {
        if self.flags & FILTER != 0 {
            return None;
        }
        let (kind, state) = (self.adapter_kind(), self.state());
        let is_made_up = matches!(
            kind,
            Some(AdapterKind::Virtual | AdapterKind::Tunnel | AdapterKind::Loopback)
        );
        let speed = Some(self.speed).filter(|speed| !matches!(*speed, 0 | u64::MAX) && !is_made_up);
        Some(Adapter {
            kind,
            physical: Some(self.is_hardware() && !self.is_paravirtual()),
            driver: self.driver.as_deref().and_then(fact),
            link_speed: speed.filter(|_| state == Some(AdapterState::Up)),
            state,
        })
    }

    const fn is_hardware(&self) -> bool {
        self.flags & HARDWARE != 0
    }

    fn is_paravirtual(&self) -> bool {
        let driver = self.driver.as_deref().unwrap_or_default();
        PARAVIRTUAL.iter().any(|name| driver.eq_ignore_ascii_case(name))
    }

    fn adapter_kind(&self) -> Option<AdapterKind> {
        Some(match self.kind {
            6 if self.is_hardware() => AdapterKind::Ethernet,
            6 | 53 => AdapterKind::Virtual,
            23 | 131 => AdapterKind::Tunnel,
            24 => AdapterKind::Loopback,
            71 => AdapterKind::Wifi,
            135 | 136 => AdapterKind::Vlan,
            161 => AdapterKind::Bond,
            209 => AdapterKind::Bridge,
            243 | 244 => AdapterKind::Cellular,
            _ => return None,
        })
    }

    fn state(&self) -> Option<AdapterState> {
        Some(match self.status {
            1 => AdapterState::Up,
            2 | 6 => AdapterState::Down,
            3 => AdapterState::Testing,
            5 => AdapterState::Dormant,
            7 => AdapterState::LowerLayerDown,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wired_adapter_that_is_up_tells_its_speed() {
        let row = Interface {
            kind: 6,
            flags: HARDWARE,
            status: 1,
            speed: 1_000_000_000,
            driver: Some("e1dexpress".to_owned()),
        };
        let expected = Adapter {
            kind: Some(AdapterKind::Ethernet),
            physical: Some(true),
            driver: Some("e1dexpress".to_owned()),
            link_speed: Some(1_000_000_000),
            state: Some(AdapterState::Up),
        };
        assert_eq!(row.adapter(), Some(expected));
    }

    #[test]
    fn an_unplugged_wireless_adapter_has_no_speed() {
        let row = Interface { kind: 71, flags: HARDWARE, status: 2, speed: u64::MAX, driver: None };
        let adapter = row.adapter().unwrap();
        assert_eq!((adapter.kind, adapter.link_speed), (Some(AdapterKind::Wifi), None));
        assert_eq!(adapter.state, Some(AdapterState::Down));
    }

    #[test]
    fn filter_drivers_are_no_adapters_and_a_switch_port_is_virtual() {
        let row = Interface { kind: 6, flags: FILTER, status: 1, speed: 1, driver: None };
        assert_eq!(row.adapter(), None);
        let port = Interface { flags: 0, ..row }.adapter().unwrap();
        assert_eq!((port.kind, port.link_speed), (Some(AdapterKind::Virtual), None));
    }

    #[test]
    fn a_hypervisors_own_adapter_is_no_hardware() {
        let row = |driver: &str| Interface {
            kind: 6,
            flags: HARDWARE,
            status: 1,
            speed: 10_000_000_000,
            driver: Some(driver.to_owned()),
        };
        let guest = row("netvsc").adapter().unwrap();
        assert_eq!((guest.physical, guest.kind), (Some(false), Some(AdapterKind::Ethernet)));
        assert_eq!(guest.link_speed, Some(10_000_000_000));
        assert_eq!(row("e1i65x64").adapter().unwrap().physical, Some(true));
    }
}
