//! What a storage driver of Windows counts of its drive, from bytes alone: the same everywhere.
//!
//! ```text
//! DISK_PERFORMANCE   0x00 bytes read i64 | 0x08 bytes written i64 | 0x10 time of reads | 0x18 time of writes
//!                    (in 100 ns) | 0x28 reads u32 | 0x2C writes u32
//! ```
//! Little-endian; winioctl.h.
//!
//! # Invariants
//! - What is merged and how long the drive was busy is not counted there, and stays 0: it is not told.
//! - The 32-bit counts run over after some weeks: an interval in which one does is told by nobody.

use super::{BYTES, COUNTERS, MILLISECONDS, OPERATIONS};
use crate::bytes::number;

const UNITS_A_MILLISECOND: u64 = 10_000;

/// The counters, reading and writing; `None` for an answer that is too short.
pub(super) fn counters(answer: &[u8]) -> Option<[u64; COUNTERS]> {
    let mut counters = [0; COUNTERS];
    for way in 0..2 {
        counters[BYTES[way]] = number::<8>(answer, 8 * way)?;
        counters[MILLISECONDS[way]] = number::<8>(answer, 0x10 + 8 * way)? / UNITS_A_MILLISECOND;
        counters[OPERATIONS[way]] = number::<4>(answer, 0x28 + 4 * way)?;
    }
    Some(counters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{BUSY, MERGED};

    #[test]
    fn an_answer_tells_bytes_operations_and_their_time() {
        let mut answer = vec![0; 0x58];
        for (offset, value) in [(0, 4096_u64), (8, 8192), (0x10, 25_000), (0x18, 1_230_000)] {
            answer[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        answer[0x28..0x2C].copy_from_slice(&7_u32.to_le_bytes());
        answer[0x2C..0x30].copy_from_slice(&9_u32.to_le_bytes());
        let told = counters(&answer).unwrap();
        assert_eq!(BYTES.map(|index| told[index]), [4096, 8192]);
        assert_eq!(OPERATIONS.map(|index| told[index]), [7, 9]);
        assert_eq!(MILLISECONDS.map(|index| told[index]), [2, 123]);
        assert_eq!((MERGED.map(|index| told[index]), told[BUSY]), ([0, 0], 0));
        for cut in 0..0x30 {
            assert_eq!(counters(&answer[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "disk/performance::counters",
            Says::Derived("bytes as numbers"),
            &[(0..96).collect()],
            counters,
        );
    }
}
