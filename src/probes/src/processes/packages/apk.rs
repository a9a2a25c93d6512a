//! apk's database, as Alpine has it.
//!
//! ```text
//! lib/apk/db/installed   P:nginx  V:1.26.2-r4  F:usr/sbin  R:nginx  …, an empty line between packages
//!                        a file R lies in the folder F before it
//! ```
//!
//! # Invariants
//! - A line is of the package whose beginning stands above it, or of none.
//!
//! A database that cannot be read names no program.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use super::{MAX_DATABASE_BYTES, Versions, Wanted, merged};
use crate::filler::fact;

/// The versions of the programs that some package has.
pub(super) fn read(database: &Path, wanted: &mut Wanted) -> Versions {
    let file = File::open(database).ok().map(|file| file.take(MAX_DATABASE_BYTES));
    file.map(|file| note(BufReader::new(file), wanted)).unwrap_or_default()
}

fn note(database: impl BufRead, wanted: &mut Wanted) -> Versions {
    let mut versions = Versions::new();
    let (mut version, mut folder) = (None, Vec::new());
    for line in database.split(b'\n').map_while(Result::ok) {
        match line.split_at_checked(2) {
            Some((b"V:", text)) => version = fact(&String::from_utf8_lossy(text)),
            Some((b"F:", text)) => folder = text.to_vec(),
            Some((b"R:", name)) => {
                let path = [b"/", folder.as_slice(), b"/", name].concat();
                let program = wanted.remove(merged(&path));
                versions.extend(program.zip(version.clone()));
            }
            Some(_) => {}
            None => version = None,
        }
        if wanted.is_empty() {
            break;
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = "C:Q1x\nP:busybox\nV:1.36.1-r29\nF:bin\nR:busybox\na:0:0:755\n\n\
                            P:nginx\nV:1.26.2-r4\nF:etc/nginx\nR:nginx\nF:usr/sbin\nM:0:0:755\nR:nginx\n\n";

    fn found(database: &str) -> Versions {
        let programs = ["/bin/busybox", "/sbin/nginx", "/sbin/other"];
        let wanted =
            programs.map(|path| (path.into(), path.rsplit('/').next().unwrap().to_owned()));
        note(database.as_bytes(), &mut wanted.into())
    }

    #[test]
    fn a_file_belongs_to_the_package_and_the_folder_above_it() {
        let expected = [("busybox", "1.36.1-r29"), ("nginx", "1.26.2-r4")];
        assert_eq!(found(DATABASE), expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert_eq!(found("F:usr/sbin\nR:nginx\n"), Versions::new(), "of no package");
        assert_eq!(read(Path::new("/nonexistent"), &mut Wanted::new()), Versions::new());
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("processes/packages/apk::note", Says::Stands, &[DATABASE], found);
    }
}
