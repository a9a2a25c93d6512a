//! The embedded messages of one field of a protobuf message, without decoding them.
//!
//! # Invariants
//! - Every step consumes at least one byte, so a walk ends.
//! - After an error the walk is over.

use super::DecodeError;

/// Each value of the length-delimited field `wanted` in `message`, in order; `part` names the
/// message in an error.
pub(super) fn fields<'a>(message: &'a [u8], wanted: u64, part: &'static str) -> Fields<'a> {
    Fields { rest: message, wanted, part }
}

/// See [`fields`].
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    wanted: u64,
    part: &'static str,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<&'a [u8], DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match step(&mut self.rest) {
                Some((field, Some(bytes))) if field == self.wanted => return Some(Ok(bytes)),
                Some(_) => {}
                None => {
                    self.rest = &[];
                    return Some(Err(DecodeError::Truncated { part: self.part }));
                }
            }
        }
        None
    }
}

/// One field: its number, and its bytes when it is length-delimited.
fn step<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(rest)?;
    let (field, wire_type) = (key >> 3, key & 7);
    if field == 0 {
        return None;
    }
    let length = match wire_type {
        0 => {
            varint(rest)?;
            return Some((field, None));
        }
        1 => 8,
        2 => usize::try_from(varint(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((field, (wire_type == 2).then_some(bytes)))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (index, byte) in rest.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return (index < 9 || *byte <= 1).then_some(number);
        }
    }
    None
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
