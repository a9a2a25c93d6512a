//! Power by `UPower` where it runs, else by the kernel; the link by `NetworkManager`.
//!
//! ```text
//! sys/class/power_supply/NAME/{type,scope,online,status}     the kernel's supplies
//! org.freedesktop.UPower  OnBattery  b                       knows a UPS too
//! org.freedesktop.NetworkManager  Metered  u                 1 yes, 2 no, 3 guessed yes, 4 guessed no
//! ```
//!
//! # Invariants
//! - The bus is asked through systemd's `busctl`, which comes with every host that has these two
//!   services: a D-Bus library would stand in memory all day for two words each quarter of an hour.
//! - It is asked at the host's own socket, so that an agent in a container that sees the host's files
//!   asks the host's services.

use std::path::Path;
use std::time::Duration;

use crate::linux::child;
use crate::{Host, Surroundings};

/// How long a service may take.
const DEADLINE: Duration = Duration::from_secs(1);

const SOCKET: &str = "run/dbus/system_bus_socket";

/// A property of a service, and what shows without a question that the service runs.
struct Property {
    unit: &'static str,
    directory: Option<&'static str>,
    service: &'static str,
    path: &'static str,
    name: &'static str,
}

const ON_BATTERY: Property = Property {
    unit: "upower.service",
    directory: None,
    service: "org.freedesktop.UPower",
    path: "/org/freedesktop/UPower",
    name: "OnBattery",
};

const METERED: Property = Property {
    unit: "NetworkManager.service",
    directory: Some("run/NetworkManager"),
    service: "org.freedesktop.NetworkManager",
    path: "/org/freedesktop/NetworkManager",
    name: "Metered",
};

pub(super) fn surroundings(host: &Host) -> Surroundings {
    Surroundings {
        is_on_battery: on_battery(host).or_else(|| is_discharging(host)),
        is_metered: metered(host),
    }
}

fn on_battery(host: &Host) -> Option<bool> {
    match ask(host, &ON_BATTERY)?.as_str() {
        "v b true" => Some(true),
        "v b false" => Some(false),
        _ => None,
    }
}

fn metered(host: &Host) -> Option<bool> {
    match ask(host, &METERED)?.as_str() {
        "v u 1" | "v u 3" => Some(true),
        "v u 2" | "v u 4" => Some(false),
        _ => None,
    }
}

/// The answer as busctl prints it: type, then value.
fn ask(host: &Host, property: &Property) -> Option<String> {
    let unit = format!("run/systemd/units/invocation:{}", property.unit);
    let is_there = |path: &str| host.path(path).symlink_metadata().is_ok();
    let runs = is_there(&unit) || property.directory.is_some_and(is_there);
    if !runs || !is_there(SOCKET) {
        return None;
    }
    // The host's bus, and this system's program to ask it.
    let program = child::find(&Host::live(), "busctl")?;
    let address = format!("--address=unix:path={}", escape(&host.path(SOCKET))?);
    let Property { service, path, name, .. } = property;
    let arguments = [
        &*address,
        "--auto-start=no",
        "--timeout=1",
        "call",
        service,
        path,
        "org.freedesktop.DBus.Properties",
        "Get",
        "ss",
        service,
        name,
    ];
    let output = child::run(&program, &arguments, DEADLINE).ok()?;
    let text = String::from_utf8(output.text).ok()?;
    (output.code == Some(0)).then(|| text.trim().to_owned())
}

/// A path in an address of D-Bus: other bytes than these are escaped.
fn escape(path: &Path) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(&byte);
    let escaped = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }
    };
    Some(path.to_str()?.bytes().map(escaped).collect())
}

/// By the rule of `UPower`: a battery of the system discharges, and no other supply is online. A battery of
/// a mouse has the scope `Device`.
fn is_discharging(host: &Host) -> Option<bool> {
    let directory = host.sys("class/power_supply");
    let names = host.names(&directory);
    let mut supplies = names
        .iter()
        .map(|name| directory.join(name))
        .filter(|supply| host.text(&supply.join("scope")).as_deref() != Some("Device"));
    let (mut has_supply, mut discharges) = (false, false);
    let online = supplies.any(|supply| {
        let kind = host.text(&supply.join("type"));
        has_supply |= kind.is_some();
        if kind.as_deref() == Some("Battery") {
            let status = host.text(&supply.join("status"));
            discharges |= status.as_deref() == Some("Discharging");
            return false;
        }
        host.number(&supply.join("online")).is_some_and(|online| online > 0)
    });
    has_supply.then_some(discharges && !online)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Supplies by name: type, and the files beside it.
    fn told(supplies: &[(&str, &[(&str, &str)])]) -> Surroundings {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        for (name, files) in supplies {
            let directory = host.sys("class/power_supply").join(name);
            fs::create_dir_all(&directory).unwrap();
            for (file, content) in *files {
                fs::write(directory.join(file), content).unwrap();
            }
        }
        Surroundings::of(&host)
    }

    fn on_battery(supplies: &[(&str, &[(&str, &str)])]) -> Option<bool> {
        told(supplies).is_on_battery
    }

    const CHARGING: (&str, &[(&str, &str)]) =
        ("BAT0", &[("type", "Battery\n"), ("status", "Charging\n")]);
    const DISCHARGING: (&str, &[(&str, &str)]) =
        ("BAT0", &[("type", "Battery\n"), ("status", "Discharging\n")]);

    #[test]
    fn a_laptop_is_on_battery_only_while_it_discharges_and_nothing_feeds_it() {
        let unplugged: (&str, &[(&str, &str)]) = ("AC", &[("type", "Mains\n"), ("online", "0\n")]);
        let plugged: (&str, &[(&str, &str)]) = ("AC", &[("type", "Mains\n"), ("online", "1\n")]);
        let by_usb: (&str, &[(&str, &str)]) = ("ucsi", &[("type", "USB\n"), ("online", "1\n")]);
        assert_eq!(on_battery(&[unplugged, DISCHARGING]), Some(true));
        assert_eq!(on_battery(&[DISCHARGING]), Some(true));
        assert_eq!(on_battery(&[plugged, DISCHARGING]), Some(false));
        assert_eq!(on_battery(&[unplugged, DISCHARGING, by_usb]), Some(false));
        assert_eq!(on_battery(&[unplugged, CHARGING]), Some(false));
        assert_eq!(on_battery(&[plugged]), Some(false));
    }

    #[test]
    fn a_mouses_battery_is_not_the_hosts_and_a_host_without_supplies_tells_nothing() {
        let mouse: (&str, &[(&str, &str)]) =
            ("hid", &[("type", "Battery\n"), ("scope", "Device\n"), ("status", "Discharging\n")]);
        assert_eq!(on_battery(&[mouse]), None);
        assert_eq!(told(&[]), Surroundings::default());
    }

    #[test]
    fn a_path_is_escaped_as_an_address_wants_it() {
        assert_eq!(escape(Path::new("/a-b/c d,e=f")).as_deref(), Some("/a-b/c%20d%2ce%3df"));
    }
}
