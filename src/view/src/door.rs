//! The file that opens the page: only its owner can read it, and it posts the key by itself, so that the key
//! stands in no command line, no address and no history.
//!
//! ```text
//! $XDG_RUNTIME_DIR (else the temporary directory)/candor-view-RANDOM/     mode 0700
//!     open.html                                                           mode 0600, gone after its use
//! ```
//!
//! # Invariants
//! - File and directory are gone when this is dropped.
//!
//! On failure: a [`ViewError`]; nothing is left behind.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use candor_platform::FileError;

use crate::gate::OPEN;
use crate::key::Secret;

/// Why the page cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// No port on loopback.
    #[error("cannot listen on loopback")]
    Listen {
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The system has no randomness to make a key of.
    #[error("cannot make a key")]
    Key {
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file that opens the page cannot be written.
    #[error("cannot write the file that opens the page")]
    Door {
        /// Which operation, on which path.
        #[source]
        source: FileError,
    },
    /// The file cannot be given to the user behind sudo.
    #[error("cannot give {path} to uid {uid}")]
    HandOver {
        /// The file or its directory.
        path: PathBuf,
        /// To whom.
        uid: u32,
        /// The system's answer.
        source: io::Error,
    },
}

/// The file.
pub(crate) struct Door {
    dir: PathBuf,
    file: PathBuf,
}

impl Door {
    /// Writes it, for this process's user or for the `guest` behind sudo.
    pub(crate) fn new(
        address: SocketAddr,
        key: &Secret,
        guest: Option<u32>,
    ) -> Result<Self, ViewError> {
        let name = Secret::new().map_err(|source| ViewError::Key { source })?;
        let dir = place().join(format!("candor-view-{}", &name.text()[..16]));
        let door = Self { file: dir.join("open.html"), dir };
        let failed = |source| ViewError::Door { source };
        candor_platform::create_private_dir(&door.dir).map_err(failed)?;
        let text = page(address, key);
        candor_platform::write_atomic(&door.file, text.as_bytes(), 0o600).map_err(failed)?;
        if let Some(uid) = guest {
            for path in [&door.file, &door.dir] {
                candor_platform::hand_over(path, uid).map_err(|source| ViewError::HandOver {
                    path: path.clone(),
                    uid,
                    source,
                })?;
            }
        }
        Ok(door)
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// After its use: the key is worth nothing any more.
    pub(crate) fn remove(&self) {
        // Nothing secret is left in either, should this fail.
        let _ = fs::remove_file(&self.file);
        let _ = fs::remove_dir(&self.dir);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A directory of this user's own that is gone with the session, or the one for temporary files.
fn place() -> PathBuf {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    runtime.filter(|dir| dir.is_absolute() && dir.is_dir()).unwrap_or_else(env::temp_dir)
}

/// Posts the key; by a button where scripts are off. The policy lets it do nothing else.
fn page(address: SocketAddr, key: &Secret) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         script-src '{SUBMIT_HASH}'; form-action http://{address}; base-uri 'none'\">\n\
         <title>Opening the Candor viewer</title>\n\
         <form method=\"post\" action=\"http://{address}{OPEN}\">\n\
         <input type=\"hidden\" name=\"key\" value=\"{}\">\n\
         <p>This file opens the Candor viewer once.</p>\n<button>Open</button>\n</form>\n\
         <script>{SUBMIT}</script>\n</html>\n",
        key.text(),
    )
}

const SUBMIT: &str = "document.forms[0].submit()";
/// SHA-256 of [`SUBMIT`]; the test in a browser fails should they part.
const SUBMIT_HASH: &str = "sha256-ePniVEkSivX/c7XWBGafqh8tSpiRrKiqYeqbG7N1TOE=";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_its_owners_alone_holds_the_key_and_is_gone_afterwards() {
        let key = Secret::new().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 1234));
        let door = Door::new(address, &key, None).unwrap();
        let file = door.file().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains(key.text()) && text.contains("action=\"http://127.0.0.1:1234/open\"")
        );
        assert_eq!(candor_platform::trust(&file).unwrap(), candor_platform::Trust::Trusted);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        }
        drop(door);
        assert!(!file.parent().unwrap().exists());
    }
}
