//! The fields of a protobuf message, one after the other, without decoding what is inside them; and
//! the same way back.
//!
//! # Invariants
//! - Every step consumes at least one byte, so a walk ends; after an error it is over.
//! - What is written here reads back here.

use candor_model::{Scalar, Value};

use crate::frame::push_length;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held<'a> {
    Varint(u64),
    /// 32 or 64 bits, little endian.
    Fixed(&'a [u8]),
    Bytes(&'a [u8]),
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    pub(crate) held: Held<'a>,
    /// The whole field as it stands in the message, key included.
    pub(crate) raw: &'a [u8],
}

/// A length or a field key that does not fit the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut;

/// Walks a message.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    pub(crate) const fn over(message: &'a [u8]) -> Self {
        Self(message)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Field<'a>, Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = step(&mut self.0);
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Cut))
    }
}

fn step<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let whole = *rest;
    let key = varint(rest)?;
    let number = key >> 3;
    if number == 0 {
        return None;
    }
    let held = match key & 7 {
        0 => Held::Varint(varint(rest)?),
        1 => Held::Fixed(take(rest, 8)?),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Held::Bytes(take(rest, length)?)
        }
        5 => Held::Fixed(take(rest, 4)?),
        _ => return None,
    };
    let raw = &whole[..whole.len() - rest.len()];
    Some(Field { number, held, raw })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
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

/// Whether bytes are a run of whole numbers of variable length.
pub(crate) fn are_varints(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        if varint(&mut bytes).is_none() {
            return false;
        }
    }
    true
}

/// Appends a length-delimited field; numbers above 15 do not occur here.
pub(crate) fn push_bytes(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    open(number, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends the key of a field of another wire type.
pub(crate) fn push_key(number: u8, wire_type: u8, out: &mut Vec<u8>) {
    prost::encoding::encode_varint(u64::from(number) << 3 | u64::from(wire_type), out);
}

/// Appends the key and the length of a length-delimited field.
pub(crate) fn open(number: u8, length: usize, out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    push_length(length, out);
}

/// Bytes of a length-delimited field with so many bytes inside.
pub(crate) fn field_len(length: usize) -> usize {
    1 + prost::length_delimiter_len(length) + length
}

/// Appends a `KeyValue` as field `number`.
pub(crate) fn push_pair(number: u8, key: &str, value: &Value, out: &mut Vec<u8>) {
    open(number, pair_len(key, value), out);
    push_bytes(1, key.as_bytes(), out);
    push_value(2, value, out);
}

/// Appends an `AnyValue` as field `number`.
pub(crate) fn push_value(number: u8, value: &Value, out: &mut Vec<u8>) {
    if let Some(scalar) = scalar(value) {
        return push_scalar(number, scalar, out);
    }
    open(number, value_len(value), out);
    match value {
        Value::List(items) => {
            open(5, items.iter().map(|item| field_len(value_len(item))).sum(), out);
            for item in items {
                push_value(1, item, out);
            }
        }
        Value::Map(pairs) => {
            open(6, pairs.iter().map(|(key, value)| field_len(pair_len(key, value))).sum(), out);
            for (key, value) in pairs {
                push_pair(1, key, value, out);
            }
        }
        // Done above.
        Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
    }
}

fn scalar(value: &Value) -> Option<Scalar<'_>> {
    match value {
        Value::Text(text) => Some(Scalar::Text(text)),
        Value::Bool(truth) => Some(Scalar::Bool(*truth)),
        Value::Int(number) => Some(Scalar::Int(*number)),
        Value::Double(number) => Some(Scalar::Double(*number)),
        Value::List(_) | Value::Map(_) => None,
    }
}

/// As [`push_pair`], of a value that holds no others.
pub(crate) fn push_plain_pair(number: u8, key: &str, value: Scalar<'_>, out: &mut Vec<u8>) {
    open(number, field_len(key.len()) + field_len(scalar_len(value)), out);
    push_bytes(1, key.as_bytes(), out);
    push_scalar(2, value, out);
}

/// As [`push_value`], of a value that holds no others.
pub(crate) fn push_scalar(number: u8, value: Scalar<'_>, out: &mut Vec<u8>) {
    open(number, scalar_len(value), out);
    match value {
        Scalar::Text(text) => push_bytes(1, text.as_bytes(), out),
        Scalar::Bool(truth) => out.extend([2 << 3, u8::from(truth)]),
        Scalar::Int(number) => {
            out.push(3 << 3);
            prost::encoding::encode_varint(number.cast_unsigned(), out);
        }
        Scalar::Double(number) => {
            out.push(4 << 3 | 1);
            out.extend(number.to_le_bytes());
        }
    }
}

/// Bytes that [`push_plain_pair`] appends; field numbers above 15 do not occur here.
pub(crate) fn plain_pair_len(key: &str, value: Scalar<'_>) -> usize {
    field_len(field_len(key.len()) + field_len(scalar_len(value)))
}

fn scalar_len(value: Scalar<'_>) -> usize {
    match value {
        Scalar::Text(text) => field_len(text.len()),
        Scalar::Bool(_) => 2,
        Scalar::Int(number) => 1 + prost::encoding::encoded_len_varint(number.cast_unsigned()),
        Scalar::Double(_) => 9,
    }
}

fn pair_len(key: &str, value: &Value) -> usize {
    field_len(key.len()) + field_len(value_len(value))
}

fn value_len(value: &Value) -> usize {
    match value {
        Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Double(_) => {
            scalar(value).map_or(0, scalar_len)
        }
        Value::List(items) => field_len(items.iter().map(|item| field_len(value_len(item))).sum()),
        Value::Map(pairs) => {
            field_len(pairs.iter().map(|(key, value)| field_len(pair_len(key, value))).sum())
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::encode::key_value;

    #[test]
    fn each_field_is_given_with_its_number_and_its_bytes() {
        let bytes = [
            0x08, 0xff, 0x01, // field 1, varint
            0x12, 2, b'a', b'b', // field 2
            0x25, 1, 2, 3, 4, // field 4, 32 bits
        ];
        let found: Vec<_> = Walk::over(&bytes).map(Result::unwrap).collect();
        let held: Vec<_> = found.iter().map(|field| (field.number, field.held)).collect();
        assert_eq!(
            held,
            [(1, Held::Varint(255)), (2, Held::Bytes(b"ab")), (4, Held::Fixed(&[1, 2, 3, 4]))]
        );
        assert_eq!(found.iter().flat_map(|field| field.raw).copied().collect::<Vec<_>>(), bytes);
    }

    #[test]
    fn a_cut_or_impossible_field_ends_the_walk_with_an_error() {
        for bytes in [&[0x12][..], &[0x12, 5, 1], &[0x13, 0], &[0x80], &[0x02, 0], &[0xff; 11]] {
            let found: Vec<_> = Walk::over(bytes).collect();
            assert_eq!(found, [Err(Cut)], "{bytes:?}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e9..1e9).prop_map(Value::Double),
            ".{0,200}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec(("[a-z]{0,9}", inner), 0..4).prop_map(|pairs| {
                    Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_pair_is_written_as_generated_code_writes_it(key in "[a-z.]{0,140}", value in value()) {
            let mut out = Vec::new();
            push_pair(6, &key, &value, &mut out);
            let field = Walk::over(&out).next().unwrap().unwrap();
            let Held::Bytes(message) = field.held else { panic!("a message") };
            prop_assert_eq!((field.number, field.raw.len()), (6, out.len()));
            prop_assert_eq!(KeyValue::decode(message).unwrap(), key_value(&key, &value));
        }

        #[test]
        fn any_bytes_are_walked_to_an_end(bytes: Vec<u8>) {
            let walked: usize = Walk::over(&bytes).flatten().map(|field| field.raw.len()).sum();
            prop_assert!(walked <= bytes.len());
        }
    }
}
