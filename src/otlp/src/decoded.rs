//! A record as a reader sees it: ours or a foreign sender's.
//!
//! # Invariants
//! - What Candor's own records carry (`candor.*`, `log.record.uid`) stands in fields of its own
//!   and not among the attributes.
//! - Whatever a foreign sender left out is `None` or empty, never invented.

use std::sync::Arc;

use candor_model::{ExponentialHistogram, Instrument, Kind, Level, UnixNanos, Value};

/// The attributes of a resource, shared by the records that came under it.
pub type ResourceAttributes = Arc<[(String, Value)]>;

/// One log record, metric or span.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedRecord {
    /// Which of the three.
    pub kind: Kind,
    /// `event_name` of a log record (empty in plain logs), name of a metric or a span.
    pub name: String,
    /// When it happened, else when it was observed; of a metric its last point's time; of a span
    /// its start. Zero when the sender did not say.
    pub time: UnixNanos,
    /// `service.instance.id` of the resource.
    pub install_id: Option<String>,
    /// `candor.boot_id` of the scope.
    pub boot_id: Option<String>,
    /// `candor.seq`.
    pub seq: Option<u64>,
    /// `log.record.uid`.
    pub uid: Option<String>,
    /// `candor.level`.
    pub level: Option<Level>,
    /// Its own attributes, in the sender's order; of a metric its metadata.
    pub attributes: Vec<(String, Value)>,
    /// UCUM unit of a metric.
    pub unit: Option<String>,
    /// Instrument of a metric, as far as its data tell.
    pub instrument: Option<Instrument>,
    /// Points of a metric.
    pub points: Vec<DecodedPoint>,
    /// Trace id of a log record or a span, 32 lower-case hexadecimal digits.
    pub trace_id: Option<String>,
    /// Span id of a log record or a span, 16 lower-case hexadecimal digits.
    pub span_id: Option<String>,
    /// What only plain logs have.
    pub log: Option<LogFacts>,
    /// What only spans have.
    pub span: Option<SpanFacts>,
    /// The attributes of the resource that it came under; empty for a single frame.
    pub resource: ResourceAttributes,
}

/// What a log record may have beside its attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFacts {
    /// OTLP's severity number, 0 when not said; 9 is INFO.
    pub severity: i32,
    /// The sender's own word for it.
    pub severity_text: Option<String>,
    /// The body of a plain log; Candor's events have none.
    pub body: Option<Value>,
}

/// What a span has beside its attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanFacts {
    /// The span that caused it.
    pub parent_span_id: Option<String>,
    /// When it ended.
    pub end: UnixNanos,
    /// OTLP's number of the kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub span_kind: i32,
    /// OTLP's number of the status: 0 unset, 1 ok, 2 error.
    pub status: i32,
    /// The message of the status.
    pub status_message: Option<String>,
    /// What happened in it.
    pub events: Vec<SpanEvent>,
    /// Spans that it has to do with and that did not cause it.
    pub links: Vec<SpanLink>,
}

/// A link of a span to another one.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    /// Trace of the other one, 32 lower-case hexadecimal digits.
    pub trace_id: Option<String>,
    /// The other one, 16 lower-case hexadecimal digits.
    pub span_id: Option<String>,
    /// Attributes of the link.
    pub attributes: Vec<(String, Value)>,
}

/// Something that happened in a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    /// Its name.
    pub name: String,
    /// When.
    pub time: UnixNanos,
    /// Its attributes.
    pub attributes: Vec<(String, Value)>,
}

/// One point of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedPoint {
    /// Its attributes.
    pub attributes: Vec<(String, Value)>,
    /// Start of the window, where the sender says one.
    pub start: Option<UnixNanos>,
    /// End of the window, or when it was read.
    pub time: UnixNanos,
    /// Its value; `None` when the sender says that there is none.
    pub value: Option<PointValue>,
    /// Measurements that stand for the others of the point.
    pub exemplars: Vec<DecodedExemplar>,
}

/// One measurement of a point, with the trace that it was made in.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedExemplar {
    /// When it was made.
    pub time: UnixNanos,
    /// What was measured: a whole number, or one with a fraction.
    pub value: Option<PointValue>,
    /// Trace that it was made in, 32 lower-case hexadecimal digits.
    pub trace_id: Option<String>,
    /// Span that it was made in, 16 lower-case hexadecimal digits.
    pub span_id: Option<String>,
    /// Attributes that the point does not have.
    pub attributes: Vec<(String, Value)>,
}

/// The value of a point.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// A base-2 exponential histogram, with the buckets of negative values where there are any.
    Exponential(Box<ExponentialHistogram>, Option<Buckets>),
    /// A histogram with explicit bounds: one count more than bounds.
    Explicit {
        /// Number of values.
        count: u64,
        /// Sum of values.
        sum: Option<f64>,
        /// Upper bounds of the buckets but the last.
        bounds: Vec<f64>,
        /// Counts of the buckets.
        counts: Vec<u64>,
    },
    /// Quantiles that the sender computed.
    Summary {
        /// Number of values.
        count: u64,
        /// Sum of values.
        sum: f64,
        /// Pairs of quantile (0 to 1) and value.
        quantiles: Vec<(f64, f64)>,
    },
}

/// Consecutive buckets of an exponential histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Index of the first.
    pub offset: i32,
    /// Their counts.
    pub counts: Vec<u64>,
}
