//! OTLP's messages as JSON names them: name, number and type of each field.
//!
//! # Invariants
//! - The tables name every field of OTLP 1.x but those that are marked as reserved or deprecated.

use candor_model::Kind;

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in JSON.
    pub(super) name: &'static str,
    pub(super) number: u8,
    pub(super) kind: Type,
    pub(super) is_list: bool,
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    Text,
    Bool,
    Varint,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    /// An id.
    Hex,
    /// Bytes.
    Base64,
    Message(&'static [Field]),
}

impl Type {
    /// What stands in JSON.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Bool => "true or false",
            Self::Varint | Self::Sint32 | Self::Fixed32 | Self::Fixed64 | Self::Sfixed64 => {
                "a whole number"
            }
            Self::Double => "a number",
            Self::Hex => "an id in hexadecimal",
            Self::Base64 => "bytes in base64",
            Self::Message(_) => "an object",
        }
    }
}

/// The fields of the signal's export request.
pub(super) const fn request(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Log => LOGS,
        Kind::Metric => METRICS,
        Kind::Span => TRACES,
    }
}

const fn one(number: u8, name: &'static str, kind: Type) -> Field {
    Field { name, number, kind, is_list: false }
}

const fn list(number: u8, name: &'static str, kind: Type) -> Field {
    Field { name, number, kind, is_list: true }
}

use Type::{Base64, Bool, Double, Fixed32, Fixed64, Hex, Message, Sfixed64, Sint32, Text, Varint};

static LOGS: &[Field] = &[list(1, "resourceLogs", Message(RESOURCE_LOGS))];
static RESOURCE_LOGS: &[Field] =
    &[one(1, "resource", Message(RESOURCE)), list(2, "scopeLogs", Message(SCOPE_LOGS))];
static SCOPE_LOGS: &[Field] =
    &[one(1, "scope", Message(SCOPE)), list(2, "logRecords", Message(LOG))];
static METRICS: &[Field] = &[list(1, "resourceMetrics", Message(RESOURCE_METRICS))];
static RESOURCE_METRICS: &[Field] =
    &[one(1, "resource", Message(RESOURCE)), list(2, "scopeMetrics", Message(SCOPE_METRICS))];
static SCOPE_METRICS: &[Field] =
    &[one(1, "scope", Message(SCOPE)), list(2, "metrics", Message(METRIC))];
static TRACES: &[Field] = &[list(1, "resourceSpans", Message(RESOURCE_SPANS))];
static RESOURCE_SPANS: &[Field] =
    &[one(1, "resource", Message(RESOURCE)), list(2, "scopeSpans", Message(SCOPE_SPANS))];
static SCOPE_SPANS: &[Field] = &[one(1, "scope", Message(SCOPE)), list(2, "spans", Message(SPAN))];

static RESOURCE: &[Field] = &[list(1, "attributes", Message(&PAIR))];
static SCOPE: &[Field] =
    &[one(1, "name", Text), one(2, "version", Text), list(3, "attributes", Message(&PAIR))];
static PAIR: [Field; 2] = [one(1, "key", Text), one(2, "value", Message(&VALUE))];
static VALUE: [Field; 7] = [
    one(1, "stringValue", Text),
    one(2, "boolValue", Bool),
    one(3, "intValue", Varint),
    one(4, "doubleValue", Double),
    one(5, "arrayValue", Message(&[list(1, "values", Message(&VALUE))])),
    one(6, "kvlistValue", Message(&[list(1, "values", Message(&PAIR))])),
    one(7, "bytesValue", Base64),
];

static LOG: &[Field] = &[
    one(1, "timeUnixNano", Fixed64),
    one(2, "severityNumber", Varint),
    one(3, "severityText", Text),
    one(5, "body", Message(&VALUE)),
    list(6, "attributes", Message(&PAIR)),
    one(7, "droppedAttributesCount", Varint),
    one(8, "flags", Fixed32),
    one(9, "traceId", Hex),
    one(10, "spanId", Hex),
    one(11, "observedTimeUnixNano", Fixed64),
    one(12, "eventName", Text),
];

static SPAN: &[Field] = &[
    one(1, "traceId", Hex),
    one(2, "spanId", Hex),
    one(3, "traceState", Text),
    one(4, "parentSpanId", Hex),
    one(5, "name", Text),
    one(6, "kind", Varint),
    one(7, "startTimeUnixNano", Fixed64),
    one(8, "endTimeUnixNano", Fixed64),
    list(9, "attributes", Message(&PAIR)),
    one(10, "droppedAttributesCount", Varint),
    list(
        11,
        "events",
        Message(&[
            one(1, "timeUnixNano", Fixed64),
            one(2, "name", Text),
            list(3, "attributes", Message(&PAIR)),
            one(4, "droppedAttributesCount", Varint),
        ]),
    ),
    one(12, "droppedEventsCount", Varint),
    list(
        13,
        "links",
        Message(&[
            one(1, "traceId", Hex),
            one(2, "spanId", Hex),
            one(3, "traceState", Text),
            list(4, "attributes", Message(&PAIR)),
            one(5, "droppedAttributesCount", Varint),
            one(6, "flags", Fixed32),
        ]),
    ),
    one(14, "droppedLinksCount", Varint),
    one(15, "status", Message(&[one(2, "message", Text), one(3, "code", Varint)])),
    one(16, "flags", Fixed32),
];

static METRIC: &[Field] = &[
    one(1, "name", Text),
    one(2, "description", Text),
    one(3, "unit", Text),
    one(5, "gauge", Message(&[list(1, "dataPoints", Message(NUMBER))])),
    one(
        7,
        "sum",
        Message(&[
            list(1, "dataPoints", Message(NUMBER)),
            one(2, "aggregationTemporality", Varint),
            one(3, "isMonotonic", Bool),
        ]),
    ),
    one(
        9,
        "histogram",
        Message(&[
            list(1, "dataPoints", Message(HISTOGRAM)),
            one(2, "aggregationTemporality", Varint),
        ]),
    ),
    one(
        10,
        "exponentialHistogram",
        Message(&[
            list(1, "dataPoints", Message(EXPONENTIAL)),
            one(2, "aggregationTemporality", Varint),
        ]),
    ),
    one(11, "summary", Message(&[list(1, "dataPoints", Message(SUMMARY))])),
    list(12, "metadata", Message(&PAIR)),
];
static NUMBER: &[Field] = &[
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "asDouble", Double),
    list(5, "exemplars", Message(EXEMPLAR)),
    one(6, "asInt", Sfixed64),
    list(7, "attributes", Message(&PAIR)),
    one(8, "flags", Varint),
];
static HISTOGRAM: &[Field] = &[
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    list(6, "bucketCounts", Fixed64),
    list(7, "explicitBounds", Double),
    list(8, "exemplars", Message(EXEMPLAR)),
    list(9, "attributes", Message(&PAIR)),
    one(10, "flags", Varint),
    one(11, "min", Double),
    one(12, "max", Double),
];
static EXPONENTIAL: &[Field] = &[
    list(1, "attributes", Message(&PAIR)),
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    one(6, "scale", Sint32),
    one(7, "zeroCount", Fixed64),
    one(8, "positive", Message(BUCKETS)),
    one(9, "negative", Message(BUCKETS)),
    one(10, "flags", Varint),
    list(11, "exemplars", Message(EXEMPLAR)),
    one(12, "min", Double),
    one(13, "max", Double),
    one(14, "zeroThreshold", Double),
];
static BUCKETS: &[Field] = &[one(1, "offset", Sint32), list(2, "bucketCounts", Varint)];
static SUMMARY: &[Field] = &[
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    list(6, "quantileValues", Message(&[one(1, "quantile", Double), one(2, "value", Double)])),
    list(7, "attributes", Message(&PAIR)),
    one(8, "flags", Varint),
];
static EXEMPLAR: &[Field] = &[
    one(2, "timeUnixNano", Fixed64),
    one(3, "asDouble", Double),
    one(4, "spanId", Hex),
    one(5, "traceId", Hex),
    one(6, "asInt", Sfixed64),
    list(7, "filteredAttributes", Message(&PAIR)),
];
