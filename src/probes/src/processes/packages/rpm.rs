//! rpm's database, as Fedora, Red Hat and SUSE have it since rpm 4.16: `SQLite`. The older ones of Berkeley DB are
//! not read.
//!
//! ```text
//! rpmdb.sqlite   Basenames (key, hnum, idx)   the last name of each file, and its package
//!                Packages (hnum, blob)        a package's header
//! header         entries u32 | bytes u32 | entries of tag u32, type u32, offset u32, count u32 | the bytes
//! tags           1001 version, 1002 release, 1003 epoch
//!                1117 last names, 1116 of each the number of its folder, 1118 folders with their last slash
//! types          4 numbers u32, 6 text, 8 texts, each with NUL
//! ```
//! Big-endian throughout.
//!
//! # Invariants
//! - The database is opened as one that nobody writes: no lock is taken and no file beside it is made. What a
//!   running rpm has not yet folded in is seen at the next look.
//! - A file is a package's by its whole path.
//!
//! A database that cannot be read names no program; a damaged header has no file.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{Versions, Wanted, merged};
use crate::filler::fact;

const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const FOLDER_NUMBERS: u32 = 1116;
const LAST_NAMES: u32 = 1117;
const FOLDERS: u32 = 1118;

/// The packages that have a file of one name: more are not asked.
const QUERY: &str = "SELECT blob FROM Packages WHERE hnum IN \
                     (SELECT hnum FROM Basenames WHERE key = ?1) LIMIT 32";

/// The versions of the programs that some package has.
pub(super) fn read(database: &Path, wanted: &Wanted) -> Versions {
    let Some(connection) = open(database) else { return Versions::new() };
    let version = |path: &[u8]| {
        let name = std::str::from_utf8(path).ok()?.rsplit('/').next()?;
        let mut query = connection.prepare(QUERY).ok()?;
        let blobs = query.query_map([name], |row| row.get::<_, Vec<u8>>(0)).ok()?;
        blobs.map_while(Result::ok).find_map(|blob: Vec<u8>| version_of(&blob, path))
    };
    let found = wanted.iter().filter_map(|(path, program)| Some((program.clone(), version(path)?)));
    found.collect()
}

fn open(database: &Path) -> Option<Connection> {
    let path = database.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{path}?immutable=1"), flags).ok()
}

/// The version of the package whose header this is, if it has the file.
fn version_of(header: &[u8], path: &[u8]) -> Option<String> {
    let header = Header::of(header)?;
    let folders: Vec<&[u8]> = header.texts(FOLDERS).collect();
    let mut files = header.texts(LAST_NAMES).zip(header.numbers(FOLDER_NUMBERS));
    let is_it = |(name, folder): (&[u8], u32)| {
        let folder = usize::try_from(folder).ok().and_then(|number| folders.get(number));
        folder.is_some_and(|folder| merged(&[folder, name].concat()) == path)
    };
    files.any(is_it).then(|| header.version()).flatten()
}

struct Header<'a> {
    entries: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Header<'a> {
    fn of(header: &'a [u8]) -> Option<Self> {
        let count = usize::try_from(number(header, 0)?).ok()?;
        let length = usize::try_from(number(header, 4)?).ok()?;
        let (entries, bytes) = header.get(8..)?.split_at_checked(count.checked_mul(16)?)?;
        Some(Self { entries, bytes: bytes.get(..length)? })
    }

    /// Where the values of a tag begin, and how many there are; `None` for one that is of another type.
    fn values(&self, tag: u32, types: &[u32]) -> Option<(&'a [u8], usize)> {
        let mut entries = self.entries.chunks_exact(16);
        let entry = entries.find(|entry| number(entry, 0) == Some(tag))?;
        let kind = number(entry, 4).filter(|kind| types.contains(kind));
        let from = usize::try_from(number(entry, 8)?).ok()?;
        let count = usize::try_from(number(entry, 12)?).ok()?;
        kind.and(self.bytes.get(from..)).map(|bytes| (bytes, count))
    }

    fn texts(&self, tag: u32) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, count) = self.values(tag, &[6, 8]).unwrap_or_default();
        bytes.split(|byte| *byte == 0).take(count)
    }

    fn numbers(&self, tag: u32) -> impl Iterator<Item = u32> {
        let (bytes, count) = self.values(tag, &[4]).unwrap_or_default();
        bytes.chunks_exact(4).take(count).filter_map(|bytes| number(bytes, 0))
    }

    /// `2:1.26.2-4`
    fn version(&self) -> Option<String> {
        let text = |tag| self.texts(tag).next().map(String::from_utf8_lossy);
        let (version, release) = (text(VERSION)?, text(RELEASE)?);
        let epoch =
            self.numbers(EPOCH).next().map_or_else(String::new, |epoch| format!("{epoch}:"));
        fact(&format!("{epoch}{version}-{release}"))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header as rpm 4.18 writes it, with a file and one of the same name elsewhere.
    fn header(epoch: Option<u32>) -> Vec<u8> {
        let epoch = epoch.map(|epoch| (EPOCH, 4, 1, epoch.to_be_bytes().to_vec()));
        let values: Vec<(u32, u32, u32, Vec<u8>)> = [
            (1000, 6, 1, b"try\0".to_vec()),
            (VERSION, 6, 1, b"1.26.2\0".to_vec()),
            (RELEASE, 6, 1, b"4.fc40\0".to_vec()),
            (FOLDER_NUMBERS, 4, 2, [0, 0, 0, 0, 0, 0, 0, 1].to_vec()),
            (LAST_NAMES, 8, 2, b"nginx\0nginx\0".to_vec()),
            (FOLDERS, 8, 2, b"/etc/\0/usr/sbin/\0".to_vec()),
        ]
        .into_iter()
        .chain(epoch)
        .collect();
        let (mut entries, mut bytes) = (Vec::new(), Vec::new());
        for (tag, kind, count, value) in &values {
            let offset = u32::try_from(bytes.len()).unwrap();
            entries.extend([*tag, *kind, offset, *count].map(u32::to_be_bytes).concat());
            bytes.extend_from_slice(value);
        }
        let sizes =
            [values.len(), bytes.len()].map(|size| u32::try_from(size).unwrap().to_be_bytes());
        [sizes.concat(), entries, bytes].concat()
    }

    #[cfg(unix)]
    fn wanted() -> Wanted {
        [
            (b"/sbin/nginx".to_vec(), "nginx".to_owned()),
            (b"/bin/other".to_vec(), "other".to_owned()),
        ]
        .into()
    }

    // With a name that Windows has no file for.
    #[cfg(unix)]
    #[test]
    fn a_program_has_the_version_of_the_package_whose_header_has_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a#b?%41 rpmdb.sqlite");
        let connection = Connection::open(&database).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
                 CREATE TABLE 'Basenames' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);",
            )
            .unwrap();
        connection.execute("INSERT INTO Packages (blob) VALUES (?1)", [header(Some(2))]).unwrap();
        connection
            .execute("INSERT INTO Basenames VALUES ('nginx', 1, 0), ('nginx', 1, 1)", [])
            .unwrap();
        connection.close().unwrap();
        let before = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(
            read(&database, &wanted()),
            [("nginx".to_owned(), "2:1.26.2-4.fc40".to_owned())].into()
        );
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            before,
            "nothing is written beside it"
        );
        std::fs::write(&database, "no database").unwrap();
        assert_eq!(read(&database, &wanted()), Versions::new());
    }

    #[test]
    fn a_path_must_be_the_whole_one() {
        assert_eq!(version_of(&header(None), b"/sbin/nginx").as_deref(), Some("1.26.2-4.fc40"));
        for other in [&b"/etc/nginx/nginx"[..], b"nginx", b"/sbin/ngin", b""] {
            assert_eq!(version_of(&header(None), other), None);
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        let samples = [header(None), header(Some(2))];
        bytes(
            "processes/packages/rpm::version_of",
            Says::Derived("an epoch is a number"),
            &samples,
            |header: &[u8]| version_of(header, b"/sbin/nginx"),
        );
    }
}
