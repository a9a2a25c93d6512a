//! Whether a firewall is on, told without asking netfilter, for which one must be root and which
//! would load its modules.
//!
//! # Invariants
//! - On: a firewall's own service runs, or is set to. Off: the kernel has no packet filter at all.
//! - Rules that someone loaded by hand are neither; then nothing is said.

use crate::Host;

/// Services that load rules and count as running while the rules hold.
const SERVICES: [&str; 6] =
    ["firewalld", "nftables", "iptables", "netfilter-persistent", "shorewall", "ferm"];

/// Kernel modules with which packets can be filtered.
const FILTERS: [&str; 4] = ["nf_tables", "ip_tables", "ip6_tables", "x_tables"];

pub(super) fn is_on(host: &Host) -> Option<bool> {
    if is_ufw_on(host) || SERVICES.iter().any(|service| is_running(host, service)) {
        return Some(true);
    }
    is_impossible(host).then_some(false)
}

/// Whether systemd's link for an active unit, by its name, is a firewall's.
pub(super) fn is_unit(link: &str) -> bool {
    let unit = link.strip_prefix("invocation:").and_then(|unit| unit.strip_suffix(".service"));
    unit.is_some_and(|unit| SERVICES.contains(&unit))
}

/// `ufw enable` and `ufw disable` write it and act on it at once.
fn is_ufw_on(host: &Host) -> bool {
    let settings = host.content(&host.etc("ufw/ufw.conf")).unwrap_or_default();
    settings.lines().any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"))
}

/// systemd keeps a link for each unit that is active; it leads nowhere by design.
fn is_running(host: &Host, service: &str) -> bool {
    let units = host.path("run/systemd/units");
    units.join(format!("invocation:{service}.service")).symlink_metadata().is_ok()
}

/// No filter is loaded, and none is part of the kernel.
fn is_impossible(host: &Host) -> bool {
    let Some(loaded) = host.content(&host.proc("modules")) else { return false };
    let Some(release) = host.text(&host.proc("sys/kernel/osrelease")) else { return false };
    let built_in = host.path("lib/modules").join(release).join("modules.builtin");
    let Some(built_in) = host.content(&built_in) else { return false };
    let is_loaded =
        |filter: &str| loaded.lines().any(|line| line.split(' ').next() == Some(filter));
    let is_built_in = |filter: &str| {
        let file = format!("/{filter}.ko");
        built_in.lines().any(|line| line.ends_with(&file))
    };
    !FILTERS.iter().any(|filter| is_loaded(filter) || is_built_in(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("posture/firewall::is_unit", Says::Stands, &["invocation:nftables.service"], is_unit);
    }
}
