//! The chain: each record's hash covers the one before it.

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What stands before the first record ever.
pub(crate) const BEGINNING: Hash = [0; 32];

/// The hash of these parts, after `previous`.
pub(crate) fn link(previous: &Hash, parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(previous);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

pub(crate) fn to_hex(hash: &Hash) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = BEGINNING;
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_from_its_text_and_nothing_else_does() {
        let hash = link(&BEGINNING, &[b"a", b"b"]);
        assert_eq!(from_hex(&to_hex(&hash)), Some(hash));
        assert_eq!(hash, link(&BEGINNING, &[b"ab"]));
        assert_ne!(hash, link(&hash, &[b"ab"]));
        for text in ["", "0", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }
}
