//! The posture as Windows shows it: in the registry, which every user may read as far as here.
//!
//! # Invariants
//! - A recorded machine is not this one: nothing is told of it here.
//! - Nothing is written; a key that cannot be opened is absent.

use candor_model::events::security::Posture;
use windows_registry::LOCAL_MACHINE;

use super::registry::{self, Profile};
use crate::Host;
use crate::filler::fact;

const VERSION: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
const SECURE_BOOT: &str = r"SYSTEM\CurrentControlSet\Control\SecureBoot\State";
const FIREWALL: &str = r"SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy";
const FIREWALL_POLICY: &str = r"SOFTWARE\Policies\Microsoft\WindowsFirewall";
const FIREWALL_SERVICE: &str = r"SYSTEM\CurrentControlSet\Services\mpssvc";
const TPM_DEVICES: &str = r"SYSTEM\CurrentControlSet\Services\TPM\Enum";
const UPDATE_REBOOT: &str =
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired";
/// Whether the volume that was started from was protected at that moment.
const BITLOCKER: &str = r"SYSTEM\CurrentControlSet\Control\BitLockerStatus";
const INSTALLED: &str =
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\Results\Install";
const SERVICING: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing";

/// The profiles' names in the policy and in the host's own setting.
const PROFILES: [(&str, &str); 3] = [
    ("DomainProfile", "DomainProfile"),
    ("PrivateProfile", "StandardProfile"),
    ("PublicProfile", "PublicProfile"),
];

/// The start type of a service that is disabled.
const DISABLED: u32 = 4;

pub(super) fn posture(host: &Host) -> Posture {
    if !host.is_live() {
        return Posture::default();
    }
    let build = text(VERSION, "CurrentBuildNumber");
    let number = build.as_deref().and_then(|build| build.parse().ok());
    let version = text(VERSION, "DisplayVersion").or_else(|| text(VERSION, "ReleaseId"));
    Posture {
        os_name: text(VERSION, "ProductName").map(|product| registry::name(&product, number)),
        os_version: version.or_else(|| text(VERSION, "CurrentVersion")),
        os_build: build,
        patch_level: dword(VERSION, "UBR").map(|revision| revision.to_string()),
        secure_boot: dword(SECURE_BOOT, "UEFISecureBootEnabled").and_then(registry::switch),
        firewall: firewall(),
        root_encrypted: dword(BITLOCKER, "BootStatus").and_then(registry::switch),
        last_update: text(INSTALLED, "LastSuccessTime").and_then(|time| registry::time(&time)),
        tpm: dword(TPM_DEVICES, "Count").map(|devices| devices > 0),
        reboot_pending: is_reboot_pending(),
        ..Posture::default()
    }
}

fn firewall() -> Option<bool> {
    let state =
        |place: &str, profile: &str| dword(&format!(r"{place}\{profile}"), "EnableFirewall");
    let profiles = PROFILES.map(|(policy, own)| Profile {
        policy: state(FIREWALL_POLICY, policy),
        own: state(FIREWALL, own),
    });
    registry::firewall(&profiles, dword(FIREWALL_SERVICE, "Start") == Some(DISABLED))
}

/// Two keys that exist only as long as a reboot is wanted.
fn is_reboot_pending() -> Option<bool> {
    let servicing = LOCAL_MACHINE.open(SERVICING).ok()?;
    let is_pending = servicing.open("RebootPending").is_ok();
    Some(is_pending || LOCAL_MACHINE.open(UPDATE_REBOOT).is_ok())
}

fn text(key: &str, name: &str) -> Option<String> {
    fact(&LOCAL_MACHINE.open(key).ok()?.get_string(name).ok()?)
}

fn dword(key: &str, name: &str) -> Option<u32> {
    LOCAL_MACHINE.open(key).ok()?.get_u32(name).ok()
}
