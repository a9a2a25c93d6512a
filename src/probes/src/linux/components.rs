//! `candor.compat.components`: kernel, service manager, C library, declared providers, modules of the
//! kernel, and services that failed.
//!
//! # Invariants
//! - Versions are read where the component itself states them: the kernel's own file, the name of
//!   systemd's library, the text of `ldd`. No package is guessed from a path.
//! - A service's instance is cut off (`name@`), since it may name a user or a device.
//!
//! Nothing here fails: what is not told is absent.

use std::collections::BTreeSet;
use std::time::Duration;

use candor_model::events::compat::{self, Component, Driver, Provider};
use candor_model::{Level, Record};

use super::child;
use crate::filler::fact;
use crate::probe::record;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

const MAX_DRIVERS: usize = 256;
const MAX_FAILED: usize = 64;

/// `ldd` is a script of some kilobytes.
const LDD_BYTES: u64 = 16 * 1024;

const SYSTEMCTL_DEADLINE: Duration = Duration::from_secs(2);

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Components;

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
        let components: Vec<_> =
            [kernel(host), systemd(host), libc(host)].into_iter().flatten().collect();
        let drivers = drivers(host);
        Ok(record(compat::Components {
            components: (!components.is_empty()).then_some(components),
            providers: providers(host),
            driver_count: drivers.as_ref().and_then(|drivers| u32::try_from(drivers.len()).ok()),
            drivers: drivers.map(listed),
            failed_services: failed(host),
        }))
    }
}

fn kernel(host: &Host) -> Option<Component> {
    let version = fact(&host.text(&host.proc("sys/kernel/osrelease"))?);
    Some(Component { name: "kernel", version })
}

/// systemd names its own library after its version: `libsystemd-shared-252.so`.
fn systemd(host: &Host) -> Option<Component> {
    let mut directories = vec![host.path("usr/lib/systemd"), host.path("lib/systemd")];
    let architectures = host.names(&host.path("usr/lib"));
    let architectures = architectures.iter().filter(|name| name.ends_with("-gnu"));
    directories.extend(architectures.map(|name| host.path("usr/lib").join(name).join("systemd")));
    let names = directories.iter().flat_map(|directory| host.names(directory));
    let version = |name: String| {
        let version = name.strip_prefix("libsystemd-shared-")?.strip_suffix(".so")?;
        fact(version)
    };
    let mut versions = names.filter_map(version);
    versions.next().map(|version| Component { name: "systemd", version: Some(version) })
}

/// glibc's `ldd` prints its version; musl names its loader `ld-musl-….so.1` and states no version.
fn libc(host: &Host) -> Option<Component> {
    let ldd = host.head(&host.path("usr/bin/ldd"), LDD_BYTES).unwrap_or_default();
    if let Some(version) = glibc_version(&ldd) {
        return Some(Component { name: "glibc", version: Some(version) });
    }
    let is_musl = |name: &String| name.starts_with("ld-musl-");
    let has_musl = host.names(&host.path("lib")).iter().any(is_musl);
    has_musl.then_some(Component { name: "musl", version: None })
}

/// `echo 'ldd (Debian GLIBC 2.36-9+deb12u13) 2.36'`
fn glibc_version(script: &str) -> Option<String> {
    let line = script.lines().find(|line| line.contains("ldd (") && line.contains("echo"))?;
    let version = line.trim_end_matches(['\'', '"', ' ']).rsplit(' ').next()?;
    let is_version = version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.');
    is_version.then(|| fact(version)).flatten()
}

fn providers(host: &Host) -> Option<Vec<Provider>> {
    let directory = host.etc("candor/providers.d");
    directory.exists().then(|| {
        let names = host.names(&directory);
        let manifests = names.iter().filter_map(|name| Some((name, name.strip_suffix(".toml")?)));
        let provider = |(file, name): (&String, &str)| Provider {
            name: name.to_owned(),
            version: host.content(&directory.join(file)).as_deref().and_then(stated_version),
        };
        manifests.map(provider).collect()
    })
}

/// `version = "…"` before the first table.
fn stated_version(manifest: &str) -> Option<String> {
    let top = manifest.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    let mut pairs = top.filter_map(|line| line.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim() == "version")?;
    fact(value.trim().strip_prefix('"')?.split_once('"')?.0)
}

/// `nvidia 62836736 41 nvidia_uvm,nvidia_modeset, Live 0x0 (POE)`
fn drivers(host: &Host) -> Option<Vec<Driver>> {
    let modules = host.content(&host.proc("modules"))?;
    let driver = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let flags = words.nth(4)?;
        let flags = words.next().filter(|_| flags.starts_with("0x")).unwrap_or_default();
        let version = host.text(&host.sys("module").join(&name).join("version"));
        Some(Driver {
            version: version.and_then(|version| fact(&version)),
            out_of_tree: Some(flags.contains('O')),
            name,
        })
    };
    Some(modules.lines().filter_map(driver).collect())
}

fn listed(mut drivers: Vec<Driver>) -> Vec<Driver> {
    drivers.sort_by(|a, b| (b.out_of_tree, &a.name).cmp(&(a.out_of_tree, &b.name)));
    drivers.truncate(MAX_DRIVERS);
    drivers
}

/// No file tells which units failed: systemd is asked, where it runs.
fn failed(host: &Host) -> Option<Vec<String>> {
    let systemctl =
        host.path("run/systemd/system").exists().then(|| child::find(host, "systemctl"));
    let arguments =
        ["list-units", "--failed", "--type=service", "--plain", "--no-legend", "--no-pager"];
    let output = child::run(&systemctl.flatten()?, &arguments, SYSTEMCTL_DEADLINE).ok()?;
    (output.code == Some(0)).then(|| units(&String::from_utf8_lossy(&output.text)))
}

fn units(list: &str) -> Vec<String> {
    let names = list.lines().filter_map(|line| line.split_whitespace().next()).filter_map(service);
    names.collect::<BTreeSet<_>>().into_iter().take(MAX_FAILED).collect()
}

/// The name without its suffix and without its instance.
fn service(unit: &str) -> Option<String> {
    let name = unit.strip_suffix(".service")?;
    let name = name.find('@').map_or(name, |at| &name[..=at]);
    fact(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_where_the_component_states_them() {
        let debian =
            "#! /bin/bash\n    echo 'ldd (Debian GLIBC 2.36-9+deb12u13) 2.36'\n    printf '%s'\n";
        assert_eq!(glibc_version(debian).as_deref(), Some("2.36"));
        assert_eq!(glibc_version("echo 'ldd (GNU libc) 2.39'").as_deref(), Some("2.39"));
        assert_eq!(glibc_version("echo \"ldd (GNU libc) $v\""), None);
        assert_eq!(
            stated_version("name = \"x\"\nversion = \"1.2\" # now\n").as_deref(),
            Some("1.2")
        );
        assert_eq!(stated_version("[events]\nversion = \"1.2\"\n"), None);
        assert_eq!(stated_version("version = 1.2\n"), None);
    }

    #[test]
    fn an_instance_of_a_service_is_cut_off() {
        let list = "user@1000.service loaded failed failed User Manager\nnginx.service loaded failed failed x\n\
                    user@1001.service loaded failed failed x\nhome-alice.mount loaded failed failed x\n";
        assert_eq!(units(list), ["nginx", "user@"]);
    }

    #[test]
    fn modules_from_elsewhere_stand_first_and_all_are_counted() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        assert_eq!(drivers(&host), None);
        std::fs::create_dir_all(host.proc("")).unwrap();
        std::fs::create_dir_all(host.sys("module/nvidia")).unwrap();
        std::fs::write(host.sys("module/nvidia/version"), "550.90.07\n").unwrap();
        let modules = "ext4 1 2 - Live 0x0000000000000000\nnvidia 9 1 a,b, Live 0x0000000000000000 (POE)\n\nbad\n";
        std::fs::write(host.proc("modules"), modules).unwrap();
        let listed = listed(drivers(&host).unwrap());
        let row =
            |driver: &Driver| (driver.name.clone(), driver.version.clone(), driver.out_of_tree);
        let nvidia = ("nvidia".to_owned(), Some("550.90.07".to_owned()), Some(true));
        assert_eq!(
            listed.iter().map(row).collect::<Vec<_>>(),
            [nvidia, ("ext4".to_owned(), None, Some(false))]
        );
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "linux/components::glibc_version",
            Says::Stands,
            &["#! /bin/bash\necho 'ldd (Debian GLIBC 2.36-9+deb12u13) 2.36'\n"],
            glibc_version,
        );
        text(
            "linux/components::stated_version",
            Says::Stands,
            &["name = \"x\"\nversion = \"1.2\" # now\n[events]\n"],
            stated_version,
        );
        text(
            "linux/components::units",
            Says::Stands,
            &["user@1000.service loaded failed failed User Manager\nnginx.service loaded failed\n"],
            units,
        );
    }
}
