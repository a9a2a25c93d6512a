//! Where the records of a request stand in its bytes, so that one can be read without the others.
//!
//! # Invariants
//! - Places are in the order of the bytes, which is the order in which the rows were put together.

use std::ops::Range;

use candor_model::Kind;

use super::walk::fields;
use super::{DecodeError, MAX_RECORDS, Surroundings, boot_id, record, resource};
use crate::DecodedRecord;

/// Where a record stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Resource and scopes around it.
    group: Range<usize>,
    /// Scope and records around it.
    scope: Range<usize>,
    /// Its own message.
    pub record: Range<usize>,
}

/// Every record of an export request, undecoded. The three signals number these fields alike.
///
/// # Errors
/// When the bytes are no such request, or hold more than a reader takes in.
pub fn places(request: &[u8]) -> Result<Vec<Place>, DecodeError> {
    let range = |part: &[u8]| {
        let start = part.as_ptr().addr() - request.as_ptr().addr();
        start..start + part.len()
    };
    let mut places = Vec::new();
    for group in fields(request, 1, "request") {
        let group = group?;
        for scope in fields(group, 2, "resource") {
            let scope = scope?;
            for record in fields(scope, 2, "scope") {
                if places.len() >= MAX_RECORDS {
                    return Err(DecodeError::TooManyRecords);
                }
                let record = range(record?);
                places.push(Place { group: range(group), scope: range(scope), record });
            }
        }
    }
    Ok(places)
}

/// The record at a place of a request, with what it inherits from the messages around it.
///
/// # Errors
/// When the bytes are no such message; a place of another request is one of these.
pub fn decode_at(kind: Kind, request: &[u8], place: &Place) -> Result<DecodedRecord, DecodeError> {
    let part = |range: &Range<usize>, part| {
        request.get(range.clone()).ok_or(DecodeError::Truncated { part })
    };
    let boot_id = boot_id(part(&place.scope, "scope")?)?;
    let surroundings = Surroundings { boot_id, ..resource(part(&place.group, "resource")?)? };
    record(kind, part(&place.record, "record")?, &surroundings)
}

/// The name of a record's message: `event_name` of a log record, else `name`; `None` where it has none.
#[must_use]
pub fn name_of(kind: Kind, body: &[u8]) -> Option<&str> {
    let field = match kind {
        Kind::Log => 12,
        Kind::Metric => 1,
        Kind::Span => 5,
    };
    let name = fields(body, field, "record").last()?.ok()?;
    std::str::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use opentelemetry_proto::tonic::metrics::v1::Metric;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message as _;

    use super::*;
    use crate::{Part, Resource, decode_request, request_body, seal};

    #[test]
    fn a_record_is_found_by_its_place_as_it_is_in_the_whole() {
        let resource = Resource::here(Some("me".into()), "1").encode();
        let log = |name: &str| LogRecord { event_name: name.into(), ..LogRecord::default() };
        let (mut one, mut two) = (Vec::new(), Vec::new());
        seal(Kind::Log, &log("a").encode_to_vec(), 7, &mut one);
        seal(Kind::Log, &log("b").encode_to_vec(), 8, &mut one);
        seal(Kind::Log, &log("c").encode_to_vec(), 3, &mut two);
        let parts = [Part { boot: "x", rows: &[&one] }, Part { boot: "y", rows: &[&two] }];
        let request = request_body(Kind::Log, &resource, &parts);
        let places = places(&request).unwrap();
        let found: Vec<_> =
            places.iter().map(|place| decode_at(Kind::Log, &request, place).unwrap()).collect();
        assert_eq!(found, decode_request(Kind::Log, &request).unwrap());
        let seen: Vec<_> =
            found.iter().map(|r| (r.name.as_str(), r.seq, r.boot_id.as_deref())).collect();
        assert_eq!(
            seen,
            [("a", Some(7), Some("x")), ("b", Some(8), Some("x")), ("c", Some(3), Some("y"))]
        );
        assert_eq!(name_of(Kind::Log, &request[places[1].record.clone()]), Some("b"));
        assert!(decode_at(Kind::Log, &request[..request.len() - 1], &places[2]).is_err());
        assert!(super::places(&request[..request.len() - 1]).is_err());
    }

    #[test]
    fn each_kind_has_its_name_in_its_own_field() {
        let metric = Metric { name: "m".into(), ..Metric::default() }.encode_to_vec();
        let span = Span { name: "s".into(), ..Span::default() }.encode_to_vec();
        assert_eq!(name_of(Kind::Metric, &metric), Some("m"));
        assert_eq!(name_of(Kind::Span, &span), Some("s"));
        assert_eq!(name_of(Kind::Log, &[]), None);
        assert_eq!(name_of(Kind::Log, &[0xff; 20]), None);
    }
}
