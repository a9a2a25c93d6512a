//! Who an installation is to a receiver: a random id, and the secret that proves whose it is.
//!
//! ```text
//! key   64 hexadecimal digits; in the agent's store, never in a record
//! id    uuid v8: the first 16 bytes of SHA-256("candor install id" key), version and variant set
//! ```
//! Whoever shows a key whose hash is the id has made the id: that is how a receiver knows that a request to
//! delete comes from the installation, and not from somebody who saw the id.
//!
//! # Invariants
//! - The id tells nothing of the key, and two ids nothing of each other.
//!
//! On failure: a text that is no key is [`BadInstallKey`].

use std::fmt::{self, Write as _};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

const DOMAIN: &[u8] = b"candor install id";
const DIGITS: usize = 64;

/// The secret of an installation.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallKey(String);

/// A text that is no key. It is not repeated: it may be a secret with a letter too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadInstallKey;

impl fmt::Display for BadInstallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no key of an installation: it has 64 hexadecimal digits")
    }
}

impl std::error::Error for BadInstallKey {}

impl InstallKey {
    /// A key made of random bytes, of which 32 at least are unknown to everybody else.
    #[must_use]
    pub fn of(random: &[u8]) -> Self {
        Self(hex(&Sha256::digest(random)))
    }

    /// The id that this key, and no other, proves.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(self.0.as_bytes());
        let mut id: [u8; 16] = hash.finalize().first_chunk().copied().unwrap_or_default();
        // RFC 9562: version 8 is of one's own making.
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        let text = hex(&id);
        let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
        parts.join("-")
    }
}

impl FromStr for InstallKey {
    type Err = BadInstallKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == DIGITS && text.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadInstallKey)
        }
    }
}

/// The digits: for the store and for the request that needs the proof.
impl fmt::Display for InstallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Without the secret: what is printed for debugging ends in logs.
impl fmt::Debug for InstallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallKey(of {})", self.id())
    }
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
        let (one, two) = (InstallKey::of(b"1"), InstallKey::of(b"2"));
        assert_ne!(one.id(), two.id());
        assert_eq!(one.to_string().parse(), Ok(one.clone()));
        assert!(!format!("{one:?}").contains(&one.to_string()));
        assert_eq!(one.id().as_bytes()[14], b'8', "its version");
    }

    /// Agents and receivers of all versions must agree on it.
    #[test]
    fn the_way_from_key_to_id_is_fixed() {
        let key: InstallKey = "00".repeat(32).parse().unwrap();
        assert_eq!(key.id(), "fc0035b3-ee86-8ae4-90a6-db86163d9b2e");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"G".repeat(64), &"A".repeat(64)] {
            assert_eq!(text.parse::<InstallKey>(), Err(BadInstallKey), "{text}");
        }
    }
}
