//! Frames: how a record stands in a stored row and in a request.
//!
//! ```text
//! frame = 0x12 | varint length | body | candor.seq
//!         field 2, length-delimited     field 6 (log), 12 (metric) or 9 (span): a KeyValue
//! ```
//! The sequence number is known only when the row commits, after the body was encoded; since
//! attributes are a repeated field, it is appended to the message.
//!
//! # Invariants
//! - A frame is at once a whole element of the enclosing OTLP list; a row is a run of frames.
//! - [`frame_len`] never reads beyond the row; `None` says that the row is damaged there.

use candor_model::{Kind, Scalar};

use crate::keys;
use crate::wire::{plain_pair_len, push_plain_pair};

/// Field 2, length-delimited: `log_records`, `metrics` and `spans` of their scopes alike.
pub(crate) const ELEMENT: u8 = 2 << 3 | 2;

/// Appends the frame of `body` with the number `seq` to `out`. A number beyond `i64::MAX`, which
/// no host reaches, is held there, since OTLP's numbers end there.
pub fn seal(kind: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
    let seq = Scalar::Int(i64::try_from(seq).unwrap_or(i64::MAX));
    let appended = plain_pair_len(keys::SEQ, seq);
    out.reserve(body.len() + appended + 8);
    out.push(ELEMENT);
    push_length(body.len() + appended, out);
    out.extend_from_slice(body);
    push_plain_pair(attributes(kind), keys::SEQ, seq, out);
}

/// The body that was sealed into a frame with this number; `None` when it is another one.
#[must_use]
pub fn unseal(kind: Kind, frame: &[u8], seq: u64) -> Option<&[u8]> {
    let (message, rest) = split_frame(frame)?;
    let mut tail = Vec::new();
    seal(kind, &[], seq, &mut tail);
    let (tail, _) = split_frame(&tail)?;
    message.strip_suffix(tail).filter(|_| rest.is_empty())
}

/// Length of the first frame of a row; `None` when there is none: the row is damaged there.
/// The kind changes nothing, since all three stand in field 2.
#[must_use]
pub fn frame_len(_kind: Kind, row: &[u8]) -> Option<usize> {
    split_frame(row).map(|(_, rest)| row.len() - rest.len())
}

/// The message inside the first frame, and what follows the frame.
pub(crate) fn split_frame(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = row.strip_prefix(&[ELEMENT])?;
    let length = prost::decode_length_delimiter(&mut rest).ok()?;
    rest.split_at_checked(length)
}

/// The field of the list of attributes; of a metric that of its metadata.
const fn attributes(kind: Kind) -> u8 {
    match kind {
        Kind::Log => 6,
        Kind::Metric => 12,
        Kind::Span => 9,
    }
}

/// Appends a varint length.
pub(crate) fn push_length(length: usize, out: &mut Vec<u8>) {
    // Writing to a `Vec` has no bound that could be hit, so there is no error to tell.
    let _ = prost::encode_length_delimiter(length, out);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::{Metric, ScopeMetrics};
    use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};

    use prost::Message as _;

    use super::*;
    use crate::encode::{int, text};

    #[test]
    fn a_sealed_log_record_is_an_element_of_its_scope_with_its_number_appended() {
        let record = LogRecord { attributes: vec![text("a", "b")], ..LogRecord::default() };
        let mut row = Vec::new();
        seal(Kind::Log, &record.encode_to_vec(), 7, &mut row);
        seal(Kind::Log, &record.encode_to_vec(), 300, &mut row);
        let scope = ScopeLogs::decode(row.as_slice()).unwrap();
        let attributes: Vec<_> =
            scope.log_records.iter().map(|record| record.attributes.clone()).collect();
        assert_eq!(attributes[0], [text("a", "b"), int(keys::SEQ, 7)]);
        assert_eq!(attributes[1], [text("a", "b"), int(keys::SEQ, 300)]);
    }

    #[test]
    fn a_metric_has_its_number_in_the_metadata_and_a_span_in_the_attributes() {
        let (mut metrics, mut spans) = (Vec::new(), Vec::new());
        seal(Kind::Metric, &Metric::default().encode_to_vec(), 1, &mut metrics);
        seal(Kind::Span, &Span::default().encode_to_vec(), 2, &mut spans);
        let metrics = ScopeMetrics::decode(metrics.as_slice()).unwrap().metrics;
        let spans = ScopeSpans::decode(spans.as_slice()).unwrap().spans;
        assert_eq!(metrics[0].metadata, [int(keys::SEQ, 1)]);
        assert_eq!(spans[0].attributes, [int(keys::SEQ, 2)]);
    }

    #[test]
    fn what_was_sealed_comes_out_again_by_its_own_number_only() {
        for kind in Kind::ALL {
            let body = vec![0x0a; 300];
            let mut frame = Vec::new();
            seal(kind, &body, 7, &mut frame);
            assert_eq!(unseal(kind, &frame, 7), Some(&body[..]));
            assert_eq!(unseal(kind, &frame, 8), None);
            assert_eq!(unseal(kind, &frame[..frame.len() - 1], 7), None);
            frame.push(ELEMENT);
            assert_eq!(unseal(kind, &frame, 7), None);
        }
    }

    #[test]
    fn frames_are_walked_one_by_one_and_a_cut_row_is_seen() {
        let mut row = Vec::new();
        seal(Kind::Log, &[], 1, &mut row);
        let first = row.len();
        seal(Kind::Log, &vec![0x0a; 1000], 2, &mut row);
        assert_eq!(frame_len(Kind::Log, &row), Some(first));
        assert_eq!(frame_len(Kind::Log, &row[first..]), Some(row.len() - first));
        for cut in first + 1..row.len() {
            assert_eq!(frame_len(Kind::Log, &row[first..cut]), None, "{cut}");
        }
        assert_eq!(frame_len(Kind::Log, &[]), None);
        assert_eq!(frame_len(Kind::Log, &[0x0a, 0]), None);
        assert_eq!(frame_len(Kind::Log, &[ELEMENT, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
