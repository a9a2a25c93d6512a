//! The way in for bytes: which requests are read at all, how much of a body, and how much comes out
//! of its compression.
//!
//! ```text
//! headers --Form::of--> Form     Bodies::receive --> compressed bytes     inflate --> OTLP
//!   403, 415, 413                  413, 408, 400, 429                       413, 400
//! ```
//!
//! # Invariants
//! - A body never holds more than [`Limits::body`] bytes, and all bodies together never more than
//!   [`Limits::bodies`]; what is beyond is answered, never buffered.
//! - Decompression stops at [`Limits::inflated`] bytes whatever the stream promises.
//! - A zstd stream may ask for a window of at most 8 MiB (RFC 9659), gzip's is 32 KiB.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::refusal::Refusal;
use crate::settings::Limits;

/// Largest power of two of a zstd window: 8 MiB, what RFC 9659 lets a receiver insist on.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Budgets are counted in these units, since a semaphore counts in `u32`.
pub(crate) const UNIT: usize = 1024;
/// How much of a refused body is still read, so that the sender sees the answer and not a reset.
const DISCARDED: usize = 16 << 20;
/// How long a refused body is still read.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// What a request's headers say of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    encoding: Encoding,
    /// JSON rather than protobuf; the answer is too.
    pub(crate) is_json: bool,
}

impl Form {
    /// Whether a request with these headers is read at all.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        // A browser says so of every page that posts; no local program does.
        if headers.contains_key(ORIGIN) {
            return Err(Refusal::WebPage);
        }
        Ok(Self { encoding: encoding(headers)?, is_json: is_json(headers)? })
    }
}

/// Whether the body is JSON; for the answer also where the rest of the headers is refused.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<bool, Refusal> {
    let media = text(headers, &CONTENT_TYPE);
    let essence = media.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-protobuf") {
        Ok(false)
    } else if essence.eq_ignore_ascii_case("application/json") {
        Ok(true)
    } else {
        Err(Refusal::MediaType { found: shown(essence) })
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let encoding = text(headers, &CONTENT_ENCODING).trim();
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        _ => Err(Refusal::Encoding { found: shown(encoding) }),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
}

/// A header's value as an answer may repeat it.
fn shown(value: &str) -> String {
    value.chars().take(64).collect()
}

/// A body with its share of the budget, which it gives back when dropped.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    shares: Vec<OwnedSemaphorePermit>,
}

/// Reads bodies within one common budget.
#[derive(Debug)]
pub(crate) struct Bodies {
    limits: Limits,
    budget: Arc<Semaphore>,
}

impl Bodies {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, budget: Arc::new(Semaphore::new(limits.bodies / UNIT)) }
    }

    /// The whole body. A refused one is read to its end, within bounds.
    pub(crate) async fn receive(&self, mut body: Incoming) -> Result<Received, Refusal> {
        let limit = self.limits.body_time;
        let received = timeout(limit, self.read(&mut body)).await;
        let received = received.unwrap_or(Err(Refusal::Slow { limit }));
        if matches!(&received, Err(refusal) if refusal.is_for_good()) {
            discard(body).await;
        }
        received
    }

    async fn read(&self, body: &mut Incoming) -> Result<Received, Refusal> {
        let limit = self.limits.body;
        let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if said > limit {
            return Err(Refusal::TooLong { limit });
        }
        let mut received = Received { bytes: Vec::new(), shares: Vec::new() };
        let mut room = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(Refusal::Broken)?.into_data() else { continue };
            let length = received.bytes.len() + data.len();
            if length > limit {
                return Err(Refusal::TooLong { limit });
            }
            if length > room {
                // Doubling, as `Vec` grows, but not beyond what was said: what may be held is paid for.
                let most = if said >= length { said } else { limit };
                let wanted = length.max(room * 2).min(most.max(length)).next_multiple_of(UNIT);
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

/// Reads a refused body on; whether it ends in time is of no concern, the answer is the same.
pub(crate) async fn discard(mut body: Incoming) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARDED {
                break;
            }
        }
    };
    timeout(DISCARD_TIME, reading).await.ok();
}

impl Received {
    /// The bytes behind the compression, at most `limit` of them.
    pub(crate) fn inflate(self, form: Form, limit: usize) -> Result<Vec<u8>, Refusal> {
        let bytes = self.bytes.as_slice();
        match form.encoding {
            Encoding::Identity => Ok(self.bytes),
            Encoding::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(bytes), limit),
            Encoding::Zstd => {
                let mut reader = zstd::stream::read::Decoder::with_buffer(bytes)
                    .map_err(Refusal::Compression)?;
                reader.window_log_max(ZSTD_WINDOW_LOG).map_err(Refusal::Compression)?;
                read_bounded(reader, limit)
            }
        }
    }
}

/// Reads to the end, or to one byte beyond `limit`.
fn read_bounded(reader: impl Read, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let beyond = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(beyond).read_to_end(&mut bytes).map_err(Refusal::Compression)?;
    if bytes.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const LIMIT: usize = 64 << 10;

    fn inflated(encoding: Encoding, bytes: &[u8]) -> Option<usize> {
        let received = Received { bytes: bytes.to_vec(), shares: Vec::new() };
        let form = Form { encoding, is_json: false };
        let length = received.inflate(form, LIMIT).ok()?.len();
        assert!(encoding == Encoding::Identity || length <= LIMIT, "{length} bytes came out");
        (length > 0).then_some(length)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        let plain = b"0123456789 and so on, and so on, and so on".repeat(20);
        let bomb = vec![0; 16 << 20];
        let packed = [
            gzip(&plain),
            gzip(&bomb),
            zstd::encode_all(&*plain, 1).unwrap(),
            zstd::encode_all(&*bomb, 19).unwrap(),
        ];
        bytes("body::inflate", Says::Derived("what was packed"), &packed, |body: &[u8]| {
            [Encoding::Identity, Encoding::Gzip, Encoding::Zstd].map(|it| inflated(it, body))
        });
        assert_eq!(inflated(Encoding::Gzip, &packed[0]), Some(plain.len()));
        assert_eq!(inflated(Encoding::Gzip, &packed[1]), None, "a bomb is refused");
        assert_eq!(inflated(Encoding::Zstd, &packed[3]), None, "a bomb is refused");
    }
}
