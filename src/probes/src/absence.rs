//! What this host does not tell, and why: for `status`, so that a missing fact is not mistaken for a
//! missing probe.
//!
//! # Invariants
//! - Only of events that stand for the host as a whole; a list leaves out what its members lack.
//! - Nothing of it leaves the host.
//!
//! A fact without a reason of its own says that the host does not tell it.

use candor_model::{Event, Record};

/// One missing fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The field, by its name in the catalog; the event where all of it is missing.
    pub field: &'static str,
    /// Why, as far as it is known.
    pub reason: &'static str,
}

const POSTURE: &str = "candor.security.posture";
const MACHINE: &str = "candor.device.machine";
const PROCESSOR: &str = "candor.device.processor";
const MEMORY: &str = "candor.device.memory";
const ALERTS: &str = "candor.quality.alerts";
const COMPONENTS: &str = "candor.compat.components";
const RELIABILITY: &str = "candor.reliability.summary";

/// Events of which each missing field is named.
const WHOLE: [&str; 7] = [POSTURE, MACHINE, PROCESSOR, MEMORY, ALERTS, COMPONENTS, RELIABILITY];

const OTHERWISE: &str = "this host does not tell it";
const NO_DMI: &str = "the firmware has no DMI tables, or does not fill this in";
const NO_CACHE: &str = "the kernel does not show caches of this level";
const NO_WTMP: &str = "there is no record of starts (var/log/wtmp)";
const NO_EDAC: &str = "no driver counts memory errors (EDAC)";
const NO_AER: &str = "no device reports PCI Express errors (AER)";
const NO_SMART: &str = "smartctl is not installed, or no drive that is awake may be asked";

/// Event, field, reason. The others stay with [`OTHERWISE`].
const REASONS: &[(&str, &str, &str)] = if cfg!(windows) { WINDOWS } else { LINUX };

#[rustfmt::skip]
const LINUX: &[(&str, &str, &str)] = &[
    (POSTURE, "os.build_id", "os-release states no build"),
    (POSTURE, "patch_level", "this distribution states no point release"),
    (POSTURE, "secure_boot", "the firmware shows no EFI variables: not started by UEFI, or hidden from the agent"),
    (POSTURE, "kernel_lockdown", "the kernel has no lockdown, or securityfs is not mounted"),
    (POSTURE, "security_modules", "securityfs is not mounted, and no module shows itself elsewhere"),
    (POSTURE, "firewall", "no firewall's service runs; rules that were loaded by hand only root can list"),
    (POSTURE, "root_encrypted", "the root file system lies on no device that the agent can follow"),
    (POSTURE, "tpm", "neither the kernel nor the firmware's tables say whether there is one"),
    (POSTURE, "reboot_pending", "no tool that asks for a restart is installed"),
    (POSTURE, "security_updates_pending", "update-notifier, which counts them, is not installed or has not counted"),
    (POSTURE, "last_update", "no package database was found"),
    (MACHINE, "manufacturer", NO_DMI),
    (MACHINE, "model", NO_DMI),
    (MACHINE, "chassis", NO_DMI),
    (MACHINE, "firmware_vendor", NO_DMI),
    (MACHINE, "firmware_version", NO_DMI),
    (MACHINE, "firmware_date", NO_DMI),
    (MACHINE, "hypervisor", "no hypervisor shows itself"),
    (PROCESSOR, "efficiency_cores", "the processor is not a hybrid one"),
    (PROCESSOR, "base_frequency", "the frequency's driver does not state it"),
    (PROCESSOR, "max_frequency", "the frequency's driver does not state it"),
    (PROCESSOR, "cache_l1d", NO_CACHE),
    (PROCESSOR, "cache_l1i", NO_CACHE),
    (PROCESSOR, "cache_l2", NO_CACHE),
    (PROCESSOR, "cache_l3", NO_CACHE),
    (MEMORY, "installed", "the SMBIOS table is not there, or only root may read it"),
    (MEMORY, "modules", "the SMBIOS table is not there, or only root may read it"),
    (ALERTS, "machine_checks", "this architecture's kernel does not count them"),
    (ALERTS, "memory_errors_corrected", NO_EDAC),
    (ALERTS, "memory_errors_uncorrected", NO_EDAC),
    (ALERTS, "pcie_errors_corrected", NO_AER),
    (ALERTS, "pcie_errors_uncorrected", NO_AER),
    (ALERTS, "drives_failing", NO_SMART),
    (ALERTS, "drives_asked", NO_SMART),
    (ALERTS, "filesystem_errors", "no mounted file system keeps a count of its errors (ext4 and btrfs do, XFS does not)"),
    (ALERTS, "arrays_degraded", "there is no array"),
    (ALERTS, "thermal_throttles", "the processor does not count them"),
    (ALERTS, "kernel_crash_records", "there is no store for them (pstore)"),
    (ALERTS, "unclean_shutdowns", NO_WTMP),
    (COMPONENTS, "providers", "no provider is declared (etc/candor/providers.d)"),
    (COMPONENTS, "driver_count", "the kernel loads no modules"),
    (COMPONENTS, "drivers", "the kernel loads no modules"),
    (COMPONENTS, "failed_services", "there is no service manager that could be asked"),
    (RELIABILITY, "observed", NO_WTMP),
    (RELIABILITY, "starts", NO_WTMP),
    (RELIABILITY, "unclean_shutdowns", NO_WTMP),
    (RELIABILITY, "days_since_unclean_shutdown", "there was none in the time that is observed"),
    (RELIABILITY, "start_duration", "the record of starts does not say when the services were up"),
    (RELIABILITY, "hung_tasks", "the kernel keeps no count of them"),
    (RELIABILITY, "failed_updates", "there is no log of apt"),
    (RELIABILITY, "broken_packages", "there is no list of packages of dpkg"),
];

const ONLY_LINUX: &str = "only Linux has it";
const NOT_KEPT: &str = "Windows keeps no count of them that the agent's account may read";
const ENDS: &str = "such an error ends the system: kernel_crash_records counts it";
const NOT_READABLE: &str = "the event log may not be read";

#[rustfmt::skip]
const WINDOWS: &[(&str, &str, &str)] = &[
    (POSTURE, "kernel_release", ONLY_LINUX),
    (POSTURE, "kernel_build", ONLY_LINUX),
    (POSTURE, "kernel_lockdown", ONLY_LINUX),
    (POSTURE, "security_modules", ONLY_LINUX),
    (POSTURE, "secure_boot", "the system was not started by UEFI"),
    (POSTURE, "root_encrypted", "BitLocker noted no state when the system started"),
    (POSTURE, "tpm", "no driver of a platform module is there"),
    (POSTURE, "security_updates_pending", "only the Windows Update Agent can tell, and asking it is a search of minutes"),
    (POSTURE, "last_update", "Windows Update has noted no installation"),
    (MACHINE, "manufacturer", NO_DMI),
    (MACHINE, "model", NO_DMI),
    (MACHINE, "chassis", NO_DMI),
    (MACHINE, "firmware_vendor", NO_DMI),
    (MACHINE, "firmware_version", NO_DMI),
    (MACHINE, "firmware_date", NO_DMI),
    (MACHINE, "hypervisor", "no hypervisor shows itself"),
    (MEMORY, "modules", NO_DMI),
    (ALERTS, "memory_errors_uncorrected", ENDS),
    (ALERTS, "pcie_errors_uncorrected", ENDS),
    (ALERTS, "drives_failing", "drives are not asked, lest one wakes"),
    (ALERTS, "drives_asked", "drives are not asked, lest one wakes"),
    (ALERTS, "filesystem_errors", NOT_KEPT),
    (ALERTS, "arrays_degraded", NOT_KEPT),
    (ALERTS, "thermal_throttles", NOT_KEPT),
    (ALERTS, "oom_kills", "Windows kills no process for want of memory"),
    (ALERTS, "kernel_oopses", "the kernel of Windows survives no fault of its own"),
    (ALERTS, "kernel_warnings", ONLY_LINUX),
    (COMPONENTS, "drivers", "the service control manager does not list them"),
    (COMPONENTS, "driver_count", "the service control manager does not list them"),
    (COMPONENTS, "failed_services", "the service control manager does not list them"),
    (RELIABILITY, "days_since_unclean_shutdown", "there was none in the time that is observed"),
    (RELIABILITY, "hung_tasks", NOT_KEPT),
    (RELIABILITY, "broken_packages", NOT_KEPT),
    (RELIABILITY, "start_duration", NOT_KEPT),
];

/// Why a probe says nothing at all.
const SILENT: &[(&str, &str)] = if cfg!(windows) { SILENT_WINDOWS } else { SILENT_LINUX };

const SILENT_WINDOWS: &[(&str, &str)] = &[
    (
        "antimalware",
        "neither Defender nor another product that the Security Center knows protects this host",
    ),
    ("adapters", "the system lists no adapter"),
    ("drives", "the system lists no drive"),
    ("reliability", NOT_READABLE),
    ("alerts", NOT_READABLE),
    ("connections", "the system does not list its sockets"),
];

const SILENT_LINUX: &[(&str, &str)] = &[
    ("antimalware", "neither ClamAV nor fapolicyd is installed"),
    ("adapters", "the kernel shows no adapter"),
    ("drives", "the kernel shows no drive"),
    ("smart", NO_SMART),
    ("sensors", "the kernel shows no sensor"),
    ("containers", "no container runs, or control groups are hidden"),
    ("services", "there are no control groups of systemd"),
    ("reliability", "the host keeps no records of its starts and updates"),
    ("alerts", "nobody on this host counts them"),
    ("connections", "neither the kernel's answer nor its tables of sockets can be read"),
];

/// What the records of a probe's report leave out.
pub(crate) fn of(probe: &'static str, records: &[Record]) -> Vec<Absence> {
    if records.is_empty() {
        let silent = SILENT.iter().find(|(name, _)| *name == probe);
        return silent.map(|(field, reason)| Absence { field, reason }).into_iter().collect();
    }
    let events = records.iter().filter_map(|record| match record {
        Record::Event(event) if WHOLE.contains(&event.entry().name) => Some(event),
        _ => None,
    });
    events.flat_map(missing).collect()
}

fn missing(event: &Event) -> Vec<Absence> {
    let told: Vec<_> = event.fields().map(|(entry, _)| entry.name).collect();
    let fields = event.entry().fields.iter().map(|entry| entry.name);
    let absent = fields.filter(|name| !told.contains(name));
    absent.map(|field| Absence { field, reason: reason(event.entry().name, field) }).collect()
}

fn reason(event: &str, field: &str) -> &'static str {
    let known = REASONS.iter().find(|(of, name, _)| (*of, *name) == (event, field));
    known.map_or(OTHERWISE, |(_, _, reason)| reason)
}

#[cfg(test)]
mod tests {
    use candor_model::CATALOG;
    use candor_model::events::security::Posture;

    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_reason_and_what_is_told_is_not() {
        let posture = Posture { tpm: Some(true), firewall: Some(false), ..Posture::default() };
        let absent = of("posture", &[posture.into()]);
        let fields: Vec<_> = absent.iter().map(|absence| absence.field).collect();
        assert!(fields.contains(&"secure_boot") && !fields.contains(&"tpm"), "{fields:?}");
        assert!(!fields.contains(&"firewall"), "{fields:?}");
        let build = absent.iter().find(|absence| absence.field == "os.build_id").unwrap();
        assert_eq!(build.reason.contains("os-release"), cfg!(not(windows)));
    }

    #[test]
    fn a_probe_that_says_nothing_has_a_reason_where_that_is_not_its_ordinary_answer() {
        assert_eq!(of("alerts", &[]).len(), 1);
        assert_eq!(of("crashes", &[]), []);
    }

    #[test]
    fn every_reason_belongs_to_a_field_of_the_catalog_and_stands_once() {
        for (table, at) in [LINUX, WINDOWS]
            .into_iter()
            .flat_map(|table| (0..table.len()).map(move |at| (table, at)))
        {
            let (event, field, reason) = &table[at];
            let entry = CATALOG.events.iter().find(|entry| entry.name == *event).unwrap();
            assert!(entry.fields.iter().any(|known| known.name == *field), "{event}.{field}");
            assert!(!reason.is_empty() && WHOLE.contains(event));
            let earlier = table.iter().take(at).any(|known| (known.0, known.1) == (*event, *field));
            assert!(!earlier, "{event}.{field}");
        }
    }
}
