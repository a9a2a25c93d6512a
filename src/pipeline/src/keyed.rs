//! The keyed ids of an installation, from its secret: the daemon makes what it sends with them, and a
//! preview what it shows, so that both name the same thing alike.
//!
//! # Invariants
//! - The secret goes no further than the function that is made of it; that function is never printed.
//!
//! Nothing here fails.

use std::sync::Arc;

use candor_privacy::Pseudonyms;
use candor_probes::Pseudonym;

/// The domain of boot ids.
const BOOT: &str = "boot";

/// The ids under an installation's secret.
#[must_use]
pub fn keyed_ids(secret: [u8; 32]) -> Pseudonym {
    let pseudonyms = Pseudonyms::new(secret);
    Arc::new(move |domain, value| pseudonyms.id(domain, value))
}

/// The id of a boot as it leaves: joinable with itself, useless beside other data.
#[must_use]
pub fn keyed_boot(ids: &Pseudonym, boot: &str) -> Arc<str> {
    ids(BOOT, boot).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_secret_gives_the_same_ids_and_another_one_others() {
        let (ids, again, other) = (keyed_ids([1; 32]), keyed_ids([1; 32]), keyed_ids([2; 32]));
        assert_eq!(ids("container", "a"), again("container", "a"));
        assert_ne!(ids("container", "a"), other("container", "a"));
        assert_eq!(keyed_boot(&ids, "b"), keyed_boot(&again, "b"));
        assert_ne!(*keyed_boot(&ids, "b"), *ids("container", "b"));
    }
}
