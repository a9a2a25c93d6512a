//! pacman's database, as Arch has it.
//!
//! ```text
//! var/lib/pacman/local/nginx-1.26.2-1/files    %FILES%, then a path a line, without the first slash, to an empty line
//! var/lib/pacman/local/nginx-1.26.2-1/desc     %VERSION%, then 1.26.2-1
//! ```
//!
//! # Invariants
//! - Packages are read some at a time, and none once every program has its version.
//!
//! A package that cannot be read is as one that has no program.

use std::path::Path;

use super::{LISTS_AT_ONCE, Search, Wanted, merged, read};
use crate::Host;
use crate::filler::fact;

impl Search {
    /// Reads the next packages. Whether this was all.
    pub(super) fn pacman(&mut self, host: &Host, database: &Path) -> bool {
        let names = host.names(database);
        let mut files = Vec::new();
        for name in names.iter().skip(self.read).take(LISTS_AT_ONCE) {
            self.read += 1;
            let package = database.join(name);
            if self.wanted.is_empty() || read(&package.join("files"), &mut files).is_none() {
                continue;
            }
            let programs = programs(&files, &mut self.wanted);
            if !programs.is_empty()
                && let Some(version) =
                    version(&host.content(&package.join("desc")).unwrap_or_default())
            {
                self.found.extend(programs.into_iter().map(|program| (program, version.clone())));
            }
        }
        self.wanted.is_empty() || self.read >= names.len()
    }
}

/// The lines below a heading.
fn section<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    heading: &[u8],
) -> impl Iterator<Item = &'a [u8]> {
    lines.skip_while(move |line| *line != heading).skip(1).take_while(|line| !line.is_empty())
}

fn programs(files: &[u8], wanted: &mut Wanted) -> Vec<String> {
    let lines = section(files.split(|byte| *byte == b'\n'), b"%FILES%");
    lines.filter_map(|line| wanted.remove(merged(&[b"/", line].concat()))).collect()
}

fn version(desc: &str) -> Option<String> {
    let mut lines = section(desc.as_bytes().split(|byte| *byte == b'\n'), b"%VERSION%");
    fact(&String::from_utf8_lossy(lines.next()?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn wanted() -> Wanted {
        let programs = ["/sbin/nginx", "/bin/bash"];
        programs.map(|path| (path.into(), path.rsplit('/').next().unwrap().to_owned())).into()
    }

    #[test]
    fn a_program_has_the_version_of_the_package_that_lists_its_file() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let database = host.path("var/lib/pacman/local");
        for (name, files) in
            [("nginx-1-1", "usr/\nusr/sbin/nginx\n\n%BACKUP%\nusr/bin/bash\n"), ("x-2-2", "x\n")]
        {
            fs::create_dir_all(database.join(name)).unwrap();
            fs::write(database.join(name).join("files"), format!("%FILES%\n{files}")).unwrap();
            fs::write(database.join(name).join("desc"), "%NAME%\nnginx\n\n%VERSION%\n1.26.2-1\n\n")
                .unwrap();
        }
        fs::write(database.join("ALPM_DB_VERSION"), "9\n").unwrap();
        let mut search = Search { wanted: wanted(), ..Search::default() };
        assert!(search.pacman(&host, &database));
        assert_eq!(search.found, [("nginx".to_owned(), "1.26.2-1".to_owned())].into());
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        let files = "%FILES%\nusr/sbin/nginx\nusr/bin/bash\n\n%BACKUP%\n";
        text("processes/packages/pacman::programs", Says::Stands, &[files], |files| {
            programs(files.as_bytes(), &mut wanted())
        });
        text(
            "processes/packages/pacman::version",
            Says::Stands,
            &["%VERSION%\n1.26.2-1\n"],
            version,
        );
    }
}
