//! Answers as OTLP over HTTP has them, in the encoding of the request.
//!
//! ```text
//! 200  Export…ServiceResponse, empty or with a partial success
//! 4xx  google.rpc.Status { 1: code, 2: message }; plain text where the request was no OTLP at all
//! ```
//!
//! # Invariants
//! - An answer that asks to come again says when, in whole seconds, one at least.

use candor_model::Kind;
use candor_otlp::{PartialSuccess, encode_response};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::refusal::Refusal;

pub(crate) type Answer = Response<Full<Bytes>>;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The request was taken, but for what the partial success says.
pub(crate) fn taken(kind: Kind, partial: &PartialSuccess, is_json: bool) -> Answer {
    let (media, body) = if is_json {
        (JSON, json_response(kind, partial).into_bytes())
    } else {
        (PROTOBUF, encode_response(kind, partial))
    };
    answer(StatusCode::OK, media, body)
}

fn json_response(kind: Kind, partial: &PartialSuccess) -> String {
    if partial.is_full() {
        return "{}".to_owned();
    }
    let rejected = match kind {
        Kind::Log => "rejectedLogRecords",
        Kind::Metric => "rejectedDataPoints",
        Kind::Span => "rejectedSpans",
    };
    let count = partial.rejected.to_string();
    let words = partial.error_message.as_str();
    json!({ "partialSuccess": { rejected: count, "errorMessage": words } }).to_string()
}

/// The request was not taken; `None` is a request of no encoding that is known.
pub(crate) fn refused(refusal: &Refusal, is_json: Option<bool>) -> Answer {
    let (words, code) = (refusal.words(), refusal.code());
    let (media, body) = match is_json {
        Some(false) => (PROTOBUF, candor_otlp::encode_status(code, &words)),
        Some(true) => (JSON, json!({ "code": code, "message": words }).to_string().into_bytes()),
        None => (TEXT, format!("{words}\n").into_bytes()),
    };
    let mut answer = answer(refusal.status(), media, body);
    if let Some(wait) = refusal.retry_after() {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
            answer.headers_mut().insert(RETRY_AFTER, value);
        }
    }
    if matches!(refusal, Refusal::Method) {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    answer
}

fn answer(status: StatusCode, media: HeaderValue, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, media);
    answer
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn in_json_a_partial_success_has_the_signals_own_name_and_a_count_as_text() {
        let partial = PartialSuccess { rejected: 2, error_message: "no".to_owned() };
        assert_eq!(
            json_response(Kind::Metric, &partial),
            r#"{"partialSuccess":{"errorMessage":"no","rejectedDataPoints":"2"}}"#
        );
        assert_eq!(json_response(Kind::Log, &PartialSuccess::default()), "{}");
    }

    #[test]
    fn who_shall_come_again_is_told_when() {
        let wait = |refusal: &Refusal| {
            let answer = refused(refusal, Some(true));
            let header = answer.headers().get(RETRY_AFTER).cloned();
            (answer.status().as_u16(), header.map(|value| value.to_str().unwrap().to_owned()))
        };
        assert_eq!(wait(&Refusal::Busy), (429, Some("1".to_owned())));
        let soon = Refusal::Rate { provider: "cli".to_owned(), wait: Duration::from_millis(1200) };
        assert_eq!(wait(&soon), (429, Some("2".to_owned())));
        assert_eq!(wait(&Refusal::TooLong { limit: 1 }), (413, None));
        assert_eq!(wait(&Refusal::Method), (405, None));
    }
}
