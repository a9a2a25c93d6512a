//! `candor.compat.components` on Windows: the kernel's build, runtimes, declared providers, loaded drivers, and
//! services that failed. Runtimes are found in both views of the registry's list of installed programs.
//!
//! # Invariants
//! - A program that is no runtime of the table in [`runtime`] is not told.
//! - A service's instance is cut off, since it tells a session.
//! - A driver that is not Windows' own is told by name, like one of Linux that is out of tree.
//!
//! Nothing here fails: what is not told is absent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candor_model::events::compat::{self, Component, Driver};
use candor_model::{Level, Record};
use candor_platform::{SystemService, file_version, system_services};
use windows_registry::{Key, LOCAL_MACHINE};

use super::runtime::{self, is_systems_own};
use crate::filler::fact;
use crate::probe::record;
use crate::services::template;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

const MAX_DRIVERS: usize = 256;
const MAX_FAILED: usize = 64;

const VERSION: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
const FRAMEWORK: &str = r"SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full";
const POWERSHELL: &str = r"SOFTWARE\Microsoft\PowerShell\3\PowerShellEngine";
const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";
/// Both views: of 64-bit programs, and of 32-bit ones.
const INSTALLED: [&str; 2] = [
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall",
    r"SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];

/// `ERROR_SERVICE_NEVER_STARTED`.
const NEVER_STARTED: u32 = 1077;

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Components {
    /// What is known of each driver by its name: neither its registration nor its file changes while it
    /// is loaded.
    known: BTreeMap<String, Known>,
}

/// What is known of a driver.
#[derive(Clone, Debug)]
struct Known {
    version: Option<String>,
    /// Whether it came with Windows.
    is_own: Option<bool>,
}

impl Known {
    fn of(name: &str) -> Self {
        let image = image(name);
        let file = runtime::driver_file(image.as_deref(), name, &windows_directory());
        let version = file.and_then(|file| file_version(Path::new(&file)));
        Self {
            version: version.map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}")),
            is_own: image.map(|image| is_own(&image)),
        }
    }
}

impl Probe for Components {
    fn name(&self) -> &'static str {
        "components"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        if !host.is_live() {
            return Ok(Vec::new());
        }
        let services = system_services();
        let drivers = services.as_deref().map(|services| self.drivers(services));
        let components = components();
        Ok(record(compat::Components {
            components: (!components.is_empty()).then_some(components),
            providers: None,
            driver_count: drivers.as_ref().and_then(|drivers| u32::try_from(drivers.len()).ok()),
            drivers: drivers.map(listed),
            failed_services: services.as_deref().map(failed),
        }))
    }
}

impl Components {
    fn drivers(&mut self, services: &[SystemService]) -> Vec<Driver> {
        let loaded = services.iter().filter(|service| service.is_driver && service.is_running);
        // One that was unloaded may come back as another.
        self.known.retain(|name, _| loaded.clone().any(|service| service.name == *name));
        loaded
            .map(|service| {
                let known = self.known.entry(service.name.clone());
                let known = known.or_insert_with(|| Known::of(&service.name));
                Driver {
                    name: service.name.clone(),
                    version: known.version.clone(),
                    out_of_tree: known.is_own.map(|own| !own),
                }
            })
            .collect()
    }
}

fn listed(mut drivers: Vec<Driver>) -> Vec<Driver> {
    drivers.sort_by(|a, b| (b.out_of_tree, &a.name).cmp(&(a.out_of_tree, &b.name)));
    drivers.truncate(MAX_DRIVERS);
    drivers
}

/// Services that stopped by themselves and said that it was an error.
fn failed(services: &[SystemService]) -> Vec<String> {
    let has_failed = |service: &&SystemService| {
        !service.is_driver
            && service.exit_code.is_some_and(|code| !matches!(code, 0 | NEVER_STARTED))
    };
    let names =
        services.iter().filter(has_failed).filter_map(|service| fact(&template(&service.name)));
    names.collect::<BTreeSet<_>>().into_iter().take(MAX_FAILED).collect()
}

fn components() -> Vec<Component> {
    let version = LOCAL_MACHINE.open(VERSION).ok();
    let text = |key: &Option<Key>, name: &str| key.as_ref()?.get_string(name).ok();
    let revision = version.as_ref().and_then(|key| key.get_u32("UBR").ok());
    let kernel = text(&version, "CurrentBuildNumber").map(|build| match revision {
        Some(revision) => format!("{build}.{revision}"),
        None => build,
    });
    let release = LOCAL_MACHINE.open(FRAMEWORK).and_then(|key| key.get_u32("Release")).ok();
    let framework = release.and_then(runtime::dotnet_framework).map(str::to_owned);
    let powershell = text(&LOCAL_MACHINE.open(POWERSHELL).ok(), "PowerShellVersion");
    let parts = [("kernel", kernel), ("dotnet_framework", framework), ("powershell", powershell)];
    let told = parts
        .into_iter()
        .filter_map(|(name, version)| Some(Component { name, version: Some(fact(&version?)?) }));
    told.chain(runtimes()).collect()
}

/// Each runtime that is installed, once for each version.
fn runtimes() -> Vec<Component> {
    let mut found = BTreeSet::new();
    for view in INSTALLED {
        let Ok(list) = LOCAL_MACHINE.open(view) else { continue };
        let entries = list.keys().into_iter().flatten().filter_map(|name| list.open(name).ok());
        for entry in entries {
            let text = |name: &str| entry.get_string(name).unwrap_or_default();
            if let Some(name) = runtime::named(&text("DisplayName"), &text("Publisher")) {
                found.insert((name, fact(&text("DisplayVersion"))));
            }
        }
    }
    found.into_iter().map(|(name, version)| Component { name, version }).collect()
}

/// The program of a service or driver, as it is registered.
fn image(name: &str) -> Option<String> {
    let key = LOCAL_MACHINE.open(format!(r"{SERVICES}\{name}")).ok()?;
    let value = key.get_value("ImagePath").ok()?;
    let (units, _) = value.as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    Some(String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned())
}

fn is_own(image: &str) -> bool {
    is_systems_own(image, &windows_directory())
}

fn windows_directory() -> String {
    std::env::var("SystemRoot").unwrap_or_else(|_| r"C:\Windows".to_owned())
}

/// Whether a service came with Windows; `None` where its registration does not tell.
pub(crate) fn came_with_windows(name: &str) -> Option<bool> {
    image(name).map(|image| is_own(&image))
}
