//! Numbers in tables that firmware and drivers give as bytes. For every decoder of this room.
//!
//! # Invariants
//! - What lies beyond the end is absent; nothing here panics.

/// `N` bytes at an offset, little-endian, at most eight.
pub(crate) fn number<const N: usize>(data: &[u8], offset: usize) -> Option<u64> {
    let bytes = data.get(offset..offset.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_whole_or_not_at_all() {
        let data = [1, 2, 3, 4];
        assert_eq!(number::<2>(&data, 1), Some(0x0302));
        assert_eq!(number::<4>(&data, 0), Some(0x0403_0201));
        for (offset, reason) in [(1, "past the end"), (4, "at the end"), (usize::MAX, "far away")] {
            assert_eq!(number::<4>(&data, offset), None, "{reason}");
        }
    }
}
