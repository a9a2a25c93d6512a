//! Makes the id of an installation, and the secret that proves it; see [`InstallKey`].
//!
//! # Invariants
//! - Every bit of a key comes from the system's own generator.
//! - An id without its key (one of an earlier agent, or saved by the mirror alone) works for everything
//!   but the proof.

use candor_model::InstallKey;
use uuid::Uuid;

/// A key and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) key: InstallKey,
}

impl Identity {
    /// A new installation.
    pub(crate) fn new() -> Self {
        // 122 random bits each.
        let random: Vec<u8> = (0..3).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
        let key = InstallKey::of(&random);
        Self { id: key.id(), key }
    }
}

/// Whether this is the key of the id.
pub(crate) fn proves(key: &str, id: &str) -> bool {
    key.parse().is_ok_and(|key: InstallKey| key.id() == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_installation_is_another_and_proves_itself_alone() {
        let (one, two) = (Identity::new(), Identity::new());
        assert_ne!(one.id, two.id);
        assert!(proves(&one.key.to_string(), &one.id));
        assert!(!proves(&two.key.to_string(), &one.id) && !proves("", &one.id));
    }
}
