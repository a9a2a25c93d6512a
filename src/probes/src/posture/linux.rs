//! The posture as Linux shows it.
//!
//! # Invariants
//! - What only root may read is absent for others, and the rest stays.

use candor_model::events::security::{Lockdown, Posture, SecurityModule, SecurityModuleMode};

use super::{firewall, root_disk, updates, version};
use crate::Host;
use crate::filler::fact;

/// The global variable of the UEFI specification, 3.3.
const SECURE_BOOT: &str = "firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

pub(super) fn posture(host: &Host) -> Posture {
    let release = host.content(&host.etc("os-release"));
    let release = release.or_else(|| host.content(&host.path("usr/lib/os-release")));
    let release = version::Release::parse(&release.unwrap_or_default());
    let debian = || host.text(&host.etc("debian_version"));
    Posture {
        patch_level: release.patch_level(debian),
        os_name: release.name,
        os_version: release.version,
        os_build: release.build,
        kernel_release: kernel(host, "osrelease"),
        kernel_build: kernel(host, "version"),
        secure_boot: secure_boot(host),
        kernel_lockdown: lockdown(host),
        security_modules: security_modules(host),
        firewall: firewall::is_on(host),
        root_encrypted: root_disk::is_encrypted(host),
        tpm: has_tpm(host),
        reboot_pending: updates::is_reboot_pending(host),
        security_updates_pending: updates::security_pending(host),
        last_update: updates::last(host),
    }
}

fn kernel(host: &Host, file: &str) -> Option<String> {
    fact(&host.text(&host.proc("sys/kernel").join(file))?)
}

/// Four bytes of attributes, then the value.
fn secure_boot(host: &Host) -> Option<bool> {
    match host.bytes(&host.sys(SECURE_BOOT))?.as_slice() {
        [_, _, _, _, 0] => Some(false),
        [_, _, _, _, 1] => Some(true),
        _ => None,
    }
}

/// `none [integrity] confidentiality`: the one in brackets holds.
fn lockdown(host: &Host) -> Option<Lockdown> {
    let text = host.text(&host.sys("kernel/security/lockdown"))?;
    let held = text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    match held? {
        "none" => Some(Lockdown::None),
        "integrity" => Some(Lockdown::Integrity),
        "confidentiality" => Some(Lockdown::Confidentiality),
        _ => None,
    }
}

/// The kernel's own list, else those that show themselves elsewhere.
fn security_modules(host: &Host) -> Option<Vec<SecurityModule>> {
    let (selinux, apparmor) = (selinux(host), apparmor(host));
    let names: Vec<String> = match host.text(&host.sys("kernel/security/lsm")) {
        Some(list) => list.split(',').filter_map(fact).collect(),
        None => [("selinux", selinux), ("apparmor", apparmor)]
            .into_iter()
            .filter(|(_, mode)| mode.is_some())
            .map(|(name, _)| name.to_owned())
            .collect(),
    };
    let module = |name: String| {
        let mode = match name.as_str() {
            "selinux" => selinux,
            "apparmor" => apparmor,
            _ => None,
        };
        SecurityModule { name, mode }
    };
    (!names.is_empty()).then(|| names.into_iter().map(module).collect())
}

fn selinux(host: &Host) -> Option<SecurityModuleMode> {
    match host.number(&host.sys("fs/selinux/enforce"))? {
        0 => Some(SecurityModuleMode::Permissive),
        _ => Some(SecurityModuleMode::Enforcing),
    }
}

/// The mode that profiles do not get round; single profiles may still only complain.
fn apparmor(host: &Host) -> Option<SecurityModuleMode> {
    let parameter = |name: &str| host.text(&host.sys("module/apparmor/parameters").join(name));
    if parameter("enabled")? != "Y" {
        return Some(SecurityModuleMode::Disabled);
    }
    match parameter("mode")?.as_str() {
        "enforce" | "kill" => Some(SecurityModuleMode::Enforcing),
        "complain" => Some(SecurityModuleMode::Permissive),
        _ => None,
    }
}

/// By the kernel's class of them, which is there, if empty, wherever the kernel has a driver; else
/// by the firmware's table, which announces one.
fn has_tpm(host: &Host) -> Option<bool> {
    let class = host.sys("class/tpm");
    let is_tpm = |name: &String| name.starts_with("tpm") && !name.starts_with("tpmrm");
    if host.names(&class).iter().any(is_tpm) {
        return Some(true);
    }
    let tables = host.names(&host.sys("firmware/acpi/tables"));
    match tables.iter().any(|table| table == "TPM2" || table == "TCPA") {
        true => Some(true),
        false if !tables.is_empty() || class.exists() => Some(false),
        false => None,
    }
}
