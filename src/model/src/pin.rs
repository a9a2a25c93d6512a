//! A pinned public key: `sha256/` and the Base64 of the SHA-256 of its DER-encoded SPKI.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PREFIX: &str = "sha256/";

/// SHA-256 of a certificate's `SubjectPublicKeyInfo` in DER (RFC 7469, section 2.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of a digest.
    #[must_use]
    pub const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPin(pub String);

impl fmt::Display for BadPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no pin: write sha256/ and 44 characters of Base64, as `agentctl pins compute FILE` prints it",
            self.0
        )
    }
}

impl std::error::Error for BadPin {}

impl FromStr for Pin {
    type Err = BadPin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix(PREFIX)
            .and_then(|digest| STANDARD.decode(digest).ok())
            .and_then(|digest| <[u8; 32]>::try_from(digest).ok())
            .map(Self)
            .ok_or_else(|| BadPin(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_reads_back_from_its_text() {
        let pin = Pin::from_bytes([7; 32]);
        assert_eq!(pin.to_string().parse(), Ok(pin));
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        for text in [
            "",
            "sha256/",
            "sha256/AAAA",
            "sha1/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        ] {
            assert!(text.parse::<Pin>().is_err(), "{text}");
        }
    }
}
