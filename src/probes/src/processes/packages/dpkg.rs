//! dpkg's database, as Debian and its children have it.
//!
//! ```text
//! var/lib/dpkg/info/nginx-core.list      a line for each file of the package
//! var/lib/dpkg/status                    Package: nginx-core … Version: 1.22.1-9
//! ```
//!
//! # Invariants
//! - Lists are read some at a time, and none once every program has its package.
//!
//! A list that cannot be read is as one that names no program.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::{LISTS_AT_ONCE, MAX_DATABASE_BYTES, Search, merged, read};
use crate::Host;
use crate::filler::fact;

impl Search {
    /// Reads the next lists, and the versions after the last. Whether this was all.
    pub(super) fn dpkg(&mut self, host: &Host, status: &Path) -> bool {
        let directory = host.path("var/lib/dpkg/info");
        let mut names = host.names(&directory);
        names.retain(|name| name.strip_suffix(".list").is_some());
        let mut list = Vec::new();
        for file in names.iter().skip(self.read).take(LISTS_AT_ONCE) {
            self.read += 1;
            if !self.wanted.is_empty() && read(&directory.join(file), &mut list).is_some() {
                self.note(file, &list);
            }
        }
        let is_all = self.wanted.is_empty() || self.read >= names.len();
        if is_all {
            let versions = versions(status, &self.owners);
            let owners = std::mem::take(&mut self.owners).into_iter();
            self.found = owners
                .filter_map(|(program, it)| Some((program, versions.get(&it)?.clone())))
                .collect();
        }
        is_all
    }

    /// Takes up which wanted files a package has.
    fn note(&mut self, file: &str, list: &[u8]) {
        // `libc6:amd64.list`
        let package = file.strip_suffix(".list").unwrap_or(file);
        let package = package.split(':').next().unwrap_or(package);
        for line in list.split(|byte| *byte == b'\n') {
            if let Some(program) = self.wanted.remove(merged(line)) {
                self.owners.insert(program, package.to_owned());
            }
        }
    }
}

/// The versions of these packages, by their names.
fn versions(status: &Path, owners: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    let Ok(file) = File::open(status) else { return versions };
    let mut package = None;
    if owners.is_empty() {
        return versions;
    }
    for line in BufReader::new(file.take(MAX_DATABASE_BYTES)).split(b'\n').map_while(Result::ok) {
        if let Some(name) = line.strip_prefix(b"Package: ") {
            let name = String::from_utf8_lossy(name).into_owned();
            package = Some(name).filter(|name| owners.values().any(|owner| owner == name));
        } else if let Some(version) = line.strip_prefix(b"Version: ")
            && let Some(package) = package.take()
            && let Some(version) = fact(&String::from_utf8_lossy(version))
        {
            versions.insert(package, version);
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        let lists = ["/usr/sbin/nginx\n/etc/nginx/x7\n", "/bin/bash\n"];
        text("processes/packages/dpkg::note", Says::Stands, &lists, |list| {
            let wanted = BTreeMap::from([(b"/sbin/nginx".to_vec(), "nginx".to_owned())]);
            let mut search = Search { wanted, ..Search::default() };
            search.note("nginx.list", list.as_bytes());
            search.owners
        });
    }
}
