//! TOML files as layers: the drop-ins of management policy and the operator's setting.
//!
//! # Invariants
//! - Only what does not exist is absent. A link to nowhere, a directory in place of a file, a
//!   file that somebody else may write, a file that is too large: each is unreadable.
//! - Trust is judged on the very file that is read, and on the directories from it up to the root;
//!   the ancestors of the root are not examined.
//! - Reading never blocks on a pipe or a device.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use candor_platform::{Trust, trust, trust_of};

use crate::document::{WordsFile, read_words};
use crate::finding::Severity;
use crate::layer::{Layer, LayerKind, Reading};

/// Largest policy file that is read. Ten thousand pins fit in.
const MAX_BYTES: u64 = 1 << 20;

/// On whose behalf files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The agent: what it may not read is unreadable.
    Agent,
    /// A person at the command line: what he may not read is not readable by him.
    Caller,
}

impl Reader {
    /// What an error of the system means.
    pub(crate) fn reading(self, what: &str, error: &io::Error) -> Reading {
        if self == Self::Caller && error.kind() == io::ErrorKind::PermissionDenied {
            return Reading::NotReadableByYou(format!("{what} is not readable by you"));
        }
        Reading::Unreadable(format!("{what} cannot be read ({error}): make it readable"))
    }
}

/// The management policy's drop-ins in lexical order, or one layer that says why there are none.
pub(crate) fn read_policy(dir: &Path, root: &Path, reader: Reader) -> Vec<Layer> {
    let whole = |reading| {
        vec![Layer::new(LayerKind::Policy, &dir.display().to_string(), reading).called("policy.d")]
    };
    let names = match drop_ins(dir) {
        Ok(names) => names,
        Err(error) if is_missing(&error, dir) => return whole(Reading::Absent),
        Err(error) => return whole(reader.reading("the directory", &error)),
    };
    if let Some(why) = distrusted_above(dir, root) {
        return whole(Reading::Unreadable(why));
    }
    let layers: Vec<Layer> = names
        .iter()
        .map(|name| read_file(LayerKind::Policy, &dir.join(name), reader))
        .filter(|layer| layer.reading != Reading::Absent)
        .collect();
    if layers.is_empty() { whole(Reading::Absent) } else { layers }
}

/// The operator's setting.
pub(crate) fn read_operator(file: &Path, reader: Reader) -> Layer {
    read_file(LayerKind::Operator, file, reader)
}

/// A reading of what a file or a registry key says.
pub(crate) fn reading_of(file: WordsFile) -> Reading {
    if let Some(error) = file.error() {
        return Reading::Malformed(error.within_file());
    }
    let is_remark = |severity| severity == Severity::Remark;
    let remarks = file.findings.iter().filter(|finding| is_remark(finding.severity));
    Reading::Read {
        remarks: remarks.map(crate::finding::Finding::within_file).collect(),
        words: Box::new(file.words),
    }
}

/// The bytes of a file that may decide; `None` where it does not exist.
pub(crate) fn read_trusted(path: &Path, reader: Reader) -> Result<Option<Vec<u8>>, Reading> {
    let failed = |error: &io::Error| reader.reading("the file", error);
    // Looked at before it is opened: opening a pipe would wait for its writer.
    match std::fs::metadata(path) {
        Ok(facts) if !facts.is_file() => {
            return Err(Reading::Unreadable("it is no regular file: put a file there".to_owned()));
        }
        Ok(_) => {}
        Err(error) if is_missing(&error, path) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error, path) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let judged = trust_of(&file, path).map_err(|error| Reading::Unreadable(error.to_string()))?;
    if let Some(why) = distrust("the file", &judged) {
        return Err(Reading::Unreadable(why));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Reading::Unreadable("the file is over 1 MiB: make it smaller".to_owned()));
    }
    Ok(Some(bytes))
}

fn read_file(kind: LayerKind, path: &Path, reader: Reader) -> Layer {
    let source = short_name(kind, path);
    let reading = match read_trusted(path, reader) {
        Ok(None) => Reading::Absent,
        Ok(Some(bytes)) => reading_of(read_words(&bytes, &source, kind)),
        Err(reading) => reading,
    };
    Layer::new(kind, &path.display().to_string(), reading).called(&source)
}

/// `policy.d/10-org.toml`, `operator.toml`.
pub(crate) fn short_name(kind: LayerKind, path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    match path.parent().and_then(Path::file_name) {
        Some(dir) if kind == LayerKind::Policy => format!("{}/{name}", dir.to_string_lossy()),
        _ => name.into_owned(),
    }
}

/// The names that `*.toml` matches, in the order of their bytes.
pub(crate) fn drop_ins(dir: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names)
}

/// Whether a place does not exist. A link to nowhere, there or above, exists.
pub(crate) fn is_missing(error: &io::Error, path: &Path) -> bool {
    let links_nowhere = |path: &Path| {
        path.symlink_metadata().is_ok_and(|facts| facts.is_symlink()) && path.metadata().is_err()
    };
    error.kind() == io::ErrorKind::NotFound && !path.ancestors().any(links_nowhere)
}

/// Why a directory, or one between it and the root, may not hold policy.
pub(crate) fn distrusted_above(dir: &Path, root: &Path) -> Option<String> {
    let mut directories: Vec<PathBuf> = vec![dir.to_owned()];
    let parents = dir.ancestors().skip(1).take_while(|parent| parent.starts_with(root));
    directories.extend(parents.map(Path::to_owned));
    directories.iter().find_map(|directory| {
        let what = format!("the directory {}", directory.display());
        match trust(directory) {
            Ok(judged) => distrust(&what, &judged),
            Err(error) => Some(error.to_string()),
        }
    })
}

fn distrust(what: &str, judged: &Trust) -> Option<String> {
    match judged {
        Trust::Trusted => None,
        Trust::WrongOwner { owner } => {
            Some(format!("{what} belongs to {owner}: give it to root, or to the agent's user"))
        }
        Trust::WritableByOthers { by } => {
            Some(format!("{what} is writable by others ({by}): take that away (chmod go-w)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Level;
    use tempfile::TempDir;

    use super::*;

    fn setup() -> (TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("etc").join("candor").join("policy.d");
        std::fs::create_dir_all(&dir).unwrap();
        (root, dir)
    }

    fn read(root: &TempDir, dir: &Path) -> Vec<(String, Reading)> {
        let layers = read_policy(dir, root.path(), Reader::Agent);
        layers.into_iter().map(|layer| (layer.source, layer.reading)).collect()
    }

    fn only(root: &TempDir, dir: &Path) -> Reading {
        let mut layers = read(root, dir);
        assert_eq!(layers.len(), 1, "{layers:?}");
        layers.remove(0).1
    }

    fn is_unreadable(reading: &Reading, why: &str) -> bool {
        matches!(reading, Reading::Unreadable(said) if said.contains(why))
    }

    #[test]
    fn drop_ins_are_read_in_the_order_of_their_bytes_and_other_names_are_not() {
        let (root, dir) = setup();
        for name in ["9.toml", "10.toml", "B.toml", "a.toml", ".hidden.toml", "x.toml~", "y.tml"] {
            std::fs::write(dir.join(name), "AllowTelemetry = 1\n").unwrap();
        }
        let sources: Vec<String> = read(&root, &dir).into_iter().map(|layer| layer.0).collect();
        assert_eq!(
            sources,
            ["policy.d/10.toml", "policy.d/9.toml", "policy.d/B.toml", "policy.d/a.toml"]
        );
    }

    #[test]
    fn only_what_does_not_exist_is_absent() {
        let (root, dir) = setup();
        assert_eq!(only(&root, &dir), Reading::Absent);
        std::fs::remove_dir(&dir).unwrap();
        assert_eq!(only(&root, &dir), Reading::Absent);
        std::fs::write(&dir, "a file in place of the directory").unwrap();
        assert!(is_unreadable(&only(&root, &dir), "the directory cannot be read"));
        std::fs::remove_file(&dir).unwrap();
        std::fs::create_dir_all(dir.join("10.toml")).unwrap();
        assert!(is_unreadable(&only(&root, &dir), "no regular file"));
    }

    #[test]
    fn a_good_file_is_read_and_a_bad_one_is_malformed_with_its_place() {
        let (root, dir) = setup();
        std::fs::write(dir.join("10.toml"), "AllowTelemetry = 1\nFoo = 1\n").unwrap();
        let Reading::Read { words, remarks } = only(&root, &dir) else { panic!() };
        assert_eq!(words.allow_telemetry, Some(Level::Basic));
        assert_eq!(
            remarks,
            ["line 2, column 1: Foo: is an unknown key and has no effect: remove it"]
        );
        std::fs::write(dir.join("10.toml"), "\nAllowTelemetry = 7\n").unwrap();
        let Reading::Malformed(why) = only(&root, &dir) else { panic!() };
        assert!(why.starts_with("line 2, column 18: AllowTelemetry: 7 is not"), "{why}");
    }

    #[test]
    fn a_file_that_is_too_large_is_unreadable() {
        let (root, dir) = setup();
        let mut text = "#".repeat(1 << 20);
        text.push_str("\nAllowTelemetry = 1\n");
        std::fs::write(dir.join("10.toml"), text).unwrap();
        assert!(is_unreadable(&only(&root, &dir), "over 1 MiB"));
    }

    #[test]
    fn what_a_person_may_not_read_is_said_to_be_so_and_the_agent_takes_it_as_unreadable() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let told = Reader::Caller.reading("the file", &denied);
        assert_eq!(told, Reading::NotReadableByYou("the file is not readable by you".into()));
        assert!(is_unreadable(&Reader::Agent.reading("the file", &denied), "cannot be read"));
        let broken = io::Error::from(io::ErrorKind::IsADirectory);
        assert!(is_unreadable(&Reader::Caller.reading("the file", &broken), "cannot be read"));
    }

    #[cfg(unix)]
    mod unix {
        use std::fs::Permissions;
        use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

        use super::*;

        fn chmod(path: &Path, mode: u32) {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }

        #[test]
        fn a_file_or_a_directory_above_it_that_others_may_write_is_unreadable() {
            let (root, dir) = setup();
            let file = dir.join("10.toml");
            std::fs::write(&file, "AllowTelemetry = 3\n").unwrap();
            chmod(&file, 0o666);
            assert!(is_unreadable(&only(&root, &dir), "mode 0666"));
            chmod(&file, 0o644);
            for above in [dir.clone(), root.path().join("etc"), root.path().to_owned()] {
                let mode = std::fs::metadata(&above).unwrap().permissions().mode();
                chmod(&above, 0o775);
                assert!(is_unreadable(&only(&root, &dir), "mode 0775"), "{}", above.display());
                chmod(&above, mode);
            }
            assert!(only(&root, &dir).words().is_some());
        }

        #[test]
        fn a_file_of_somebody_else_is_unreadable() {
            let (root, dir) = setup();
            let file = dir.join("10.toml");
            std::fs::write(&file, "AllowTelemetry = 3\n").unwrap();
            if chown(&file, Some(4321), None).is_err() {
                eprintln!("skipped: only root can give a file away");
                return;
            }
            assert!(is_unreadable(&only(&root, &dir), "uid 4321"));
        }

        #[test]
        fn a_link_is_followed_and_one_to_nowhere_is_unreadable() {
            let (root, dir) = setup();
            let target = root.path().join("target.toml");
            symlink(&target, dir.join("10.toml")).unwrap();
            assert!(is_unreadable(&only(&root, &dir), "cannot be read"));
            std::fs::write(&target, "AllowTelemetry = 1\n").unwrap();
            assert!(only(&root, &dir).words().is_some());
            std::fs::remove_dir_all(&dir).unwrap();
            symlink(root.path().join("nowhere"), &dir).unwrap();
            assert!(is_unreadable(&only(&root, &dir), "cannot be read"));
        }

        #[test]
        fn a_pipe_in_place_of_a_file_does_not_stall_the_reader() {
            let (root, dir) = setup();
            let made = std::process::Command::new("mkfifo").arg(dir.join("10.toml")).status();
            assert!(made.unwrap().success());
            assert!(is_unreadable(&only(&root, &dir), "no regular file"));
        }
    }
}
