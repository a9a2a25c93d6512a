//! How current the host is: what its package tools left behind.
//!
//! # Invariants
//! - Nothing is run, nothing is asked of a repository; a count is the system's own, as old as it is.
//! - `false` only where the tool that would say `true` is installed.

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use crate::Host;

/// Files and directories that change whenever packages do: dpkg, rpm (three places), apk, pacman.
const DATABASES: [&str; 6] = [
    "var/lib/dpkg/status",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "lib/apk/db/installed",
    "var/lib/pacman/local",
];

/// Hooks that leave the note `reboot-required` when an update needs it.
const REBOOT_HOOKS: [&str; 3] = [
    "etc/kernel/postinst.d/update-notifier",
    "etc/kernel/postinst.d/unattended-upgrades",
    "usr/share/update-notifier/notify-reboot-required",
];

/// When packages were last installed, changed or removed, RFC 3339 to the second.
pub(super) fn last(host: &Host) -> Option<String> {
    let times = DATABASES.iter().filter_map(|path| modified(&host.path(path)));
    times.max().map(|time| time.to_string())
}

fn modified(path: &Path) -> Option<Timestamp> {
    let time = Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()?;
    Timestamp::from_second(time.as_second()).ok()
}

/// A note that asks for it, or a running kernel whose modules an update has removed.
pub(super) fn is_reboot_pending(host: &Host) -> Option<bool> {
    let exists = |path: &&str| host.path(path).exists();
    if ["run/reboot-required", "var/run/reboot-required"].iter().any(exists) || is_kernel_gone(host)
    {
        return Some(true);
    }
    REBOOT_HOOKS.iter().any(exists).then_some(false)
}

fn is_kernel_gone(host: &Host) -> bool {
    let modules = host.path("lib/modules");
    let release = host.text(&host.proc("sys/kernel/osrelease"));
    let kernels = host.names(&modules).into_iter();
    // A directory without an index is a leftover, or a driver that someone put there.
    let mut kernels = kernels.filter(|name| modules.join(name).join("modules.dep").exists());
    release.is_some_and(|release| !modules.join(release).exists() && kernels.next().is_some())
}

/// As Ubuntu's update-notifier last counted them.
pub(super) fn security_pending(host: &Host) -> Option<u32> {
    let note = host.content(&host.path("var/lib/update-notifier/updates-available"))?;
    security_count(&note)
}

/// `3 of these updates are standard security updates.`, in older releases
/// `3 updates are security updates.`; with no such line and updates counted, none is.
fn security_count(note: &str) -> Option<u32> {
    let number = |line: &str| line.split_whitespace().next()?.parse::<u32>().ok();
    let is_security = |line: &&str| {
        line.contains("security update") && !line.contains("ESM") && number(line).is_some()
    };
    if let Some(line) = note.lines().find(is_security) {
        return number(line);
    }
    let is_count = |line: &str| line.contains("can be") && number(line).is_some();
    note.lines().any(is_count).then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_updates_are_counted_as_the_system_counted_them() {
        let new = "\nExpanded Security Maintenance for Applications is not enabled.\n\n\
                   12 updates can be applied immediately.\n\
                   3 of these updates are standard security updates.\n\
                   5 additional security updates can be applied with ESM Apps.\n";
        assert_eq!(security_count(new), Some(3));
        assert_eq!(
            security_count("7 packages can be updated.\n2 updates are security updates.\n"),
            Some(2)
        );
        assert_eq!(security_count("4 updates can be applied immediately.\n"), Some(0));
        assert_eq!(security_count("0 updates can be applied immediately.\n"), Some(0));
        assert_eq!(security_count(""), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "posture/updates::security_count",
            Says::Derived("none of many"),
            &[
                "\n12 updates can be applied immediately.\n3 of these updates are standard security updates.\n",
            ],
            security_count,
        );
    }
}
