//! What a preview knows of the installation whose agent would send: the secret behind its keyed ids, as
//! far as this user may read it, and the switches of its policy.
//!
//! # Invariants
//! - The secret is read and never written or shown. The daemon gives it to nobody, nor ids on demand: who
//!   could have any value turned into its id could find out what an id stands for.
//! - Ids that are not the installation's are said to be so, and only where the preview has any.
//!
//! On failure: a secret that cannot be read leaves ids that hold within one preview, and a note.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candor_control::protocol::Status;
use candor_pipeline::{keyed_boot, keyed_ids};
use candor_platform::{Layout, boot_id};
use candor_policy::Snapshot;
use candor_probes::{Pseudonym, Settings};

const NOT_YOURS: &str = "the keyed ids shown hold within this preview only, since you may not read the \
                         installation's secret: run it as an administrator to see those that are sent";
const NONE_YET: &str = "the keyed ids shown hold within this preview only: the installation has no secret \
                        yet, the agent makes it when it first collects";

/// The installation, as this user may see it.
pub(super) struct Installation {
    secret: Option<[u8; 32]>,
    /// Why there is no secret.
    why: &'static str,
    /// Whether an id was made that is not the installation's.
    strays: Arc<AtomicBool>,
}

impl Installation {
    /// Reads the secret.
    pub(super) fn of(layout: &Layout) -> Self {
        let read = fs::read(layout.secret_file());
        let is_hidden = matches!(&read, Err(error) if error.kind() == ErrorKind::PermissionDenied);
        Self {
            // One of another length is what the agent makes anew.
            secret: read.ok().and_then(|bytes| bytes.try_into().ok()),
            why: if is_hidden { NOT_YOURS } else { NONE_YET },
            strays: Arc::default(),
        }
    }

    /// What the agent tells its probes, but for the files in which it remembers: a preview keeps nothing.
    pub(super) fn probe_settings(&self, snapshot: &Snapshot) -> Settings {
        let settings = Settings::default();
        settings.limit_logs.set(snapshot.effective.limits_logs());
        Settings { pseudonym: self.ids(settings.pseudonym.clone()), ..settings }
    }

    fn ids(&self, strange: Pseudonym) -> Pseudonym {
        if let Some(secret) = self.secret {
            return keyed_ids(secret);
        }
        let strays = Arc::clone(&self.strays);
        Arc::new(move |domain, value| {
            strays.store(true, Ordering::Release);
            strange(domain, value)
        })
    }

    /// The id of this boot as it leaves: the daemon's word, or made as the daemon makes it; empty where
    /// nobody can tell.
    pub(super) fn boot(&self, status: Option<&Status>) -> Arc<str> {
        let told = status.and_then(|status| status.boot_id.as_deref()).map(Arc::from);
        let made = || Some(keyed_boot(&keyed_ids(self.secret?), &boot_id()?));
        told.or_else(made).unwrap_or_default()
    }

    /// What is to be said of the ids that were made, if anything is.
    pub(super) fn note(&self) -> Option<&'static str> {
        self.strays.load(Ordering::Acquire).then_some(self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_the_installations_and_strange_ones_are_said_once_there_are_any() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::resolve(Some(root.path()));
        let snapshot = candor_policy::Sources::new(&layout, None).load();
        let id = |installation: &Installation| {
            (installation.probe_settings(&snapshot).pseudonym)("container", "a")
        };
        let none = Installation::of(&layout);
        assert!(none.note().is_none() && none.boot(None).is_empty());
        let strange = id(&none);
        assert_eq!(none.note(), Some(NONE_YET));

        fs::create_dir_all(layout.state_dir()).unwrap();
        fs::write(layout.secret_file(), [7; 32]).unwrap();
        let installed = Installation::of(&layout);
        assert_eq!(id(&installed), keyed_ids([7; 32])("container", "a"));
        assert_ne!(id(&installed), strange);
        assert_eq!(installed.note(), None);
        let status = Status { boot_id: Some("told".to_owned()), ..Status::default() };
        assert_eq!(&*installed.boot(Some(&status)), "told");
    }
}
