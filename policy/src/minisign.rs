//! A minisign public key, as `SettingsKeys` lists them: who may sign remote settings and receipts.
//!
//! ```text
//! Base64( "Ed" | key id, 8 bytes | Ed25519 public key, 32 bytes )   56 characters, "RW…"
//! ```
//!
//! # Invariants
//! - A key that exists has the algorithm `Ed` and the right length; nothing else is checked here.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const ALGORITHM: &[u8] = b"Ed";

/// A minisign public key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MinisignKey([u8; 42]);

impl MinisignKey {
    /// The key's id, by which a signature names it.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.0[2..10]
    }

    /// The Ed25519 public key, 32 bytes.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.0[10..]
    }
}

impl fmt::Display for MinisignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

/// A text that is no minisign public key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no minisign public key: write the second line of the .pub file, RW and 54 more")]
pub struct BadMinisignKey(String);

impl FromStr for MinisignKey {
    type Err = BadMinisignKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| <[u8; 42]>::try_from(bytes).ok())
            .filter(|bytes| bytes.starts_with(ALGORITHM))
            .map(Self)
            .ok_or_else(|| BadMinisignKey(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_its_text() {
        let text = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let key: MinisignKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        assert_eq!((key.id().len(), key.public_key().len()), (8, 32));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "RWQ", "AAAAtEIYD2Lnea1h5w7gjNPnVMY+m9a5w1IKHUIEzRBNoufvdjsYU7cA"] {
            assert!(text.parse::<MinisignKey>().is_err(), "{text}");
        }
    }
}
