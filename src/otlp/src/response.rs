//! The answer to an export request: whether the receiver refused some of it.
//!
//! ```text
//! Export…ServiceResponse { 1: partial_success { 1: rejected (int64), 2: error_message } }
//! ```
//! The three signals number these fields alike, so the logs' message serves them all.
//!
//! # Invariants
//! - Of a metrics request the receiver counts data points, not metrics; who keeps the ledger must
//!   translate.
//! - A negative count, which no receiver may send, is none.

use candor_model::Kind;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use prost::Message;

use crate::wire::push_bytes;

/// What the receiver refused for good, though it accepted the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Refused log records, data points or spans.
    pub rejected: u64,
    /// The receiver's words; also a mere warning, when nothing was rejected.
    pub error_message: String,
}

impl PartialSuccess {
    /// Everything was accepted and nothing was said.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rejected == 0 && self.error_message.is_empty()
    }
}

/// A response body that is no OTLP response.
#[derive(Debug, thiserror::Error)]
#[error("the answer to a {} request is no OTLP response", kind.name())]
pub struct ResponseError {
    /// The signal of the request.
    pub kind: Kind,
    /// What is wrong with the bytes.
    #[source]
    pub source: prost::DecodeError,
}

/// The bytes of a response; empty when everything was accepted, as OTLP asks.
#[must_use]
pub fn encode_response(_kind: Kind, answer: &PartialSuccess) -> Vec<u8> {
    let partial_success = (!answer.is_full()).then(|| ExportLogsPartialSuccess {
        rejected_log_records: i64::try_from(answer.rejected).unwrap_or(i64::MAX),
        error_message: answer.error_message.clone(),
    });
    ExportLogsServiceResponse { partial_success }.encode_to_vec()
}

/// The body of a refusal as OTLP over HTTP has it: `google.rpc.Status` with one of google/rpc/code.proto.
#[must_use]
pub fn encode_status(code: u8, message: &str) -> Vec<u8> {
    let mut bytes = vec![1 << 3, code];
    push_bytes(2, message.as_bytes(), &mut bytes);
    bytes
}

/// Reads a response.
///
/// # Errors
/// When the bytes are no OTLP response.
pub fn decode_response(kind: Kind, bytes: &[u8]) -> Result<PartialSuccess, ResponseError> {
    let response = ExportLogsServiceResponse::decode(bytes)
        .map_err(|source| ResponseError { kind, source })?;
    let partial = response.partial_success.unwrap_or_default();
    Ok(PartialSuccess {
        rejected: u64::try_from(partial.rejected_log_records).unwrap_or(0),
        error_message: partial.error_message,
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };

    use super::*;

    #[test]
    fn an_answer_reads_back_and_full_success_is_empty() {
        let answer = PartialSuccess { rejected: 3, error_message: "no".to_owned() };
        for kind in Kind::ALL {
            let bytes = encode_response(kind, &answer);
            assert_eq!(decode_response(kind, &bytes).unwrap(), answer);
        }
        assert_eq!(encode_response(Kind::Log, &PartialSuccess::default()), Vec::<u8>::new());
        assert!(decode_response(Kind::Log, &[]).unwrap().is_full());
    }

    #[test]
    fn the_metrics_and_the_trace_answer_have_the_same_shape() {
        let metrics = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points: 5,
                error_message: "m".to_owned(),
            }),
        };
        let traces = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: -1,
                error_message: "t".to_owned(),
            }),
        };
        let metrics = decode_response(Kind::Metric, &metrics.encode_to_vec()).unwrap();
        let traces = decode_response(Kind::Span, &traces.encode_to_vec()).unwrap();
        assert_eq!((metrics.rejected, metrics.error_message.as_str()), (5, "m"));
        assert_eq!((traces.rejected, traces.error_message.as_str()), (0, "t"));
    }

    #[test]
    fn what_is_no_response_is_said_to_be_none() {
        let error = decode_response(Kind::Log, b"<html>").unwrap_err();
        assert_eq!(error.to_string(), "the answer to a log request is no OTLP response");
    }
}
