//! Every way in which a whole request is refused, with its status and its words.
//!
//! # Invariants
//! - What another attempt can save gets 429 or 503 and a time; what can never succeed gets another
//!   4xx. OTLP's exporters try the former again and give the latter up.
//! - The words name what to change; they never repeat more of the request than one short header.

use std::time::Duration;

use candor_otlp::{DecodeError, JsonError};
use candor_spool::SpoolError;
use hyper::StatusCode;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing here: post to /v1/logs, /v1/metrics or /v1/traces")]
    Path,
    #[error("the method is wrong: use POST")]
    Method,
    #[error("web pages may not send to this agent")]
    WebPage,
    #[error("content type `{found}` is not taken: send application/x-protobuf or application/json")]
    MediaType { found: String },
    #[error("content encoding `{found}` is not taken: send zstd, gzip or none")]
    Encoding { found: String },
    #[error("the body is longer than {limit} bytes: send fewer records in one request")]
    TooLong { limit: usize },
    #[error(
        "the body is larger than {limit} bytes after decompression: send fewer records in one request"
    )]
    TooLarge { limit: usize },
    #[error("the request holds more than {limit} records: send fewer in one request")]
    TooMany { limit: usize },
    #[error("the body did not arrive within {} s", limit.as_secs())]
    Slow { limit: Duration },
    #[error("the body is incomplete")]
    Broken(#[source] hyper::Error),
    #[error("the body cannot be decompressed")]
    Compression(#[source] std::io::Error),
    #[error("the body is not the protobuf of an export request for this path")]
    Protobuf(#[source] DecodeError),
    #[error("the body is not the JSON of an export request for this path")]
    Json(#[source] JsonError),
    #[error("the agent is busy: come again")]
    Busy,
    #[error("more records than the manifest of {provider} allows: come again")]
    Rate { provider: String, wait: Duration },
    #[error("the agent's spool is full: what waits must be uploaded first")]
    Full,
    #[error("the agent cannot store records now")]
    Store(#[source] SpoolError),
}

impl Refusal {
    /// Whether the same bytes will be refused again: then they are read to their end, so that the
    /// sender sees the answer and not a reset.
    pub(crate) const fn is_for_good(&self) -> bool {
        self.retry_after().is_none()
    }

    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::WebPage => StatusCode::FORBIDDEN,
            Self::MediaType { .. } | Self::Encoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong { .. } | Self::TooLarge { .. } | Self::TooMany { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) | Self::Compression(_) | Self::Protobuf(_) | Self::Json(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Busy | Self::Rate { .. } | Self::Full => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The number in `google.rpc.Status`, from google/rpc/code.proto.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Path | Self::Method => 12, // UNIMPLEMENTED
            Self::WebPage => 7,              // PERMISSION_DENIED
            Self::Slow { .. } => 4,          // DEADLINE_EXCEEDED
            Self::Store(_) => 14,            // UNAVAILABLE
            Self::TooLong { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::Busy
            | Self::Rate { .. }
            | Self::Full => 8, // RESOURCE_EXHAUSTED
            _ => 3,                          // INVALID_ARGUMENT
        }
    }

    /// When to come again, where that helps.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy => Some(Duration::from_secs(1)),
            Self::Rate { wait, .. } => Some(*wait),
            Self::Store(_) => Some(Duration::from_secs(10)),
            Self::Full => Some(Duration::from_secs(30)),
            _ => None,
        }
    }

    /// The words, with those of the cause.
    pub(crate) fn words(&self) -> String {
        let mut words = self.to_string();
        // What the store says is for the agent's own log.
        let mut cause = std::error::Error::source(self).filter(|_| !matches!(self, Self::Store(_)));
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        words
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooManyRecords => Self::TooMany { limit: candor_otlp::MAX_RECORDS },
            error => Self::Protobuf(error),
        }
    }
}
