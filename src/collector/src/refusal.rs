//! Every way in which an export request is refused, with its status and its words. Made by
//! [`crate::intake`] and [`crate::export`], turned into the answer here and nowhere else.
//!
//! ```text
//! body of a refusal: google.rpc.Status { 1: code (int32), 2: message (string) }, as OTLP asks;
//! plain text where the request was no OTLP at all (415)
//! ```
//!
//! # Invariants
//! - A request that another attempt can save gets 408 or 503; one that can never succeed gets 400,
//!   413 or 415. Candor's own uploader splits on the former two of these and holds on the last.
//! - The words name what to change; they never repeat more of the request than one short header.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::store::StoreError;

/// What the sender is told to wait when the collector is only busy.
const RETRY_BUSY: Duration = Duration::from_secs(1);
/// What the sender is told to wait when a person has to act first.
const RETRY_STORE: Duration = Duration::from_mins(1);

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Not protobuf.
    #[error("content type `{found}` is not accepted: send application/x-protobuf")]
    MediaType {
        /// The type as sent, cut short.
        found: String,
    },
    /// A compression that is not spoken here.
    #[error("content encoding `{found}` is not accepted: send zstd, gzip or none")]
    Encoding {
        /// The encoding as sent, cut short.
        found: String,
    },
    /// Too much on the wire.
    #[error("the body is longer than {limit} bytes: send fewer records in one request")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Too much after decompression.
    #[error(
        "the body is larger than {limit} bytes after decompression: send fewer records in one request"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Too many records.
    #[error("the request holds too many records: send fewer in one request")]
    TooMany {
        /// The codec's words.
        #[source]
        source: candor_otlp::DecodeError,
    },
    /// One record that unfolds too far.
    #[error("a record is too large once it is unfolded: send smaller records")]
    TooManyValues {
        /// What there is too much of.
        #[source]
        source: crate::row::TooManyValues,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {} s", limit.as_secs())]
    Slow {
        /// The time it had.
        limit: Duration,
    },
    /// The body ended before its end.
    #[error("the body is incomplete")]
    Broken {
        /// The connection's failure.
        #[source]
        source: axum::Error,
    },
    /// The compressed stream is damaged.
    #[error("the body cannot be decompressed")]
    Compression {
        /// The decompressor's words.
        #[source]
        source: std::io::Error,
    },
    /// Not the protobuf of this path.
    #[error("the body is not the protobuf of an export request for this path")]
    Protobuf {
        /// The codec's words.
        #[source]
        source: candor_otlp::DecodeError,
    },
    /// Too much at once.
    #[error("the collector is busy")]
    Busy,
    /// The store did not take it.
    #[error("the collector cannot store records now")]
    Store {
        /// The store's failure; for the collector's own log, not for the sender.
        #[source]
        source: StoreError,
    },
}

impl Refusal {
    /// Whether the sender must change something: the same bytes will be refused again.
    pub(crate) const fn is_the_senders(&self) -> bool {
        !matches!(self, Self::Busy | Self::Store { .. } | Self::Slow { .. } | Self::Broken { .. })
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::MediaType { .. } | Self::Encoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::TooManyValues { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Broken { .. } | Self::Compression { .. } | Self::Protobuf { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Busy | Self::Store { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The number in `google.rpc.Status`, from google/rpc/code.proto.
    const fn code(&self) -> u8 {
        match self {
            Self::Busy | Self::Store { .. } => 14, // UNAVAILABLE
            Self::Slow { .. } => 4,                // DEADLINE_EXCEEDED
            Self::TooLong { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::TooManyValues { .. } => 8, // RESOURCE_EXHAUSTED
            _ => 3,                                // INVALID_ARGUMENT
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy => Some(RETRY_BUSY),
            Self::Store { source } if source.is_passing() => Some(RETRY_BUSY),
            Self::Store { .. } => Some(RETRY_STORE),
            _ => None,
        }
    }

    /// What is said to the sender: the refusal and, where the fault is in its bytes, the cause.
    fn words(&self) -> String {
        match self {
            Self::Compression { source } => format!("{self}: {source}"),
            Self::Protobuf { source } | Self::TooMany { source } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let words = self.words();
        let is_foreign = self.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let (media, body) = if is_foreign {
            ("text/plain; charset=utf-8", words.into_bytes())
        } else {
            ("application/x-protobuf", rpc_status(self.code(), &words))
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        if let Some(wait) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        response
    }
}

/// The two fields of `google.rpc.Status` that an answer has; the codes are below 128, one byte.
fn rpc_status(code: u8, message: &str) -> Vec<u8> {
    let mut bytes = vec![1 << 3, code, 2 << 3 | 2];
    let mut length = message.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap_or_default());
    bytes.extend_from_slice(message.as_bytes());
    bytes
}
