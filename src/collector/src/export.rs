//! One export request from its bytes to its answer: read, inflate, decode, store, answer.
//!
//! ```text
//! POST /v1/{logs,metrics,traces} -> intake -> (a turn) inflate -> decode -> rows -> store -> 200
//! ```
//!
//! # Invariants
//! - A 2xx is sent only after the records are committed, with an fsync, in the store.
//! - At most [`Limits::requests`](crate::serve::Limits) requests are unfolded at once; the others wait
//!   compressed, then get a 503. Rows that wait for the store have a budget of their own there.
//! - Decompression and decoding run on a blocking thread: one large request never delays the
//!   connections.
//!
//! On failure nothing of the request is stored and the answer is a [`Refusal`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::post;
use candor_model::Kind;
use candor_otlp::{DecodeError, PartialSuccess, decode_each, encode_response};
use tokio::sync::Semaphore;

use crate::intake::{Intake, Limits, Received};
use crate::refusal::Refusal;
use crate::row::Rows;
use crate::store::Store;

/// Rows are JSON, which is larger than protobuf; beyond this many times the limit of the body they
/// are refused as a bomb.
const ROW_BYTES_PER_BYTE: usize = 2;

/// What an export request needs.
#[derive(Debug)]
struct Exports {
    intake: Intake,
    store: Store,
    turns: Arc<Semaphore>,
    limits: Limits,
    /// What the operator was told last, so that a full store is one line in the log and not one
    /// for each request.
    is_store_failing: AtomicBool,
}

/// The three paths of OTLP/HTTP.
pub(crate) fn routes(store: Store, limits: Limits) -> Router {
    let exports = Arc::new(Exports {
        intake: Intake::new(limits),
        store,
        turns: Arc::new(Semaphore::new(limits.requests)),
        limits,
        is_store_failing: AtomicBool::new(false),
    });
    let path = |kind| {
        post(move |State(exports): State<Arc<Exports>>, request: Request| async move {
            exports.answer(kind, request).await
        })
    };
    Router::new()
        .route("/v1/logs", path(Kind::Log))
        .route("/v1/metrics", path(Kind::Metric))
        .route("/v1/traces", path(Kind::Span))
        .layer(DefaultBodyLimit::disable())
        .with_state(exports)
}

impl Exports {
    async fn answer(&self, kind: Kind, request: Request) -> Result<Response, Refusal> {
        let done = self.take_in(kind, request).await;
        self.log(&done);
        done.map(|()| accepted(kind))
    }

    fn log(&self, done: &Result<(), Refusal>) {
        let told = |failing| self.is_store_failing.swap(failing, Ordering::Relaxed);
        match done {
            Err(Refusal::Store { source }) => {
                if !told(true) {
                    let cause: &dyn std::error::Error = source;
                    tracing::error!(cause, "records are refused; their senders will come again");
                }
            }
            Err(refusal) => tracing::debug!(%refusal, "a request was refused"),
            Ok(()) => {
                if told(false) {
                    tracing::info!("records are stored again");
                }
            }
        }
    }

    async fn take_in(&self, kind: Kind, request: Request) -> Result<(), Refusal> {
        let (head, body) = request.into_parts();
        let received = self.intake.receive(&head.headers, body).await?;
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::time::timeout(self.limits.turn, turn).await;
        let Ok(Ok(turn)) = turn else { return Err(Refusal::Busy) };
        let limit = self.limits.inflated;
        // The turn goes along: if the sender leaves, this future ends and the thread does not.
        let work = move || unfold(kind, received, limit).map(|rows| (rows, turn));
        let unfolded = tokio::task::spawn_blocking(work).await;
        let (rows, turn) = unfolded.map_err(|_| Refusal::Busy)??;
        let failed = |source| Refusal::Store { source };
        // The turn is given back only when the store has room: what is unfolded is always paid for.
        let room = self.store.room(rows.bytes()).await.map_err(failed)?;
        drop(turn);
        self.store.append(rows.into_vec(), room).await.map_err(failed)
    }
}

fn accepted(kind: Kind) -> Response {
    let bytes = encode_response(kind, &PartialSuccess::default());
    let mut response = Response::new(Body::from(bytes));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    response
}

/// Compressed bytes to rows; runs where it may block.
fn unfold(kind: Kind, received: Received, limit: usize) -> Result<Rows, Refusal> {
    let bytes = received.inflate(limit)?;
    let mut rows = Rows::default();
    decode_each(kind, &bytes, |record| {
        rows.push(record).map_err(|source| Refusal::TooManyValues { source })?;
        if rows.bytes() > limit.saturating_mul(ROW_BYTES_PER_BYTE) {
            return Err(Refusal::TooLarge { limit });
        }
        Ok(())
    })?;
    Ok(rows)
}

impl From<DecodeError> for Refusal {
    fn from(source: DecodeError) -> Self {
        match source {
            DecodeError::TooManyRecords | DecodeError::TooLarge { .. } => Self::TooMany { source },
            DecodeError::Malformed { .. }
            | DecodeError::Truncated { .. }
            | DecodeError::NotUtf8 { .. } => Self::Protobuf { source },
        }
    }
}
