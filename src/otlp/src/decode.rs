//! Requests, frames and bodies back to records: for the collector, the preview and the tests.
//!
//! The enclosing messages are walked by hand and each record is decoded alone, so that a small
//! hostile body cannot unfold into a large request in memory.
//!
//! # Invariants
//! - No input panics; nesting is bounded by prost (100 messages deep), so recursion here is too.
//! - At most [`MAX_RECORDS`] records of at most [`MAX_RECORD_BYTES`] each are taken in.
//! - One malformed record fails the whole request: the sender splits it until that one is alone.

use std::sync::Arc;

use candor_model::{Kind, Value};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::frame::split_frame;
use crate::{DecodedRecord, ResourceAttributes, keys};

mod message;
mod value;
mod walk;

use value::{pairs, take_text};
use walk::fields;

/// Most records that one request may hold.
pub const MAX_RECORDS: usize = 65_536;
/// Most bytes that one record, resource or scope may have.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Why bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Bytes that are not the message they should be.
    #[error("the {part} is no valid OTLP protobuf")]
    Malformed {
        /// Which part of the request.
        part: &'static str,
        /// What is wrong with the bytes.
        #[source]
        source: prost::DecodeError,
    },
    /// Lengths or field keys that do not fit the bytes.
    #[error("the {part} is cut off or has an impossible field; send whole OTLP protobuf messages")]
    Truncated {
        /// Which part of the request.
        part: &'static str,
    },
    /// More than a receiver wants to hold at once.
    #[error("the request holds more than {MAX_RECORDS} records; send it in parts")]
    TooManyRecords,
    /// A part that is too large.
    #[error("the {part} has {bytes} bytes; at most {MAX_RECORD_BYTES} are taken")]
    TooLarge {
        /// Which part of the request.
        part: &'static str,
        /// Its size.
        bytes: usize,
    },
}

/// What a record inherits from the messages around it.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    resource: ResourceAttributes,
    install_id: Option<String>,
    boot_id: Option<String>,
}

/// Every record of an export request, in order.
///
/// # Errors
/// When the bytes are no such request, or hold more than this reader takes in.
pub fn decode_request(kind: Kind, bytes: &[u8]) -> Result<Vec<DecodedRecord>, DecodeError> {
    let mut records = Vec::new();
    decode_each(kind, bytes, |record| {
        records.push(record);
        Ok::<_, DecodeError>(())
    })?;
    Ok(records)
}

/// Gives each record of an export request to `visit`, in order, so that only one is in memory.
///
/// # Errors
/// As [`decode_request`], after the records before the fault were visited; or what `visit` says.
pub fn decode_each<E, V>(kind: Kind, bytes: &[u8], mut visit: V) -> Result<(), E>
where
    E: From<DecodeError>,
    V: FnMut(DecodedRecord) -> Result<(), E>,
{
    let mut count = 0;
    for group in fields(bytes, 1, "request") {
        let group = group?;
        let resource = resource(group)?;
        for scope in fields(group, 2, "resource") {
            let scope = scope?;
            let surroundings = Surroundings { boot_id: boot_id(scope)?, ..resource.clone() };
            for body in fields(scope, 2, "scope") {
                count += 1;
                if count > MAX_RECORDS {
                    return Err(DecodeError::TooManyRecords.into());
                }
                visit(record(kind, body?, &surroundings)?)?;
            }
        }
    }
    Ok(())
}

/// The record of one frame, as it stands in a stored row.
///
/// # Errors
/// When the bytes are not exactly one frame.
pub fn decode_frame(kind: Kind, frame: &[u8]) -> Result<DecodedRecord, DecodeError> {
    match split_frame(frame) {
        Some((body, [])) => decode_body(kind, body),
        _ => Err(DecodeError::Truncated { part: "frame" }),
    }
}

/// The record of one message: a draft's body, or what a frame holds.
///
/// # Errors
/// When the bytes are no such message.
pub fn decode_body(kind: Kind, body: &[u8]) -> Result<DecodedRecord, DecodeError> {
    record(kind, body, &Surroundings::default())
}

fn record(
    kind: Kind,
    body: &[u8],
    surroundings: &Surroundings,
) -> Result<DecodedRecord, DecodeError> {
    let mut record = match kind {
        Kind::Log => message::log(parse(body, "log record")?),
        Kind::Metric => message::metric(parse(body, "metric")?),
        Kind::Span => message::span(parse(body, "span")?),
    };
    record.resource = Arc::clone(&surroundings.resource);
    record.install_id.clone_from(&surroundings.install_id);
    record.boot_id.clone_from(&surroundings.boot_id);
    Ok(record)
}

fn resource(group: &[u8]) -> Result<Surroundings, DecodeError> {
    let Some(bytes) = fields(group, 1, "resource").last().transpose()? else {
        return Ok(Surroundings::default());
    };
    let resource = pairs(parse::<Resource>(bytes, "resource")?.attributes);
    let install_id = resource.iter().rev().find_map(|(key, value)| match value {
        Value::Text(id) if key == keys::INSTALL_ID => Some(id.clone().into_owned()),
        _ => None,
    });
    Ok(Surroundings { resource: resource.into(), install_id, boot_id: None })
}

fn boot_id(scope: &[u8]) -> Result<Option<String>, DecodeError> {
    let Some(bytes) = fields(scope, 1, "scope").last().transpose()? else {
        return Ok(None);
    };
    let mut attributes = pairs(parse::<InstrumentationScope>(bytes, "scope")?.attributes);
    Ok(take_text(&mut attributes, keys::BOOT_ID))
}

fn parse<M: Message + Default>(bytes: &[u8], part: &'static str) -> Result<M, DecodeError> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(DecodeError::TooLarge { part, bytes: bytes.len() });
    }
    M::decode(bytes).map_err(|source| DecodeError::Malformed { part, source })
}
