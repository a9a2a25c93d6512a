//! A local program's export request, taken apart: for ingest, which judges names, texts and
//! attributes and lets numbers, times and ids pass as they are.
//!
//! ```text
//! request --groups--> Group { resource, scope, records: [bytes] } --incoming--> Provided
//! ```
//!
//! # Invariants
//! - Only fields that [`shape`] names pass; a text passes only as a name, a unit, a word of severity,
//!   a body or an attribute, where the gate and the scrubber see it.
//! - What the codec itself says of a record (`candor.*`) is never taken from a program.
//! - The groups of a resource share it: no number of scopes makes copies of it.
//! - One record is taken apart at a time, and its parts are bounded: no input makes more of itself
//!   than some 20 times its size, nor recurses deeper than [`MAX_DEPTH`].
//!
//! On failure: [`DecodeError`] for what is no OTLP (the whole request is refused),
//! [`Unfit::TooLarge`] for a record beyond the bounds (it alone is).

use std::borrow::Cow;
use std::rc::Rc;

use candor_model::{Given, Kind, Part, Provided, UnixNanos, Value};

use crate::decode::DecodeError;
use crate::wire::{Field, Held, Walk, push_bytes, push_key};
use crate::{MAX_RECORDS, keys};

mod plain;
mod shape;

pub use plain::plain;
pub(crate) use shape::point_attributes;
use shape::{Shape, copy};

/// Most bytes of one log record or span.
pub const MAX_RECORD: usize = 64 * 1024;
/// Most bytes of one metric with its points.
pub const MAX_METRIC: usize = 256 * 1024;
/// Most points of a metric, or events and links of a span.
const MAX_PARTS: usize = 1_000;
/// Most attributes in one set, as OpenTelemetry's SDKs have it.
const MAX_ATTRIBUTES: usize = 128;
/// Most values in one record, nested ones included.
const MAX_VALUES: usize = 8_192;
/// Deepest nesting of a value.
const MAX_DEPTH: usize = 8;
/// Longest name, key or unit.
const MAX_NAME: usize = 256;
/// Longest word for a severity.
const MAX_SEVERITY: usize = 16;
/// Key under which a span's message of its status travels, as the semantic conventions have it.
const STATUS: &str = "otel.status_description";

/// Records of one resource and scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group<'a> {
    /// The attributes of the resource, one and the same for all of its scopes.
    pub resource: Rc<[(&'a str, Value)]>,
    /// The name of the scope, empty where there is none.
    pub scope: &'a str,
    /// The version of the scope, empty where there is none.
    pub scope_version: &'a str,
    /// The messages of its records.
    pub records: Vec<&'a [u8]>,
}

/// Why a record is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is no OTLP.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It is, and larger than is taken.
    #[error("the record has {what}")]
    TooLarge {
        /// What there is too much of, with the bound.
        what: &'static str,
    },
}

/// The groups of an export request that hold records. The three signals number these fields alike.
///
/// # Errors
/// When the bytes are no such request, or hold more than [`MAX_RECORDS`] records.
pub fn groups(bytes: &[u8]) -> Result<Vec<Group<'_>>, DecodeError> {
    let (mut groups, mut records) = (Vec::new(), 0);
    for group in embedded(bytes, 1, "request") {
        let group = group?;
        let mut resource = None;
        for scope in embedded(group, 2, "resource") {
            let mut found = scope_of(scope?)?;
            if found.records.is_empty() {
                continue;
            }
            records += found.records.len();
            if records > MAX_RECORDS {
                return Err(DecodeError::TooManyRecords);
            }
            found.resource = match &resource {
                Some(resource) => Rc::clone(resource),
                None => Rc::clone(resource.insert(resource_of(group)?)),
            };
            groups.push(found);
        }
    }
    Ok(groups)
}

/// Takes one record apart; no manifest has judged it yet.
///
/// # Errors
/// [`Unfit`].
pub fn incoming(kind: Kind, record: &[u8]) -> Result<Provided, Unfit> {
    let limit = if kind == Kind::Metric { MAX_METRIC } else { MAX_RECORD };
    if record.len() > limit {
        return Err(Unfit::TooLarge {
            what: "more bytes than are taken: 64 KiB, a metric 256 KiB",
        });
    }
    let mut parser = Parser::default();
    let mut provided = match kind {
        Kind::Log => parser.log(record),
        Kind::Metric => parser.metric(record),
        Kind::Span => parser.span(record),
    }?;
    provided.unread = parser.unread;
    Ok(provided)
}

/// Ids of the trace and the span that a record belongs to.
pub type TraceIds = (Option<[u8; 16]>, Option<[u8; 8]>);

/// An event that came in no OTLP message, as [`incoming`] would have given it.
#[must_use]
pub fn event(name: String, fields: Vec<Given>, time: UnixNanos, ids: TraceIds) -> Provided {
    let mut facts = Vec::new();
    push_key(1, 1, &mut facts);
    facts.extend(time.0.to_le_bytes());
    push_key(2, 0, &mut facts);
    // INFO, as our own events have it.
    facts.push(9);
    let (trace_id, span_id) = ids;
    if let Some(id) = trace_id {
        push_bytes(9, &id, &mut facts);
    }
    if let Some(id) = span_id {
        push_bytes(10, &id, &mut facts);
    }
    let mut fields = fields;
    fields.retain(|given| !given.key.starts_with(keys::RESERVED) && given.key != keys::UID);
    Provided { name, facts, trace_id, sets: vec![fields], ..Provided::new(Kind::Log) }
}

fn embedded<'a>(
    message: &'a [u8],
    wanted: u64,
    part: &'static str,
) -> impl Iterator<Item = Result<&'a [u8], DecodeError>> {
    Walk::over(message).filter_map(move |field| match field {
        Err(_) => Some(Err(DecodeError::Truncated { part })),
        Ok(Field { number, held: Held::Bytes(bytes), .. }) if number == wanted => Some(Ok(bytes)),
        Ok(_) => None,
    })
}

fn scope_of(scope: &[u8]) -> Result<Group<'_>, DecodeError> {
    let mut group = Group::default();
    for field in Walk::over(scope) {
        let field = field.map_err(|_| DecodeError::Truncated { part: "scope" })?;
        match (field.number, field.held) {
            (1, Held::Bytes(scope)) => {
                let text = |wanted| embedded(scope, wanted, "scope").last().transpose();
                group.scope = utf8(text(1)?.unwrap_or_default(), "scope's name")?;
                group.scope_version = utf8(text(2)?.unwrap_or_default(), "scope's version")?;
            }
            (2, Held::Bytes(record)) => group.records.push(record),
            _ => {}
        }
        if group.records.len() > MAX_RECORDS {
            return Err(DecodeError::TooManyRecords);
        }
    }
    Ok(group)
}

fn resource_of(group: &[u8]) -> Result<Rc<[(&str, Value)]>, DecodeError> {
    let Some(bytes) = embedded(group, 1, "resource").last().transpose()? else {
        return Ok(Rc::default());
    };
    if bytes.len() > MAX_RECORD {
        return Err(DecodeError::TooLarge { part: "resource", bytes: bytes.len() });
    }
    let mut parser = Parser::default();
    let mut attributes = Vec::new();
    for pair in embedded(bytes, 1, "resource").take(MAX_ATTRIBUTES) {
        match parser.pair(pair?) {
            Ok(pair) => attributes.extend(pair),
            Err(Unfit::Malformed(error)) => return Err(error),
            Err(Unfit::TooLarge { .. }) => {}
        }
    }
    Ok(attributes.into())
}

fn utf8<'a>(bytes: &'a [u8], part: &'static str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8 { part })
}

/// Takes one record apart, and counts the values in it.
#[derive(Default)]
struct Parser {
    values: usize,
    /// Fields of it that nobody reads.
    unread: u32,
}

impl Parser {
    fn log(&mut self, record: &[u8]) -> Result<Provided, Unfit> {
        let mut log = Provided::new(Kind::Log);
        log.sets.push(Vec::new());
        copy::<Unfit>(record, &shape::LOG, &mut log.facts, &mut |field| {
            match (field.number, field.held) {
                (3, Held::Bytes(word)) => severity(word, &mut log.severity)?,
                (5, Held::Bytes(body)) => {
                    log.body = self.value(body, 0)?.map(|value| Given::new("body".into(), value));
                }
                (6, Held::Bytes(pair)) => self.attribute(pair, &mut log.uid, &mut log.sets[0])?,
                (9, Held::Bytes(id)) => log.trace_id = id.try_into().ok(),
                (12, Held::Bytes(name)) => name_of(name, &mut log.name)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(log)
    }

    fn span(&mut self, record: &[u8]) -> Result<Provided, Unfit> {
        let mut span = Provided::new(Kind::Span);
        span.sets.push(Vec::new());
        let (mut span_id, mut facts) = (None, Vec::new());
        let unread = copy::<Unfit>(record, &shape::SPAN, &mut facts, &mut |field| {
            match (field.number, field.held) {
                (1, Held::Bytes(id)) => span.trace_id = id.try_into().ok(),
                (2, Held::Bytes(id)) => span_id = <[u8; 8]>::try_from(id).ok(),
                (5, Held::Bytes(name)) => name_of(name, &mut span.name)?,
                (9, Held::Bytes(pair)) => self.attribute(pair, &mut span.uid, &mut span.sets[0])?,
                (11, Held::Bytes(event)) => {
                    let (part, set) = self.part(event, &shape::EVENT)?;
                    push_part(&mut span, part, set)?;
                }
                (13, Held::Bytes(link)) => {
                    let (part, set) = self.part(link, &shape::LINK)?;
                    push_part(&mut span, Part { is_link: true, ..part }, set)?;
                }
                (15, Held::Bytes(status)) => {
                    if let Some(message) = embedded(status, 2, "span's status").last() {
                        let text = utf8(message?, "span's status")?.to_owned();
                        span.sets[0].push(Given::new(STATUS.into(), Value::from(text)));
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        span.facts = facts;
        self.unread += unread;
        if let (Some(trace), Some(own)) = (span.trace_id, span_id) {
            span.uid = Some(format!(
                "{:032x}-{:016x}",
                u128::from_be_bytes(trace),
                u64::from_be_bytes(own)
            ));
        }
        Ok(span)
    }

    fn metric(&mut self, record: &[u8]) -> Result<Provided, Unfit> {
        let mut metric = Provided::new(Kind::Metric);
        for field in Walk::over(record) {
            let field = field.map_err(|_| DecodeError::Truncated { part: "metric" })?;
            match (field.number, field.held) {
                (1, Held::Bytes(name)) => name_of(name, &mut metric.name)?,
                (3, Held::Bytes(unit)) => name_of(unit, &mut metric.unit)?,
                // Its metadata: it has no points to which they would belong.
                (12, Held::Bytes(_)) => self.unread += 1,
                (number, Held::Bytes(data)) => {
                    let Some(point) = shape::points(number) else { continue };
                    // Of a field that can be one thing only, the last counts.
                    metric.data = u32::try_from(number).unwrap_or_default();
                    metric.facts.clear();
                    metric.parts.clear();
                    metric.sets.clear();
                    self.points(data, point, &mut metric)?;
                }
                _ => {}
            }
        }
        Ok(metric)
    }

    fn points(&mut self, data: &[u8], point: &Shape, metric: &mut Provided) -> Result<(), Unfit> {
        let mut facts = Vec::new();
        copy::<Unfit>(data, &shape::DATA, &mut facts, &mut |field| {
            if let (1, Held::Bytes(bytes)) = (field.number, field.held) {
                let (part, set) = self.part(bytes, point)?;
                push_part(metric, part, set)?;
            }
            Ok(())
        })?;
        metric.facts = facts;
        Ok(())
    }

    /// A point, or an event or a link of a span.
    fn part(&mut self, bytes: &[u8], shape: &Shape) -> Result<(Part, Vec<Given>), Unfit> {
        let (mut part, mut set, mut uid) = (Part::default(), Vec::new(), None);
        self.values += 1;
        let unread = copy::<Unfit>(bytes, shape, &mut part.facts, &mut |field| {
            match field.held {
                Held::Bytes(pair) if field.number == shape.attributes => {
                    self.attribute(pair, &mut uid, &mut set)?;
                }
                Held::Bytes(name) if Some(field.number) == shape.name => {
                    name_of(name, &mut part.name)?;
                }
                _ => {}
            }
            Ok(())
        })?;
        self.unread += unread;
        Ok((part, set))
    }

    fn attribute(
        &mut self,
        pair: &[u8],
        uid: &mut Option<String>,
        set: &mut Vec<Given>,
    ) -> Result<(), Unfit> {
        let Some((key, value)) = self.pair(pair)? else { return Ok(()) };
        if key == keys::UID {
            if let Value::Text(text) = &value
                && is_id(text)
            {
                *uid = Some(text.clone().into_owned());
            }
            return Ok(());
        }
        if key.starts_with(keys::RESERVED) {
            return Ok(());
        }
        if set.len() >= MAX_ATTRIBUTES {
            return Err(Unfit::TooLarge { what: "more than 128 attributes" });
        }
        set.push(Given::new(Cow::Owned(key.to_owned()), value));
        Ok(())
    }

    /// A `KeyValue`; `None` where it has no value.
    fn pair<'a>(&mut self, pair: &'a [u8]) -> Result<Option<(&'a str, Value)>, Unfit> {
        let (mut key, mut value) = ("", None);
        for field in Walk::over(pair) {
            let field = field.map_err(|_| DecodeError::Truncated { part: "attribute" })?;
            match (field.number, field.held) {
                (1, Held::Bytes(bytes)) => key = utf8(bytes, "key of an attribute")?,
                (2, Held::Bytes(bytes)) => value = self.value(bytes, 0)?,
                _ => {}
            }
        }
        if key.len() > MAX_NAME {
            return Err(Unfit::TooLarge { what: "a key of more than 256 bytes" });
        }
        Ok(value.map(|value| (key, value)))
    }

    /// An `AnyValue`; `None` where it is empty.
    fn value(&mut self, bytes: &[u8], depth: usize) -> Result<Option<Value>, Unfit> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Unfit::TooLarge { what: "more than 8192 values" });
        }
        if depth > MAX_DEPTH {
            return Err(Unfit::TooLarge { what: "values nested more than 8 deep" });
        }
        let mut value = None;
        for field in Walk::over(bytes) {
            let field = field.map_err(|_| DecodeError::Truncated { part: "value" })?;
            value = match (field.number, field.held) {
                (1, Held::Bytes(text)) => Some(Value::from(utf8(text, "text")?.to_owned())),
                (2, Held::Varint(truth)) => Some(Value::Bool(truth != 0)),
                (3, Held::Varint(number)) => Some(Value::Int(number.cast_signed())),
                (4, Held::Fixed(bits)) => <[u8; 8]>::try_from(bits)
                    .ok()
                    .map(|bits| Value::Double(f64::from_le_bytes(bits))),
                (5, Held::Bytes(list)) => Some(Value::List(self.list(list, depth)?)),
                (6, Held::Bytes(map)) => Some(Value::Map(self.map(map, depth)?)),
                // The model has no bytes; their type's name stands for them.
                (7, Held::Bytes(_)) => Some(Value::from("bytes")),
                _ => continue,
            };
        }
        Ok(value)
    }

    fn list(&mut self, list: &[u8], depth: usize) -> Result<Vec<Value>, Unfit> {
        let mut items = Vec::new();
        for item in embedded(list, 1, "list") {
            items.extend(self.value(item?, depth + 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, map: &[u8], depth: usize) -> Result<Vec<(Cow<'static, str>, Value)>, Unfit> {
        let mut pairs = Vec::new();
        for pair in embedded(map, 1, "map") {
            let pair = pair?;
            let text = embedded(pair, 1, "map").last().transpose()?.unwrap_or_default();
            let key = utf8(text, "key in a map")?;
            let value = embedded(pair, 2, "map").last().transpose()?;
            if let Some(value) = value.map(|value| self.value(value, depth + 1)).transpose()? {
                pairs.extend(value.map(|value| (Cow::Owned(key.to_owned()), value)));
            }
        }
        Ok(pairs)
    }
}

fn push_part(record: &mut Provided, part: Part, set: Vec<Given>) -> Result<(), Unfit> {
    if record.parts.len() >= MAX_PARTS {
        return Err(Unfit::TooLarge { what: "more than 1000 points, events or links" });
    }
    record.parts.push(part);
    record.sets.push(set);
    Ok(())
}

fn name_of(bytes: &[u8], name: &mut String) -> Result<(), Unfit> {
    let text = utf8(bytes, "name")?;
    if text.len() > MAX_NAME {
        return Err(Unfit::TooLarge { what: "a name of more than 256 bytes" });
    }
    text.clone_into(name);
    Ok(())
}

/// A word only: what is longer, or no word, is left out and the number says enough.
fn severity(bytes: &[u8], word: &mut String) -> Result<(), Unfit> {
    let text = utf8(bytes, "severity")?;
    if is_severity(text) {
        text.clone_into(word);
    }
    Ok(())
}

fn is_severity(text: &str) -> bool {
    text.len() <= MAX_SEVERITY && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether a text can be an id of a record and nothing else: a UUID or the like.
fn is_id(text: &str) -> bool {
    (16..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests;
