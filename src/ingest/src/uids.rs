//! Ids for records that came without one: UUIDs of version 7 that count up within a millisecond.
//!
//! # Invariants
//! - An id is never given twice: each millisecond begins at a random number of 73 bits, and what it
//!   counts up by stays far below what would carry into the fixed bits.
//! - Ids of records that came together differ in their last digits only, so they pack well.

use candor_model::UnixNanos;
use uuid::{Builder, Uuid};

const MILLISECOND: u64 = 1_000_000;
/// The guard: the highest random bit below the variant, zero at the beginning of a count.
const GUARD: u128 = 1 << 61;

/// The last id, and the millisecond in which its count began.
#[derive(Debug, Default)]
pub(crate) struct Uids {
    last: u128,
    since: u64,
}

impl Uids {
    /// An id for a record that came at this time.
    pub(crate) fn next(&mut self, at: UnixNanos) -> Uuid {
        let now = at.0 / MILLISECOND;
        if self.last == 0 || now != self.since {
            let random = Uuid::new_v4().as_u128().to_be_bytes();
            let mut bits = [0; 10];
            // The version and the variant of the random one stand in its bytes 6 and 8.
            bits[..6].copy_from_slice(&random[..6]);
            bits[6..].copy_from_slice(&random[12..]);
            let first = Builder::from_unix_timestamp_millis(now, &bits).into_uuid();
            (self.last, self.since) = (first.as_u128() & !GUARD, now);
        } else {
            self.last += 1;
        }
        Uuid::from_u128(self.last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::{Variant, Version};

    use super::*;

    #[test]
    fn ids_are_of_version_7_all_different_and_count_up_within_a_millisecond() {
        let mut uids = Uids::default();
        let at = UnixNanos(1_795_161_600_000 * MILLISECOND + 5);
        let ids: Vec<Uuid> = (0..1000).map(|n| uids.next(UnixNanos(at.0 + n * 10_000))).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1000);
        for id in &ids {
            assert_eq!(
                (id.get_version(), id.get_variant()),
                (Some(Version::SortRand), Variant::RFC4122)
            );
        }
        let in_first = &ids[..99];
        assert!(in_first.is_sorted());
        assert_eq!(in_first[0].to_string()[..13], ids[98].to_string()[..13]);
        assert_eq!(ids[98].as_u128() - ids[0].as_u128(), 98);
        let (seconds, _) = ids[500].get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, 1_795_161_600);
    }

    #[test]
    fn two_hosts_give_other_ids_in_the_same_millisecond() {
        let at = UnixNanos(MILLISECOND);
        assert_ne!(Uids::default().next(at), Uids::default().next(at));
    }
}
