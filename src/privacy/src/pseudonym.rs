//! Ids that can be joined but not read: HMAC-SHA256 under a secret that never leaves the host.
//!
//! # Invariants
//! - The same value under the same secret and domain gives the same id; another domain, another
//!   secret or another host gives an unrelated one.
//! - The secret is never printed; `agentctl delete` renews it, and with it every id.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Makes keyed ids.
#[derive(Clone)]
pub struct Pseudonyms {
    secret: [u8; 32],
}

impl Pseudonyms {
    /// Ids under `secret`, which the caller keeps with the state and sends nowhere.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The id of `value` among the values of `domain` (for example `remote-address`):
    /// 128 bits as 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn id(&self, domain: &str, value: &str) -> String {
        use fmt::Write;

        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.secret);
        // A key of exactly one block is used as it is, as HMAC defines it.
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(&(domain.len() as u64).to_be_bytes());
        mac.update(domain.as_bytes());
        mac.update(value.as_bytes());
        let digest = mac.finalize().into_bytes();
        digest[..16].iter().fold(String::with_capacity(32), |mut id, byte| {
            // Writing to a `String` does not fail.
            let _ = write!(id, "{byte:02x}");
            id
        })
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_hmac_that_another_implementation_computes() {
        // python3: hmac.new(bytes([7]*32), struct.pack(">Q", 1) + b"d" + b"v", "sha256")
        let ids = Pseudonyms::new([7; 32]);
        assert_eq!(ids.id("d", "v"), "e9a8f42d5ab1f1ee8d51f798c2b2dce6");
    }

    #[test]
    fn another_domain_secret_or_split_gives_another_id() {
        let ids = Pseudonyms::new([7; 32]);
        let id = ids.id("ab", "c");
        assert_eq!(id, ids.id("ab", "c"));
        assert_ne!(id, ids.id("a", "bc"));
        assert_ne!(id, ids.id("x", "c"));
        assert_ne!(id, Pseudonyms::new([8; 32]).id("ab", "c"));
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Pseudonyms::new([7; 32])), "Pseudonyms");
    }
}
