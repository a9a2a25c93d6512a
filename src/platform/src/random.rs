//! Random bytes from the operating system: install ids and the secret of the keyed ids.
//!
//! # Invariants
//! - Every bit comes from the system's own generator.
//!
//! On failure: the error of the system, never weaker bytes.

use std::io;

/// `N` random bytes.
///
/// # Errors
/// Where the operating system has no randomness to give.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| io::Error::other(format!("no random bytes from the system: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(random_bytes::<32>().unwrap(), random_bytes::<32>().unwrap());
    }
}
