//! The way in for bytes: which requests are read at all, how much of a body, and how much comes out
//! of its compression. First step of every export request; gives [`crate::export`] plain protobuf.
//!
//! ```text
//! headers --admit--> Encoding      read_body --> compressed bytes      inflate --> protobuf
//!   415, 413                         413, 408, 400, 503                  413, 400
//! ```
//!
//! # Invariants
//! - A body never holds more than [`Limits::body`] bytes, and all bodies together never more than
//!   [`Limits::bodies`]; what is beyond is answered, never buffered.
//! - Decompression stops at [`Limits::inflated`] bytes whatever the stream promises: the output is
//!   counted, the header's size is not believed.
//! - A zstd stream may ask for a window of at most 8 MiB (RFC 9659), gzip's is 32 KiB.
//!
//! On failure nothing was decoded, and the answer says what the sender must change.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// Largest power of two of a zstd window: 8 MiB, what RFC 9659 lets a receiver insist on.
const ZSTD_WINDOW_LOG: u32 = 23;
/// The budget of all bodies is counted in these units, since a semaphore counts in `u32`.
const UNIT: usize = 1024;
/// How much of a refused body is still read, so that the sender sees the answer and not a reset.
const DISCARDED: usize = 64 << 20;
/// How long a refused body is still read.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// How much one sender, and all of them together, may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one body as it comes over the wire.
    pub body: usize,
    /// Bytes of one body after decompression.
    pub inflated: usize,
    /// Bytes of all bodies that are being read.
    pub bodies: usize,
    /// Time in which a body must have arrived.
    pub body_time: Duration,
    /// Requests that are decompressed and decoded at the same time; one takes up at most some
    /// 200 MB, if it is made to.
    pub requests: usize,
    /// How long a request waits for its turn to be decoded before it gets a 503.
    pub turn: Duration,
    /// Connections at the same time; further ones wait in the system's queue.
    pub connections: usize,
    /// Time in which a TLS handshake must be done.
    pub handshake: Duration,
    /// Time in which the headers of a request must have arrived; also how long an idle connection
    /// is kept.
    pub headers: Duration,
    /// How long a stopping server waits for the requests under way.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            inflated: 32 << 20,
            bodies: 64 << 20,
            body_time: Duration::from_secs(30),
            requests: 2,
            turn: Duration::from_secs(10),
            connections: 512,
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952, also in several members.
    Gzip,
    /// RFC 8878, also in several frames.
    Zstd,
}

/// A compressed body with its share of the budget, which it gives back when dropped.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    encoding: Encoding,
    shares: Vec<OwnedSemaphorePermit>,
}

/// Reads bodies within one common budget.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    limits: Limits,
    budget: Arc<Semaphore>,
}

impl Intake {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, budget: Arc::new(Semaphore::new(limits.bodies / UNIT)) }
    }

    /// The whole body, if its headers and its length are acceptable. A refused body is read to its
    /// end, within bounds, so that the sender gets to see the answer.
    pub(crate) async fn receive(
        &self,
        headers: &HeaderMap,
        mut body: Body,
    ) -> Result<Received, Refusal> {
        let received = match admit(headers, self.limits.body) {
            Ok(encoding) => self.read_in_time(encoding, &mut body).await,
            Err(refusal) => Err(refusal),
        };
        if matches!(&received, Err(refusal) if refusal.is_the_senders()) {
            // Whether it ends in time is of no concern: the answer is the same.
            tokio::time::timeout(DISCARD_TIME, discard(body)).await.ok();
        }
        received
    }

    async fn read_in_time(&self, encoding: Encoding, body: &mut Body) -> Result<Received, Refusal> {
        tokio::time::timeout(self.limits.body_time, self.read(encoding, body))
            .await
            .map_err(|_| Refusal::Slow { limit: self.limits.body_time })?
    }

    async fn read(&self, encoding: Encoding, body: &mut Body) -> Result<Received, Refusal> {
        let mut received = Received { bytes: Vec::new(), encoding, shares: Vec::new() };
        let mut room = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| Refusal::Broken { source })?;
            let Ok(data) = frame.into_data() else { continue };
            let length = received.bytes.len() + data.len();
            if length > self.limits.body {
                return Err(Refusal::TooLong { limit: self.limits.body });
            }
            if length > room {
                // Doubling, as `Vec` grows: what it may hold is what is paid for.
                let wanted = length.max(room * 2).min(self.limits.body).next_multiple_of(UNIT);
                received.shares.push(self.share(wanted - room)?);
                received.bytes.reserve_exact(wanted - received.bytes.len());
                room = wanted;
            }
            received.bytes.extend_from_slice(&data);
        }
        Ok(received)
    }

    /// A share of the budget, at once or not at all: who waited here would hold what others need.
    fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        Arc::clone(&self.budget).try_acquire_many_owned(units).map_err(|_| Refusal::Busy)
    }
}

impl Received {
    /// The protobuf bytes, at most `limit` of them.
    pub(crate) fn inflate(self, limit: usize) -> Result<Vec<u8>, Refusal> {
        let broken = |source| Refusal::Compression { source };
        match self.encoding {
            Encoding::Identity if self.bytes.len() > limit => Err(Refusal::TooLarge { limit }),
            Encoding::Identity => Ok(self.bytes),
            Encoding::Gzip => {
                read_bounded(flate2::read::MultiGzDecoder::new(self.bytes.as_slice()), limit)
            }
            Encoding::Zstd => {
                let mut reader = zstd::stream::read::Decoder::with_buffer(self.bytes.as_slice())
                    .map_err(broken)?;
                reader.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
                read_bounded(reader, limit)
            }
        }
    }
}

/// Reads to the end, or to one byte beyond `limit`.
fn read_bounded(reader: impl Read, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let beyond = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(beyond)
        .read_to_end(&mut bytes)
        .map_err(|source| Refusal::Compression { source })?;
    if bytes.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(bytes) }
}

/// Whether a request with these headers is read at all, and how its body is compressed.
fn admit(headers: &HeaderMap, limit: usize) -> Result<Encoding, Refusal> {
    let text = |name| headers.get(name).map_or(Ok(""), |value| value.to_str().map_err(|_| ()));
    let media = text(header::CONTENT_TYPE).unwrap_or("?");
    let essence = media.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(Refusal::MediaType { found: shown(essence) });
    }
    let encoding = text(header::CONTENT_ENCODING).unwrap_or("?").trim();
    let encoding = match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => Encoding::Identity,
        "gzip" | "x-gzip" => Encoding::Gzip,
        "zstd" => Encoding::Zstd,
        _ => return Err(Refusal::Encoding { found: shown(encoding) }),
    };
    let length = text(header::CONTENT_LENGTH).ok().and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(Refusal::TooLong { limit });
    }
    Ok(encoding)
}

/// A header's value as an answer may repeat it.
fn shown(value: &str) -> String {
    value.chars().take(64).collect()
}

async fn discard(mut body: Body) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > DISCARDED {
            break;
        }
    }
}
