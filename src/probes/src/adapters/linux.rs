//! The network adapters as Linux shows them: one directory each in `sys/class/net`.
//!
//! # Invariants
//! - `address`, `broadcast` and `ifalias` are never opened.

use std::path::PathBuf;

use candor_model::events::device::{Adapter, AdapterKind, AdapterState};

use crate::Host;

// Kinds of hardware, `linux/if_arp.h`.
const ETHER: u64 = 1;
const PPP: u64 = 512;
const RAW_IP: u64 = 519;
const LOOPBACK: u64 = 772;
const NONE: u64 = 0xFFFE;
/// IP in IP, IP6 tunnel, SIT, GRE, GRE over IP6.
const TUNNELS: [u64; 5] = [768, 769, 776, 778, 823];

/// Paravirtual adapters that hang on an ordinary bus: of `VMware` and of Google.
const PARAVIRTUAL_DRIVERS: [&str; 2] = ["vmxnet3", "gve"];

/// The bit of `flags` that says that the adapter is switched on.
const IFF_UP: u64 = 1;

/// Buses of hypervisors: what hangs on them is no hardware.
const PARAVIRTUAL: [&str; 4] = ["virtio", "xen", "vmbus", "xen-backend"];

pub(super) fn adapters(host: &Host) -> Option<Vec<Adapter>> {
    let directory = host.sys("class/net");
    let names = host.names(&directory);
    // `bonding_masters` is a file among the directories.
    let names = names.iter().filter(|name| directory.join(name).join("type").exists());
    let adapters: Vec<_> = names.map(|name| Net::open(host, name).adapter()).collect();
    (!adapters.is_empty()).then_some(adapters)
}

/// One adapter's directory.
struct Net<'a> {
    host: &'a Host,
    name: &'a str,
    directory: PathBuf,
    /// `DEVTYPE` of its `uevent`.
    devtype: Option<String>,
    has_device: bool,
    is_software: bool,
}

impl<'a> Net<'a> {
    fn open(host: &'a Host, name: &'a str) -> Self {
        let directory = host.sys("class/net").join(name);
        let uevent = host.content(&directory.join("uevent")).unwrap_or_default();
        let devtype = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
        let real = host.leads_to(&directory).unwrap_or_default();
        Self {
            host,
            name,
            devtype: devtype.map(str::to_owned),
            has_device: directory.join("device").exists(),
            is_software: real.components().any(|part| part.as_os_str() == "virtual"),
            directory,
        }
    }

    fn adapter(&self) -> Adapter {
        let (kind, state) = (self.kind(), self.state());
        Adapter {
            kind,
            physical: Some(self.is_physical()),
            driver: self.driver(),
            link_speed: self.link_speed(kind, state),
            state,
        }
    }

    fn has(&self, entry: &str) -> bool {
        self.directory.join(entry).exists()
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.host.number(&self.directory.join(file))
    }

    fn kind(&self) -> Option<AdapterKind> {
        self.declared_kind().or_else(|| self.kind_by_hardware())
    }

    /// What the driver says it is.
    fn declared_kind(&self) -> Option<AdapterKind> {
        let devtype = self.devtype.as_deref().unwrap_or_default();
        let is_vlan = || self.host.proc("net/vlan").join(self.name).exists();
        Some(match devtype {
            "wlan" => AdapterKind::Wifi,
            "wwan" => AdapterKind::Cellular,
            "bridge" => AdapterKind::Bridge,
            "bond" => AdapterKind::Bond,
            "vlan" => AdapterKind::Vlan,
            "wireguard" | "vxlan" | "geneve" | "gtp" | "ppp" | "l2tpeth" => AdapterKind::Tunnel,
            "macvlan" | "macvtap" | "ipvlan" => AdapterKind::Virtual,
            _ if self.has("wireless") || self.has("phy80211") => AdapterKind::Wifi,
            _ if self.has("bridge") => AdapterKind::Bridge,
            _ if self.has("bonding") => AdapterKind::Bond,
            _ if self.has("tun_flags") => AdapterKind::Tunnel,
            _ if is_vlan() => AdapterKind::Vlan,
            _ => return None,
        })
    }

    fn kind_by_hardware(&self) -> Option<AdapterKind> {
        match self.number("type")? {
            LOOPBACK => Some(AdapterKind::Loopback),
            RAW_IP => Some(AdapterKind::Cellular),
            PPP => Some(AdapterKind::Tunnel),
            tunnel if TUNNELS.contains(&tunnel) => Some(AdapterKind::Tunnel),
            NONE if !self.has_device => Some(AdapterKind::Tunnel),
            ETHER if self.has_device && !self.is_software => Some(AdapterKind::Ethernet),
            _ if !self.has_device => Some(AdapterKind::Virtual),
            _ => None,
        }
    }

    fn is_physical(&self) -> bool {
        let bus = self.host.link_name(&self.directory.join("device/subsystem"));
        let driver = self.driver();
        let is_paravirtual = bus.is_some_and(|bus| PARAVIRTUAL.contains(&bus.as_str()))
            || driver.is_some_and(|driver| PARAVIRTUAL_DRIVERS.contains(&driver.as_str()));
        self.has_device && !self.is_software && !is_paravirtual
    }

    fn driver(&self) -> Option<String> {
        if let Some(driver) = self.host.link_name(&self.directory.join("device/driver")) {
            return Some(driver);
        }
        let uevent = self.host.content(&self.directory.join("device/uevent"))?;
        let driver = uevent.lines().find_map(|line| line.strip_prefix("DRIVER="))?;
        (!driver.is_empty()).then(|| driver.to_owned())
    }

    /// Mbit/s on file; -1 and its unsigned form mean unknown. What software says is made up: a
    /// veth has 10 Gbit/s, a tun 10 Mbit/s.
    fn link_speed(&self, kind: Option<AdapterKind>, state: Option<AdapterState>) -> Option<u64> {
        let is_made_up = matches!(kind, Some(AdapterKind::Virtual | AdapterKind::Tunnel));
        if is_made_up || state == Some(AdapterState::Down) {
            return None;
        }
        let megabits = self.number("speed").filter(|speed| *speed > 0);
        megabits.filter(|speed| *speed < u64::from(u32::MAX)).map(|speed| speed * 1_000_000)
    }

    fn state(&self) -> Option<AdapterState> {
        match self.host.text(&self.directory.join("operstate"))?.as_str() {
            "up" => Some(AdapterState::Up),
            "down" | "notpresent" => Some(AdapterState::Down),
            "dormant" => Some(AdapterState::Dormant),
            "lowerlayerdown" => Some(AdapterState::LowerLayerDown),
            "testing" => Some(AdapterState::Testing),
            _ => self.state_by_carrier(),
        }
    }

    /// Loopback and tunnels do not keep a state; `carrier` cannot be read while one is off.
    fn state_by_carrier(&self) -> Option<AdapterState> {
        let flags = self.host.text(&self.directory.join("flags"))?;
        let flags = u64::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
        if flags & IFF_UP == 0 {
            return Some(AdapterState::Down);
        }
        match self.number("carrier")? {
            0 => Some(AdapterState::Down),
            _ => Some(AdapterState::Up),
        }
    }
}
