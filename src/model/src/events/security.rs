//! What keeps the host safe: one picture of its protections. Nothing about hardware or use.

use crate::{choice, event, nested};

choice! {
    /// How far the kernel keeps root from changing it while it runs.
    pub enum Lockdown {
        /// Not at all.
        None = "none",
        /// The running kernel cannot be changed.
        Integrity = "integrity",
        /// Nor can its secrets be read.
        Confidentiality = "confidentiality",
    }
}

choice! {
    /// Whether a security module acts on what it finds.
    pub enum SecurityModuleMode {
        /// It refuses what its policy forbids.
        Enforcing = "enforcing",
        /// It only reports.
        Permissive = "permissive",
        /// It is built in and switched off.
        Disabled = "disabled",
    }
}

nested! {
    /// An active security module of the kernel.
    pub struct SecurityModule {
        /// Its name: `selinux`, `apparmor`, `yama`.
        name: String, Software;
        /// What it does with what it finds; absent for modules without modes.
        mode: Option<SecurityModuleMode>, Software;
    }
}

event! {
    /// How the host is protected: what runs, how current it is, and which protections are on.
    /// A protection whose state the host does not tell is absent.
    pub struct Posture = "candor.security.posture", Security, "to find hosts that are unprotected or out of date" {
        /// Name of the operating system.
        os_name: Option<String>, Software, key = "os.name";
        /// Its version.
        os_version: Option<String>, Software, key = "os.version";
        /// Its build: the distribution's image or build id; on Windows the build number.
        os_build: Option<String>, Software, key = "os.build_id";
        /// Release of the running kernel; Linux only.
        kernel_release: Option<String>, Software;
        /// Build of the running kernel; Linux only.
        kernel_build: Option<String>, Software;
        /// Patch level: the distribution's point release; on Windows the update build revision.
        patch_level: Option<String>, Software;
        /// Whether the firmware starts signed systems only; absent without UEFI.
        secure_boot: Option<bool>, Software;
        /// How far the kernel keeps root from changing it.
        kernel_lockdown: Option<Lockdown>, Software;
        /// The kernel's active security modules, in their order.
        security_modules: Option<Vec<SecurityModule>>, Software;
        /// Whether a firewall is on; on Windows, for every profile.
        firewall: Option<bool>, Software;
        /// Whether the system encrypts the storage below its root file system. What a drive or a
        /// cloud encrypts by itself does not count, since the host cannot see it.
        root_encrypted: Option<bool>, Software;
        /// Whether a trusted platform module is present.
        tpm: Option<bool>, Software;
        /// Whether an installed update waits for a reboot.
        reboot_pending: Option<bool>, Software;
        /// Security updates that wait to be installed, as the system itself last counted them.
        security_updates_pending: Option<u32>, Software, unit = "{update}";
        /// When packages or updates were last installed, changed or removed, RFC 3339.
        last_update: Option<String>, Software;
    }
}

choice! {
    /// A protection against malicious programs.
    pub enum AntimalwareProduct {
        /// `ClamAV`.
        ClamAv = "clamav",
        /// fapolicyd, which lets only known programs run.
        Fapolicyd = "fapolicyd",
        /// Microsoft Defender Antivirus.
        Defender = "defender",
        /// Another one that Windows' Security Center knows.
        Other = "other",
    }
}

event! {
    /// A protection against malicious programs that is installed; one event for each.
    pub struct Antimalware = "candor.security.antimalware", Security, "to find hosts that are unprotected or out of date" {
        /// Which it is.
        product: Option<AntimalwareProduct>, Software;
        /// Whether its service runs.
        enabled: Option<bool>, Software;
        /// Whether it looks at programs and files as they are used, and not only when asked to.
        real_time: Option<bool>, Software;
        /// Version of its newest signatures; absent where it works without signatures.
        signature_version: Option<String>, Software;
        /// When its newest signatures were made, RFC 3339.
        signature_date: Option<String>, Software;
        /// Whole days since then.
        signature_age: Option<u64>, Software, unit = "d";
    }
}
