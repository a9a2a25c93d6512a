//! The body of an export request, made of stored rows as they are.
//!
//! ```text
//! Export{Logs,Metrics,Trace}ServiceRequest
//!   1: Resource{Logs,Metrics,Spans}
//!        1: Resource
//!        2: Scope{Logs,Metrics,Spans}      one for each part
//!             1: InstrumentationScope      name `candor`, attribute `candor.boot_id`
//!             2: frame, frame, …           the rows
//! ```
//! The three signals number these fields alike, so one function serves them all.
//!
//! # Invariants
//! - Rows are copied, never decoded: what was previewed is what is sent.

use candor_model::Kind;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use prost::Message;

use crate::encode::text;
use crate::frame::push_length;
use crate::keys;

/// Field 1, length-delimited.
const FIRST: u8 = 1 << 3 | 2;
/// Field 2, length-delimited.
const SECOND: u8 = 2 << 3 | 2;

/// Rows of one boot.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The boot id.
    pub boot: &'a str,
    /// Runs of frames, all of the request's kind.
    pub rows: &'a [&'a [u8]],
}

/// The request's bytes. `resource` is what [`Resource::encode`](crate::Resource::encode) gave.
/// The kind changes only the path to which the caller posts it.
#[must_use]
pub fn request_body(_kind: Kind, resource: &[u8], parts: &[Part<'_>]) -> Vec<u8> {
    let scopes: Vec<_> = parts.iter().map(|part| (scope(part.boot), part)).collect();
    let lengths: Vec<_> = scopes
        .iter()
        .map(|(scope, part)| {
            field_len(scope.len()) + part.rows.iter().map(|row| row.len()).sum::<usize>()
        })
        .collect();
    let inner = field_len(resource.len()) + lengths.iter().map(|n| field_len(*n)).sum::<usize>();
    let mut out = Vec::with_capacity(field_len(inner));
    open(FIRST, inner, &mut out);
    open(FIRST, resource.len(), &mut out);
    out.extend_from_slice(resource);
    for ((scope, part), length) in scopes.iter().zip(lengths) {
        open(SECOND, length, &mut out);
        open(FIRST, scope.len(), &mut out);
        out.extend_from_slice(scope);
        part.rows.iter().for_each(|row| out.extend_from_slice(row));
    }
    out
}

fn scope(boot: &str) -> Vec<u8> {
    InstrumentationScope {
        name: keys::SCOPE.to_owned(),
        attributes: vec![text(keys::BOOT_ID, boot)],
        ..InstrumentationScope::default()
    }
    .encode_to_vec()
}

fn open(key: u8, length: usize, out: &mut Vec<u8>) {
    out.push(key);
    push_length(length, out);
}

fn field_len(length: usize) -> usize {
    1 + prost::length_delimiter_len(length) + length
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::resource::v1;

    use super::*;
    use crate::frame::seal;

    #[test]
    fn concatenated_rows_are_a_request_that_generated_code_reads() {
        let resource = v1::Resource { attributes: vec![text("k", "v")], ..v1::Resource::default() };
        let (mut one, mut two) = (Vec::new(), Vec::new());
        seal(Kind::Log, &[], 1, &mut one);
        seal(Kind::Log, &[], 2, &mut one);
        seal(Kind::Log, &[], 3, &mut two);
        let body = request_body(
            Kind::Log,
            &resource.encode_to_vec(),
            &[Part { boot: "b1", rows: &[&one, &two] }, Part { boot: "b2", rows: &[&two] }],
        );
        assert_eq!(body.len(), body.capacity(), "the length is known before");
        let request = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
        let [logs] = request.resource_logs.as_slice() else { panic!("one resource") };
        assert_eq!(logs.resource.as_ref(), Some(&resource));
        let scopes: Vec<_> = logs
            .scope_logs
            .iter()
            .map(|s| (s.scope.clone().unwrap().attributes, s.log_records.len()))
            .collect();
        assert_eq!(
            scopes,
            [(vec![text(keys::BOOT_ID, "b1")], 3), (vec![text(keys::BOOT_ID, "b2")], 1)]
        );
    }
}
