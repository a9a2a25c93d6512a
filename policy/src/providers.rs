//! The files about local programs: their manifests, as text, and which of them are switched on.
//!
//! Read and watched like policy, since they too decide what leaves; what a manifest says is for the
//! room `providers` to understand.
//!
//! # Invariants
//! - A manifest or a directory that somebody else may write is not read, and says so.
//! - Switches that cannot be understood switch everything off.
//!
//! On failure: the file stands in the list with the reason in place of its text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candor_platform::{FileError, Layout, create_private_dir, write_atomic};

use crate::layer::Reading;
use crate::source::file::{Reader, distrusted_above, drop_ins, is_missing, read_trusted};

/// One manifest's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFile {
    /// The file, as findings call it.
    pub file: String,
    /// Its text, or why it cannot be had.
    pub text: Result<String, String>,
}

/// Which providers were switched on or off by name.
pub type Switches = BTreeMap<String, bool>;

/// What was read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFiles {
    /// What came with the installation; `None` where it has no such directory.
    pub shipped: Option<Vec<ProviderFile>>,
    /// What the administrator added.
    pub local: Vec<ProviderFile>,
    /// The switches, or why they cannot be understood.
    pub switches: Result<Switches, String>,
}

/// Why a switch could not be set.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// The present switches cannot be understood, and are not overwritten.
    #[error("cannot change {path}: {why}")]
    Unclear {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to change.
        why: String,
    },
    /// The file could not be written.
    #[error("cannot switch the provider")]
    Write {
        /// The operation that failed.
        #[source]
        source: FileError,
    },
}

impl ProviderFiles {
    /// Reads the files of an instance.
    pub(crate) fn read(layout: &Layout, reader: Reader) -> Self {
        let shipped = layout.shipped_providers_dir();
        Self {
            shipped: shipped.is_dir().then(|| read_dir(&shipped, layout.root(), reader)),
            local: read_dir(&layout.providers_dir(), layout.root(), reader),
            switches: read_switches(&layout.provider_switches(), reader),
        }
    }

    /// Reads the files of an instance for a person at the command line.
    #[must_use]
    pub fn for_caller(layout: &Layout) -> Self {
        Self::read(layout, Reader::Caller)
    }

    /// Switches a provider on or off, for the watch to see. Blocks until the disk has it.
    ///
    /// # Errors
    /// The present switches are malformed, or the file cannot be written.
    pub fn switch(layout: &Layout, name: &str, is_on: bool) -> Result<(), SwitchError> {
        let path = layout.provider_switches();
        let mut switches = read_switches(&path, Reader::Agent)
            .map_err(|why| SwitchError::Unclear { path: path.clone(), why })?;
        switches.insert(name.to_owned(), is_on);
        create_private_dir(&layout.state_dir()).map_err(|source| SwitchError::Write { source })?;
        let lines = switches.iter().map(|(name, is_on)| format!("{name} = {is_on}\n"));
        let text: String = lines.collect();
        write_atomic(&path, text.as_bytes(), 0o600).map_err(|source| SwitchError::Write { source })
    }
}

fn read_dir(dir: &Path, root: &Path, reader: Reader) -> Vec<ProviderFile> {
    let whole = |why| vec![ProviderFile { file: dir.display().to_string(), text: Err(why) }];
    let names = match drop_ins(dir) {
        Ok(names) => names,
        Err(error) if is_missing(&error, dir) => return Vec::new(),
        Err(error) => return whole(trouble(&reader.reading("the directory", &error))),
    };
    if let Some(why) = distrusted_above(dir, root) {
        return whole(why);
    }
    let paths = names.into_iter().map(|name| dir.join(name));
    paths
        .filter_map(|path| {
            Some(ProviderFile {
                text: read_text(&path, reader).transpose()?,
                file: path.display().to_string(),
            })
        })
        .collect()
}

fn read_text(path: &Path, reader: Reader) -> Result<Option<String>, String> {
    let Some(bytes) = read_trusted(path, reader).map_err(|reading| trouble(&reading))? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| "has bytes that are not UTF-8: save it as UTF-8".to_owned())
}

fn read_switches(path: &Path, reader: Reader) -> Result<Switches, String> {
    let Some(text) = read_text(path, reader)? else { return Ok(Switches::new()) };
    toml::from_str(&text).map_err(|error| {
        format!("{}: write lines such as `cli = true`, or remove the file", error.message())
    })
}

fn trouble(reading: &Reading) -> String {
    reading.trouble().unwrap_or("cannot be read").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path()));
        std::fs::create_dir_all(layout.providers_dir()).unwrap();
        std::fs::create_dir_all(layout.state_dir()).unwrap();
        (root, layout)
    }

    #[test]
    fn without_files_nothing_is_added_and_nothing_is_switched() {
        let root = tempfile::tempdir().unwrap();
        let files = ProviderFiles::for_caller(&Layout::new(Some(root.path())));
        let nothing =
            ProviderFiles { shipped: None, local: Vec::new(), switches: Ok(Switches::new()) };
        assert_eq!(files, nothing);
    }

    #[test]
    fn manifests_are_read_in_order_and_one_that_is_no_text_says_so() {
        let (_root, layout) = layout();
        std::fs::write(layout.providers_dir().join("b.toml"), "b").unwrap();
        std::fs::write(layout.providers_dir().join("a.toml"), b"\xff").unwrap();
        let files = ProviderFiles::for_caller(&layout).local;
        assert!(files[0].text.as_ref().is_err_and(|why| why.contains("UTF-8")), "{files:?}");
        assert_eq!(files[1].text, Ok("b".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn a_manifest_that_others_may_write_is_not_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_root, layout) = layout();
        let open = |path: &Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        };
        let file = layout.providers_dir().join("a.toml");
        std::fs::write(&file, "name = 1").unwrap();
        open(&file);
        let files = ProviderFiles::for_caller(&layout).local;
        assert!(files[0].text.as_ref().is_err_and(|why| why.contains("writable by others")));
        open(&layout.providers_dir());
        let files = ProviderFiles::for_caller(&layout).local;
        assert!(files[0].file.ends_with("providers.d"), "{files:?}");
    }

    #[test]
    fn a_switch_is_kept_beside_the_others() {
        let (_root, layout) = layout();
        ProviderFiles::switch(&layout, "cli", true).unwrap();
        ProviderFiles::switch(&layout, "application", true).unwrap();
        ProviderFiles::switch(&layout, "cli", false).unwrap();
        let switches = ProviderFiles::for_caller(&layout).switches.unwrap();
        assert_eq!(switches, [("application".into(), true), ("cli".into(), false)].into());
    }

    #[test]
    fn switches_that_cannot_be_understood_say_so_and_are_not_overwritten() {
        let (_root, layout) = layout();
        std::fs::write(layout.provider_switches(), "cli = maybe").unwrap();
        let why = ProviderFiles::for_caller(&layout).switches.unwrap_err();
        assert!(why.contains("cli = true"), "{why}");
        let refused = ProviderFiles::switch(&layout, "cli", true);
        assert!(matches!(refused, Err(SwitchError::Unclear { .. })));
    }
}
