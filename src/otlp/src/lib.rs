//! Events and metrics to OTLP bytes and back: one codec for the agent, the preview and the
//! collector.
//!
//! ```text
//! agent:      Record --encode--> body --seal(seq)--> frame --(spool)--> rows --request_body--> POST
//! receiver:   POST --decode_request--> DecodedRecord --json::object--> one line of NDJSON
//! ingest:     POST --groups, incoming--> Provided --(manifest, gate)--> Record --encode--> body
//!                         , plain--> Plain, where nothing is to be changed --encode_plain--> body
//! ```
//!
//! A *body* is one `LogRecord`, `Metric` or `Span` message without its sequence number. A *frame*
//! is that message with its number, as it stands inside `ScopeLogs.log_records`,
//! `ScopeMetrics.metrics` or `ScopeSpans.spans` (field 2 in all three). Protobuf's repeated fields
//! concatenate, so frames are kept as they are and a request is a header and a run of frames:
//! nothing is decoded on the way out.
//!
//! # Invariants
//! - A record is encoded once; what is previewed, kept and sent are the same bytes.
//! - No function here panics or recurses without bound, whatever bytes it is given.
//! - What the reader cannot understand is an error that names the part, never a guess.

mod decode;
mod decoded;
mod encode;
mod file;
mod frame;
mod incoming;
pub mod json;
pub mod keys;
mod origin;
mod request;
mod resource;
mod response;
mod transcode;
mod wire;

pub use decode::{
    DecodeError, MAX_RECORD_BYTES, MAX_RECORDS, Place, decode_at, decode_body, decode_each,
    decode_frame, decode_request, name_of, places,
};
pub use decoded::{
    Buckets, DecodedExemplar, DecodedPoint, DecodedRecord, LogFacts, PointValue,
    ResourceAttributes, SpanEvent, SpanFacts, SpanLink,
};
pub use encode::{Stamp, encode, encode_plain};
pub use file::{End, FileEntry, FileError, FileReader, FileWriter, Form, MAX_ENTRY};
pub use frame::{frame_len, seal, unseal};
pub use incoming::{
    Group, MAX_METRIC, MAX_RECORD, TraceIds, Unfit, event, groups, incoming, plain,
};
pub use origin::{HostIds, Origin, Program, Source};
pub use request::{Part, request_body, request_heads};
pub use resource::{Resource, arch, os_type};
pub use response::{
    PartialSuccess, ResponseError, decode_response, encode_response, encode_status,
};
pub use transcode::{JsonError, from_json};
