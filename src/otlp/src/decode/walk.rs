//! The embedded messages of one field of a protobuf message, without decoding them.
//!
//! # Invariants
//! - After an error the walk is over.

use super::DecodeError;
use crate::wire::{Held, Walk};

/// Each value of the length-delimited field `wanted` in `message`, in order; `part` names the
/// message in an error.
pub(super) fn fields<'a>(message: &'a [u8], wanted: u64, part: &'static str) -> Fields<'a> {
    Fields { walk: Walk::over(message), wanted, part }
}

/// See [`fields`].
pub(super) struct Fields<'a> {
    walk: Walk<'a>,
    wanted: u64,
    part: &'static str,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<&'a [u8], DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        for field in self.walk.by_ref() {
            let Ok(field) = field else {
                return Some(Err(DecodeError::Truncated { part: self.part }));
            };
            if let Held::Bytes(bytes) = field.held
                && field.number == self.wanted
            {
                return Some(Ok(bytes));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wanted_embedded_fields_are_given_and_others_are_skipped() {
        let bytes = [
            0x08, 0xff, 0x01, // field 1, varint
            0x12, 2, b'a', b'b', // field 2
            0x19, 0, 0, 0, 0, 0, 0, 0, 0, // field 3, 64 bits
            0x25, 0, 0, 0, 0, // field 4, 32 bits
            0x12, 0, // field 2, empty
        ];
        let found: Vec<_> = fields(&bytes, 2, "test").map(Result::unwrap).collect();
        assert_eq!(found, [&b"ab"[..], &b""[..]]);
    }

    #[test]
    fn a_cut_or_impossible_field_ends_the_walk_with_an_error() {
        for bytes in [&[0x12][..], &[0x12, 5, 1], &[0x13, 0], &[0x80], &[0x02, 0], &[0xff; 11]] {
            let found: Vec<_> = fields(bytes, 2, "test").collect();
            assert!(matches!(found[..], [Err(DecodeError::Truncated { .. })]), "{bytes:?}");
        }
    }
}
