//! The body of an export request, made of stored rows as they are.
//!
//! ```text
//! Export{Logs,Metrics,Trace}ServiceRequest
//!   1: Resource{Logs,Metrics,Spans}        one for each run of parts of one resource
//!        1: Resource                       the agent's, or a local program's own
//!        2: Scope{Logs,Metrics,Spans}      one for each part
//!             1: InstrumentationScope      name `candor` or the program's, attribute `candor.boot_id`
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
use crate::origin::{Origin, Source};

/// Field 1, length-delimited.
const FIRST: u8 = 1 << 3 | 2;
/// Field 2, length-delimited.
const SECOND: u8 = 2 << 3 | 2;

/// Rows of one origin.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The text that they are grouped by: see [`Origin`].
    pub boot: &'a str,
    /// Runs of frames, all of the request's kind.
    pub rows: &'a [&'a [u8]],
}

/// A part with what stands in front of its rows.
struct Scoped {
    /// The program's own; `None` is the agent's.
    resource: Option<Vec<u8>>,
    scope: Vec<u8>,
    /// Bytes of the rows.
    bytes: usize,
}

impl Scoped {
    fn of(&(boot, bytes): &(&str, usize)) -> Self {
        let origin = Origin::read(boot);
        match origin.source {
            Some(Source { resource, scope }) => Self { resource: Some(resource), scope, bytes },
            None => Self { resource: None, scope: scope(origin.boot), bytes },
        }
    }

    /// Bytes of the scope's message.
    fn len(&self) -> usize {
        field_len(self.scope.len()) + self.bytes
    }

    fn open(&self, out: &mut Vec<u8>) {
        open(SECOND, self.len(), out);
        open(FIRST, self.scope.len(), out);
        out.extend_from_slice(&self.scope);
    }
}

/// The request's bytes. `resource` is what [`Resource::encode`](crate::Resource::encode) gave; a
/// program's records stand under their own. The kind changes only the path to which the caller posts.
#[must_use]
pub fn request_body(_kind: Kind, resource: &[u8], parts: &[Part<'_>]) -> Vec<u8> {
    let length = |part: &Part<'_>| part.rows.iter().map(|row| row.len()).sum::<usize>();
    let lengths: Vec<_> = parts.iter().map(|part| (part.boot, length(part))).collect();
    let heads = request_heads(resource, &lengths);
    let all = heads.iter().map(Vec::len).chain(lengths.iter().map(|(_, bytes)| *bytes));
    let mut out = Vec::with_capacity(all.sum());
    for (head, part) in heads.iter().zip(parts) {
        out.extend_from_slice(head);
        part.rows.iter().for_each(|row| out.extend_from_slice(row));
    }
    out
}

/// For each part, given as the text that it is grouped by and the bytes of its rows, what stands
/// before these rows in a request: heads and rows in turn are [`request_body`].
#[must_use]
pub fn request_heads(resource: &[u8], parts: &[(&str, usize)]) -> Vec<Vec<u8>> {
    let scoped: Vec<_> = parts.iter().map(Scoped::of).collect();
    let mut heads = Vec::with_capacity(parts.len());
    for group in scoped.chunk_by(|a, b| a.resource == b.resource) {
        let resource = group[0].resource.as_deref().unwrap_or(resource);
        let inner: usize = group.iter().map(|part| field_len(part.len())).sum();
        let mut head = Vec::new();
        open(FIRST, field_len(resource.len()) + inner, &mut head);
        open(FIRST, resource.len(), &mut head);
        head.extend_from_slice(resource);
        for part in group {
            part.open(&mut head);
            heads.push(std::mem::take(&mut head));
        }
    }
    heads
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
    use crate::origin::{HostIds, Program};

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

    #[test]
    fn a_programs_rows_stand_under_its_own_resource_and_scope() {
        let mut row = Vec::new();
        seal(Kind::Log, &[], 1, &mut row);
        let resource = [("service.name".to_owned(), "shop".to_owned())];
        let program = Program { resource: &resource, scope: "http", scope_version: "" };
        let source = Source::of(&program, HostIds { install_id: "me", boot: "b1" });
        let label = source.label("b1");
        let own = v1::Resource::default().encode_to_vec();
        let rows = [row.as_slice()];
        let parts = ["b1", &label, &label, "b2"].map(|boot| Part { boot, rows: &rows });
        let body = request_body(Kind::Log, &own, &parts);
        assert_eq!(body.len(), body.capacity(), "the length is known before");
        let request = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
        let groups: Vec<_> = request
            .resource_logs
            .iter()
            .map(|group| {
                let scopes = group.scope_logs.iter().map(|s| s.scope.clone().unwrap().name);
                (group.resource.as_ref().unwrap().attributes.len(), scopes.collect::<Vec<_>>())
            })
            .collect();
        let named = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            groups,
            [(0, named(&["candor"])), (2, named(&["http", "http"])), (0, named(&["candor"]))]
        );
    }
}
