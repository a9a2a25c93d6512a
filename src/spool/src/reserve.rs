//! The store's reserve: room for what frees space (acknowledgements, deletes) and for what counts a
//! loss, when the disk is full.
//!
//! ```text
//! spool.reserve   1.25 MiB without meaning: the log of a commit that takes out and overwrites the
//!                 largest record, and the pages around it
//! ```
//!
//! On failure there is no reserve and everything else works; it is tried again after the next
//! commit that finds room for it.

use std::path::Path;

/// The file's name in the state directory.
const FILE: &str = "spool.reserve";
/// Its length.
const BYTES: u64 = 1280 * 1024;

/// The reserve of a state directory.
#[derive(Debug)]
pub(crate) struct Reserve(candor_platform::Reserve);

impl Reserve {
    /// Looks whether there is one.
    pub(crate) fn find(dir: &Path) -> Self {
        Self(candor_platform::Reserve::find(dir.join(FILE), BYTES))
    }

    /// Gives it up.
    pub(crate) fn give_up(&mut self) {
        match self.0.give_up() {
            Ok(true) => tracing::warn!("the disk is full; the reserve keeps the store going"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot give the reserve up"),
        }
    }

    /// Makes it again where that leaves `least` bytes to others.
    pub(crate) fn renew(&mut self, free: Option<u64>, least: u64) {
        if let Err(error) = self.0.renew(free, least) {
            tracing::debug!(%error, "cannot make the reserve");
        }
    }
}
