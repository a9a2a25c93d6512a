//! Who this installation is to a receiver: a random id, and the secret that proves it is ours.
//!
//! ```text
//! key   32 random bytes; in the store's `meta`, never in a record
//! id    uuid v8: the first 16 bytes of SHA-256("candor install id" key), version and variant set
//! ```
//! Whoever shows a key whose hash is the id made the id: that is how a receiver knows that a request
//! to delete comes from the installation and not from somebody who saw the id.
//!
//! # Invariants
//! - The id tells nothing of the key, and two ids nothing of each other.
//! - An id without its key (one of an earlier agent, or saved by the mirror alone) works for everything
//!   but that proof.
//!
//! On failure: a key that does not fit its id is none.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

const DOMAIN: &[u8] = b"candor install id";

/// A key and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) key: String,
}

impl Identity {
    /// A new installation.
    pub(crate) fn new() -> Self {
        // Each v4 uuid holds 122 random bits of the system's generator; three of them make a key.
        let mut random = Sha256::new();
        for _ in 0..3 {
            random.update(Uuid::new_v4().as_bytes());
        }
        let key = hex(&random.finalize());
        Self { id: id_of(&key), key }
    }
}

/// The id of a key, as it stands in the store and in a request.
#[must_use]
pub fn id_of(key: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(key.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(half).into_uuid().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_hash_of_its_key_and_of_no_other() {
        let (one, two) = (Identity::new(), Identity::new());
        assert_eq!(id_of(&one.key), one.id);
        assert_ne!(one, two);
        assert_ne!(id_of(&two.key), one.id);
        let id: Uuid = one.id.parse().unwrap();
        assert_eq!((id.get_version_num(), one.key.len()), (8, 64));
    }

    /// Receivers compute it too.
    #[test]
    fn the_way_from_key_to_id_is_fixed() {
        assert_eq!(id_of("00"), "b4fc7913-cc80-86a8-b033-942900d093f6");
    }
}
