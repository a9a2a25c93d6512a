//! What a probe is at, for who must say it of a probe that hangs: `status` names the mount that does
//! not answer, and not only the probe.
//!
//! # Invariants
//! - It is shown on this host only; it enters no record.
//!
//! Nothing here fails.

use std::sync::{Arc, Mutex, PoisonError};

/// A note that outlives the probe's own answer. A clone is the same note.
#[derive(Clone, Debug, Default)]
pub struct Whereabouts(Arc<Mutex<Option<String>>>);

impl Whereabouts {
    /// Before something that may hang.
    pub fn at(&self, place: &str) {
        self.set(Some(place.to_owned()));
    }

    /// Afterwards.
    pub fn left(&self) {
        self.set(None);
    }

    /// Where the probe is.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, place: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }
}
