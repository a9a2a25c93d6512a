//! Versions of programs by the package that brought their file: from the database of dpkg, rpm, apk or pacman.
//!
//! ```text
//! proc/PID/exe, else an absolute argv[0]     /usr/sbin/nginx
//! the host's database, one file each         who has it, in which version
//! ```
//!
//! # Invariants
//! - Only a version is told: no path, no package, no argument.
//! - A path counts only if its file's name is the program's, as far as the kernel keeps it.
//! - A database is read when a program is new, at most once in [`AGAIN`] and [`LISTS_AT_ONCE`] files of it with
//!   each report, so that no report costs much; what it said holds until packages change.
//! - Nothing is written beside a database, no lock and no index.
//!
//! A program that no package brought has no version, and so has every one on a host without such a database.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::{Host, Moment};

mod apk;
mod dpkg;
mod pacman;
mod rpm;

/// Between the beginnings of two readings of a database.
const AGAIN: Duration = Duration::from_hours(1);
/// Some two milliseconds of CPU.
const LISTS_AT_ONCE: usize = 200;
/// The most that is read of one package's list, and of a database in one file.
const MAX_LIST_BYTES: u64 = 1 << 20;
const MAX_DATABASE_BYTES: u64 = 32 << 20;
/// A command line is read no further than its first word.
const MAX_WORD_BYTES: u64 = 4096;
/// The kernel keeps so much of a name.
const NAME_BYTES: usize = 15;

/// Who keeps a host's packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    Dpkg,
    Rpm,
    Apk,
    Pacman,
}

/// What changes whenever packages do. The first that is there is the host's own.
const DATABASES: [(Keeper, &str); 6] = [
    (Keeper::Dpkg, "var/lib/dpkg/status"),
    (Keeper::Rpm, "usr/lib/sysimage/rpm/rpmdb.sqlite"),
    (Keeper::Rpm, "var/lib/rpm/rpmdb.sqlite"),
    (Keeper::Apk, "lib/apk/db/installed"),
    (Keeper::Apk, "usr/lib/apk/db/installed"),
    (Keeper::Pacman, "var/lib/pacman/local"),
];

/// Paths that no package was found for yet, with their programs.
type Wanted = BTreeMap<Vec<u8>, String>;
/// Programs and their versions.
type Versions = BTreeMap<String, String>;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Packages {
    /// Of each program that was looked up, its version.
    known: BTreeMap<String, Option<String>>,
    /// When the packages last changed, as far as it was seen.
    changed: Option<SystemTime>,
    /// When the last reading of the database began, by the boot clock.
    begun: Option<Duration>,
    search: Option<Search>,
}

/// A reading of a database, under way.
#[derive(Debug, Default)]
struct Search {
    programs: Vec<String>,
    wanted: Wanted,
    found: Versions,
    /// The package of each program, for a keeper that has its versions elsewhere.
    owners: BTreeMap<String, String>,
    /// How many files were read.
    read: usize,
}

impl Packages {
    /// The version of a program, if it was learnt.
    pub(super) fn version(&self, program: &str) -> Option<String> {
        self.known.get(program).cloned().flatten()
    }

    /// Looks up what is new among these programs, each with the id of a process of it.
    pub(super) fn learn(&mut self, host: &Host, now: Moment, programs: &BTreeMap<String, u32>) {
        let Some((keeper, database, changed)) = database(host) else { return };
        if self.changed != Some(changed) {
            *self = Self { changed: Some(changed), ..Self::default() };
        }
        self.known.retain(|name, _| programs.contains_key(name));
        let Some(mut search) = self.search.take().or_else(|| self.begin(host, now, programs))
        else {
            return;
        };
        if !search.goes_on(host, keeper, &database) {
            self.search = Some(search);
            return;
        }
        for name in search.programs {
            let version = search.found.remove(&name);
            self.known.insert(name, version);
        }
    }

    /// A search for what is new; `None` where nothing is, or where it is too early.
    fn begin(
        &mut self,
        host: &Host,
        now: Moment,
        programs: &BTreeMap<String, u32>,
    ) -> Option<Search> {
        let is_early = self.begun.is_some_and(|begun| now.boot.saturating_sub(begun) < AGAIN);
        let new = programs.iter().filter(|(name, _)| !self.known.contains_key(*name));
        let new: Vec<_> = new.filter(|_| !is_early).collect();
        if new.is_empty() {
            return None;
        }
        self.begun = Some(now.boot);
        let wanted =
            new.iter().filter_map(|(name, id)| Some((path(host, **id, name)?, (*name).clone())));
        let wanted = wanted.collect();
        let programs = new.into_iter().map(|(name, _)| name.clone()).collect();
        Some(Search { programs, wanted, ..Search::default() })
    }
}

/// Where the program of a process lies, if its file has the program's name.
fn path(host: &Host, id: u32, name: &str) -> Option<Vec<u8>> {
    let link = fs::read_link(host.proc(&format!("{id}/exe"))).ok();
    let link = link.and_then(|link| link.to_str().map(str::to_owned));
    let first = || {
        let words = host.head(&host.proc(&format!("{id}/cmdline")), MAX_WORD_BYTES)?;
        words.split('\0').next().map(str::to_owned)
    };
    let path = link.or_else(first).filter(|path| path.starts_with('/'))?;
    let file = path.rsplit('/').next()?;
    let kept = file.get(..NAME_BYTES).unwrap_or(file);
    (kept == name).then(|| merged(path.as_bytes()).to_vec())
}

/// `/usr/bin/x` and `/bin/x` are one file on a host whose directories are merged.
fn merged(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"/usr").filter(|rest| rest.starts_with(b"/")).unwrap_or(path)
}

/// The host's database, and when it changed.
fn database(host: &Host) -> Option<(Keeper, PathBuf, SystemTime)> {
    DATABASES.into_iter().find_map(|(keeper, path)| {
        let path = host.path(path);
        let changed = fs::metadata(&path).ok()?.modified().ok()?;
        Some((keeper, path, changed))
    })
}

impl Search {
    /// Reads on. Whether this was all.
    fn goes_on(&mut self, host: &Host, keeper: Keeper, database: &Path) -> bool {
        match keeper {
            Keeper::Dpkg => return self.dpkg(host, database),
            Keeper::Pacman => return self.pacman(host, database),
            Keeper::Apk => self.found = apk::read(database, &mut self.wanted),
            Keeper::Rpm => self.found = rpm::read(database, &self.wanted),
        }
        true
    }
}

fn read(path: &Path, into: &mut Vec<u8>) -> Option<()> {
    into.clear();
    File::open(path).ok()?.take(MAX_LIST_BYTES).read_to_end(into).ok().map(drop)
}

// A list's name may hold a colon.
#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    fn write(host: &Host, path: &str, content: &str) {
        let path = host.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn host() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        write(&host, "var/lib/dpkg/info/bash.list", "/.\n/bin\n/bin/bash\n");
        write(&host, "var/lib/dpkg/info/nginx-core:amd64.list", "/usr/sbin/nginx\n");
        let status = "Package: bash\nStatus: install ok installed\nVersion: 5.2.15-2+b7\n\n\
                      Package: nginx-core\nVersion: 1.22.1-9\n\nPackage: other\nVersion: 7\n";
        write(&host, "var/lib/dpkg/status", status);
        write(&host, "proc/7/cmdline", "/usr/sbin/nginx\0-g\0secret\0");
        write(&host, "proc/8/cmdline", "/home/jane/bin/nginx-of-jane\0");
        write(&host, "proc/9/cmdline", "/usr/bin/bash\0");
        write(&host, "proc/10/cmdline", "nginx: worker process\0");
        (root, host)
    }

    fn learnt(host: &Host, program: &str, id: u32) -> Option<String> {
        let mut packages = Packages::default();
        packages.learn(host, at(0), &BTreeMap::from([(program.to_owned(), id)]));
        packages.version(program)
    }

    #[test]
    fn a_program_has_the_version_of_the_package_that_brought_its_file() {
        let (_root, host) = host();
        assert_eq!(learnt(&host, "nginx", 7).as_deref(), Some("1.22.1-9"));
        // Merged directories: the list says /bin/bash.
        assert_eq!(learnt(&host, "bash", 9).as_deref(), Some("5.2.15-2+b7"));
    }

    #[test]
    fn a_file_of_another_name_or_of_no_package_tells_no_version() {
        let (_root, host) = host();
        for (program, id) in [("sh", 9), ("nginx-of-jane", 8), ("nginx", 10), ("gone", 99)] {
            assert_eq!(learnt(&host, program, id), None, "{program}");
        }
        assert_eq!(learnt(&Host::new("/nonexistent"), "bash", 9), None);
    }

    #[test]
    fn many_lists_are_read_over_several_reports() {
        let (_root, host) = host();
        for number in 0..2 * LISTS_AT_ONCE {
            write(&host, &format!("var/lib/dpkg/info/a{number}.list"), "/etc/x\n");
        }
        let programs = BTreeMap::from([("nginx".to_owned(), 7)]);
        let mut packages = Packages::default();
        let mut told = || {
            packages.learn(&host, at(0), &programs);
            packages.version("nginx").is_some()
        };
        assert_eq!([told(), told(), told(), told()], [false, false, true, true]);
    }

    #[test]
    fn the_lists_are_read_again_for_what_is_new_after_an_hour_and_when_packages_change() {
        let (_root, host) = host();
        let both = BTreeMap::from([("nginx".to_owned(), 7), ("bash".to_owned(), 9)]);
        let mut packages = Packages::default();
        packages.learn(&host, at(0), &BTreeMap::from([("nginx".to_owned(), 7)]));
        packages.learn(&host, at(60), &both);
        assert_eq!(packages.version("bash"), None);
        assert!(packages.version("nginx").is_some());
        packages.learn(&host, at(3600), &both);
        assert!(packages.version("bash").is_some());

        write(&host, "var/lib/dpkg/status", "Package: bash\nVersion: 6\n");
        let later = SystemTime::now() + Duration::from_mins(1);
        let status = File::options().write(true).open(host.path("var/lib/dpkg/status")).unwrap();
        status.set_modified(later).unwrap();
        packages.learn(&host, at(3601), &both);
        assert_eq!(packages.version("bash").as_deref(), Some("6"));
    }

    #[test]
    fn every_keepers_database_is_found_and_another_ones_beside_it_is_not() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        assert_eq!(database(&host), None);
        for (keeper, path) in DATABASES.into_iter().rev() {
            write(&host, path, "");
            assert_eq!(
                database(&host).map(|(keeper, path, _)| (keeper, path)),
                Some((keeper, host.path(path)))
            );
        }
    }
}
