//! The key that opens the page once, and the session that it turns into.
//!
//! # Invariants
//! - A key works once; a session is good for this run of the viewer only.
//! - Comparing takes as long for a wrong guess as for a right one.
//!
//! On failure: no randomness from the system, no key.

use std::fmt::Write as _;
use std::io;

/// 256 random bits as hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new() -> io::Result<Self> {
        let bytes = candor_platform::random_bytes::<32>()?;
        Ok(Self(bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a `String` does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether `guess` is this, in a time that does not tell how much of it is.
    pub(crate) fn is(&self, guess: &str) -> bool {
        let differences = self.0.bytes().zip(guess.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        guess.len() == self.0.len() && differences == 0
    }
}

/// The key until it was used; the session from then on.
pub(crate) struct Lock {
    key: Option<Secret>,
    session: Option<Secret>,
}

impl Lock {
    pub(crate) fn new(key: Secret) -> Self {
        Self { key: Some(key), session: None }
    }

    /// Uses up the key and gives the session; `None` for a wrong key, or a key that was used.
    pub(crate) fn open(&mut self, guess: &str) -> Option<&Secret> {
        self.key.take_if(|key| key.is(guess))?;
        self.session = Secret::new().ok();
        self.session.as_ref()
    }

    pub(crate) fn is_session(&self, guess: &str) -> bool {
        self.session.as_ref().is_some_and(|session| session.is(guess))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_once_and_a_wrong_one_never() {
        let key = Secret::new().unwrap();
        let mut lock = Lock::new(key.clone());
        assert!(!lock.is_session(""));
        for wrong in ["", "0", &key.text()[1..], &format!("{}0", key.text()), &"0".repeat(64)] {
            assert!(lock.open(wrong).is_none(), "{wrong}");
        }
        let session = lock.open(key.text()).unwrap().text().to_owned();
        assert!(lock.is_session(&session) && !lock.is_session(key.text()));
        assert!(lock.open(key.text()).is_none(), "a key works once");
        assert!(lock.is_session(&session), "the session goes on");
    }
}
