//! Names of this host's accounts of people, and its own name, for the scrubber: they are looked for in
//! free text and go nowhere else.
//!
//! # Invariants
//! - Accounts of services are left out: their names are ordinary words in diagnostic text.
//! - A host that does not tell has no names; other findings do not depend on them.

use std::path::PathBuf;

use candor_privacy::{Counts, Scrubber};
use candor_probes::Host;

/// User ids of people on Linux (`login.defs`: from 1000; 60000 and above are the system's).
const PEOPLE: std::ops::Range<u32> = 1000..60_000;
/// Profile directories on Windows that belong to nobody.
const NOBODY: [&str; 5] = ["Public", "Default", "Default User", "All Users", "desktop.ini"];

/// A scrubber that knows the names of this host and of its people.
#[must_use]
pub fn scrubber(host: &Host) -> Scrubber {
    Scrubber::new(of(host))
}

/// Cleans free text of this host as it is cleaned before it leaves.
pub fn cleaner(host: &Host) -> impl Fn(&str) -> String + use<> {
    let scrubber = scrubber(host);
    move |text| scrubber.clean(text, &mut Counts::default()).into_owned()
}

/// Names from the account file and, on Windows, from the profile directories.
pub(crate) fn of(host: &Host) -> Vec<String> {
    let accounts = host.content(&host.etc("passwd")).unwrap_or_default();
    let profiles = host.names(&profiles(host));
    let profiles = profiles.into_iter().filter(|name| !NOBODY.contains(&name.as_str()));
    let told = host.is_live().then(candor_platform::host_name).flatten();
    people(&accounts).chain(profiles).chain(own_names(host, told)).collect()
}

/// Where the profiles are. The system's drive need not be the current one.
fn profiles(host: &Host) -> PathBuf {
    let drive =
        if cfg!(windows) && host.is_live() { std::env::var("SystemDrive").ok() } else { None };
    drive.map_or_else(|| host.path("Users"), |drive| PathBuf::from(drive + "\\Users"))
}

/// The host's own name as its files and the system tell it, whole and up to its first dot. A name of a few
/// letters is a word of any text.
fn own_names(host: &Host, told: Option<String>) -> impl Iterator<Item = String> {
    const SHORTEST: usize = 4;
    let files = [host.proc("sys/kernel/hostname"), host.etc("hostname")];
    let names = files.into_iter().filter_map(|file| host.text(&file)).chain(told);
    let both = names.flat_map(|name| [name.split('.').next().unwrap_or_default().to_owned(), name]);
    both.filter(|name| name.len() >= SHORTEST && !name.starts_with("localhost"))
}

/// `name:password:uid:…` of each person's line.
fn people(accounts: &str) -> impl Iterator<Item = String> {
    accounts.lines().filter_map(|line| {
        let mut parts = line.split(':');
        let (name, uid) = (parts.next()?, parts.nth(1)?);
        uid.parse().is_ok_and(|uid| PEOPLE.contains(&uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn people_are_named_on_both_systems_and_services_are_not() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        assert_eq!(of(&host), [""; 0]);
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("Users/Bob")).unwrap();
        fs::create_dir_all(root.path().join("Users/Public")).unwrap();
        let accounts = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000:A:/home/alice:/bin/sh\n\
                        nobody:x:65534:65534::/:/bin/false\nbroken\n";
        fs::write(root.path().join("etc/passwd"), accounts).unwrap();
        assert_eq!(of(&host), ["alice", "Bob"]);
        fs::write(root.path().join("etc/hostname"), "web-7.example.org\n").unwrap();
        assert_eq!(of(&host), ["alice", "Bob", "web-7", "web-7.example.org"]);
        for harmless in ["localhost", "db", "localhost.localdomain"] {
            fs::write(root.path().join("etc/hostname"), harmless).unwrap();
            assert_eq!(of(&host), ["alice", "Bob"]);
        }
    }

    #[test]
    fn a_name_that_only_the_system_tells_is_one_too() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let told = own_names(&host, Some("PC-4711.example.org".to_owned()));
        assert_eq!(told.collect::<Vec<_>>(), ["PC-4711", "PC-4711.example.org"]);
        let name = candor_platform::host_name().unwrap();
        let is_told = name.len() >= 4 && !name.starts_with("localhost");
        assert!(!is_told || of(&Host::live()).contains(&name), "{name}");
    }
}
