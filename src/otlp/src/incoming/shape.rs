//! Which fields of OTLP's messages are numbers, times and ids: what passes as it is.
//!
//! # Invariants
//! - An id has exactly its length, a number is a number: no text fits what stands here.
//! - What stands in no list is not copied; what a program says and nobody reads is counted.

use crate::decode::DecodeError;
use crate::wire::{Field, Held, Walk, are_varints, push_bytes};

/// What may be in a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// A number of variable length.
    Varint,
    /// 64 bits.
    Long,
    /// 32 bits.
    Short,
    /// Numbers of 64 bits, packed or not.
    Longs,
    /// Numbers of variable length, packed or not.
    Varints,
    /// So many bytes.
    Id(usize),
    /// A message of which these fields pass.
    Message(&'static Shape),
    /// A text or attributes that have no place here: they are counted.
    Unread,
}

/// What of a message passes as it is, and where its attributes and its name are.
#[derive(Debug)]
pub(super) struct Shape {
    facts: &'static [(u64, Rule)],
    pub(super) attributes: u64,
    pub(super) name: Option<u64>,
}

const fn shape(facts: &'static [(u64, Rule)], attributes: u64, name: Option<u64>) -> Shape {
    Shape { facts, attributes, name }
}

use Rule::{Id, Long, Longs, Message, Short, Unread, Varint, Varints};

/// Times, severity, dropped attributes, flags, trace and span.
pub(super) static LOG: Shape = shape(
    &[(1, Long), (2, Varint), (7, Varint), (8, Short), (9, Id(16)), (10, Id(8)), (11, Long)],
    6,
    None,
);
/// Trace, span, parent, kind, times, what was dropped, status, flags. No trace state: it is text of others.
pub(super) static SPAN: Shape = shape(
    &[
        (1, Id(16)),
        (2, Id(8)),
        (3, Unread),
        (4, Id(8)),
        (6, Varint),
        (7, Long),
        (8, Long),
        (10, Varint),
        (12, Varint),
        (14, Varint),
        (15, Message(&STATUS)),
        (16, Short),
    ],
    9,
    None,
);
static STATUS: Shape = shape(&[(3, Varint)], 0, None);
/// A link of a span to another one.
pub(super) static LINK: Shape =
    shape(&[(1, Id(16)), (2, Id(8)), (3, Unread), (5, Varint), (6, Short)], 4, None);
/// An event of a span.
pub(super) static EVENT: Shape = shape(&[(1, Long), (4, Varint)], 3, Some(2));
/// A metric's data beside its points: temporality and monotony.
pub(super) static DATA: Shape = shape(&[(2, Varint), (3, Varint)], 0, None);
static NUMBER: Shape = shape(
    &[(2, Long), (3, Long), (4, Long), (5, Message(&EXEMPLAR)), (6, Long), (8, Varint)],
    7,
    None,
);
static HISTOGRAM: Shape = shape(
    &[
        (2, Long),
        (3, Long),
        (4, Long),
        (5, Long),
        (6, Longs),
        (7, Longs),
        (8, Message(&EXEMPLAR)),
        (10, Varint),
        (11, Long),
        (12, Long),
    ],
    9,
    None,
);
static EXPONENTIAL: Shape = shape(
    &[
        (2, Long),
        (3, Long),
        (4, Long),
        (5, Long),
        (6, Varint),
        (7, Long),
        (8, Message(&BUCKETS)),
        (9, Message(&BUCKETS)),
        (10, Varint),
        (11, Message(&EXEMPLAR)),
        (12, Long),
        (13, Long),
        (14, Long),
    ],
    1,
    None,
);
static SUMMARY: Shape = shape(
    &[(2, Long), (3, Long), (4, Long), (5, Long), (6, Message(&QUANTILE)), (8, Varint)],
    7,
    None,
);
static EXEMPLAR: Shape =
    shape(&[(2, Long), (3, Long), (4, Id(8)), (5, Id(16)), (6, Long), (7, Unread)], 0, None);
static BUCKETS: Shape = shape(&[(1, Varint), (2, Varints)], 0, None);
static QUANTILE: Shape = shape(&[(1, Long), (2, Long)], 0, None);

/// The shape of the points of a metric whose data stand in this field.
pub(super) fn points(data: u64) -> Option<&'static Shape> {
    match data {
        5 | 7 => Some(&NUMBER),
        9 => Some(&HISTOGRAM),
        10 => Some(&EXPONENTIAL),
        11 => Some(&SUMMARY),
        _ => None,
    }
}

/// The field in which points of such data have their attributes.
pub(crate) fn point_attributes(data: u32) -> u8 {
    points(u64::from(data)).map_or(7, |shape| u8::try_from(shape.attributes).unwrap_or(7))
}

/// Copies what passes as it is, and shows every field to `other`; how many fields nobody reads. An id of
/// another length is none.
pub(super) fn copy<'a, E: From<DecodeError>>(
    message: &'a [u8],
    shape: &Shape,
    out: &mut Vec<u8>,
    other: &mut dyn FnMut(Field<'a>) -> Result<(), E>,
) -> Result<u32, E> {
    let cut = DecodeError::Truncated { part: "record" };
    let mut unread = 0;
    for field in Walk::over(message) {
        let Ok(field) = field else { return Err(cut.into()) };
        let rule = shape.facts.iter().find(|(number, _)| *number == field.number);
        match rule.map(|(_, rule)| *rule) {
            None => {}
            Some(Unread) => unread += u32::from(!is_bytes(field.held, <[u8]>::is_empty)),
            Some(Id(length)) if is_bytes(field.held, |id| id.len() != length) => {}
            Some(Message(inner)) => {
                let Held::Bytes(bytes) = field.held else { return Err(cut.into()) };
                let mut copied = Vec::new();
                unread += copy::<E>(bytes, inner, &mut copied, &mut |_| Ok(()))?;
                push_message(field.number, &copied, out);
            }
            Some(rule) if rule.fits(field.held) => out.extend_from_slice(field.raw),
            Some(_) => return Err(cut.into()),
        }
        other(field)?;
    }
    Ok(unread)
}

impl Rule {
    /// Whether a field holds what it should.
    fn fits(self, held: Held<'_>) -> bool {
        match self {
            Varint => matches!(held, Held::Varint(_)),
            Long => is_fixed(held, 8),
            Short => is_fixed(held, 4),
            Longs => is_fixed(held, 8) || is_bytes(held, |bytes| bytes.len() % 8 == 0),
            Varints => matches!(held, Held::Varint(_)) || is_bytes(held, are_varints),
            Id(length) => is_bytes(held, |id| id.len() == length),
            Message(_) | Unread => is_bytes(held, |_| true),
        }
    }
}

fn is_fixed(held: Held<'_>, length: usize) -> bool {
    matches!(held, Held::Fixed(bits) if bits.len() == length)
}

fn is_bytes(held: Held<'_>, what: impl Fn(&[u8]) -> bool) -> bool {
    matches!(held, Held::Bytes(bytes) if what(bytes))
}

/// A field whose number may be above 15.
fn push_message(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    // The numbers of the lists above fit.
    push_bytes(u8::try_from(number).unwrap_or_default(), bytes, out);
}
