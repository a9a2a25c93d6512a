//! Deletes what is stored of a host when its owner asks for it, and signs that it is gone.
//!
//! ```text
//! POST /v1/deletion   {"candor_deletion": 1, "install_id": "…", "key": "…", "nonce": "…"}
//!   the key proves the id -> store.erase -> 200 with the receipt
//!   400 no such request    403 the key is not the id's    501 no receipt key here    503 come again
//! ```
//!
//! # Invariants
//! - Only the key whose hash the id is deletes: whoever has seen an id cannot.
//! - A receipt is signed after the records are gone from file and log, never before.
//! - Asked again, it answers again, with everything that was ever deleted of that host.
//! - Neither the log nor the store keeps whose records they were.
//!
//! On failure nothing is signed; asking again is safe.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use candor_model::InstallKey;
use serde::Deserialize;

use crate::receipts::{Purpose, ReceiptError, Said, Signer};
use crate::store::{self, Erased, Store, StoreError};

/// The largest request.
const MAX_BODY: usize = 4096;
/// Time in which it must have arrived.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The longest nonce.
const MAX_NONCE: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    candor_deletion: u8,
    install_id: String,
    key: String,
    nonce: String,
}

/// Why nothing was deleted or signed.
#[derive(Debug, thiserror::Error)]
enum Denial {
    #[error("no deletion request: {0}")]
    Malformed(String),
    #[error("the key is not that of the install id: only the installation itself can ask for this")]
    Proof,
    #[error("this collector signs no receipts")]
    Receipt(#[source] ReceiptError),
    #[error("the collector cannot delete now")]
    Store(#[source] StoreError),
    #[error("the records are deleted, but the store's log is read by somebody else: ask again")]
    Log,
}

/// The route, for the store of a server; the receipt key is read at each request.
pub(crate) fn routes(store: Store, dir: &Path) -> Router {
    let dir: Arc<Path> = dir.into();
    Router::new().route(
        "/v1/deletion",
        post(move |request: Request| async move {
            match answer(&store, &dir, request).await {
                Ok(receipt) => response(StatusCode::OK, "application/json", receipt),
                Err(denial) => denied(&denial),
            }
        }),
    )
}

async fn answer(store: &Store, dir: &Arc<Path>, request: Request) -> Result<String, Denial> {
    let body = tokio::time::timeout(BODY_TIME, to_bytes(request.into_body(), MAX_BODY)).await;
    let body = body.map_err(|_| Denial::Malformed("it did not arrive in time".to_owned()))?;
    let body = body.map_err(|error| Denial::Malformed(error.to_string()))?;
    let asked = read(&body)?;
    let dir = Arc::clone(dir);
    let signer = tokio::task::spawn_blocking(move || Signer::load(&dir)).await;
    let signer = signer.map_err(|_| Denial::Store(StoreError::Closed))?.map_err(Denial::Receipt)?;
    let erased = store.erase(asked.install_id.clone()).await.map_err(Denial::Store)?;
    let receipt = sign(&signer, &erased, (&asked.install_id, &asked.nonce))?;
    tracing::info!("the records of a host were deleted at its owner's request");
    Ok(receipt)
}

fn read(body: &[u8]) -> Result<Asked, Denial> {
    let asked: Asked =
        serde_json::from_slice(body).map_err(|error| Denial::Malformed(error.to_string()))?;
    if asked.candor_deletion != 1 || asked.nonce.len() > MAX_NONCE {
        return Err(Denial::Malformed("a form that is not known here".to_owned()));
    }
    let key = asked.key.parse().ok();
    match key.filter(|key: &InstallKey| key.id() == asked.install_id) {
        Some(_) => Ok(asked),
        None => Err(Denial::Proof),
    }
}

fn sign(signer: &Signer, erased: &Erased, whose: (&str, &str)) -> Result<String, Denial> {
    if !erased.is_clean {
        return Err(Denial::Log);
    }
    let (install_id, nonce) = whose;
    let said = Said {
        purpose: Purpose::Deletion,
        install_id,
        nonce,
        numberless: erased.numberless,
        accepted: &erased.ranges,
        rejected: &[],
    };
    signer.sign(&said).map_err(Denial::Receipt)
}

/// Deletes a host by the collector's own operator, beside a server if one runs; the receipt.
///
/// # Errors
/// There is no store or no receipt key, or the store fails.
pub(crate) fn delete(dir: &Path, path: &Path, install_id: &str) -> anyhow::Result<String> {
    let signer = Signer::load(dir)?;
    let mut db = store::open_to_write(path)?;
    let erased = store::erase(&mut db, install_id).map_err(StoreError::of_write);
    let erased = erased.context("nothing was deleted")?;
    Ok(sign(&signer, &erased, (install_id, "operator"))?)
}

fn denied(denial: &Denial) -> Response {
    let status = match denial {
        Denial::Malformed(_) => StatusCode::BAD_REQUEST,
        Denial::Proof => StatusCode::FORBIDDEN,
        Denial::Receipt(cause) => {
            let cause: &dyn std::error::Error = cause;
            tracing::error!(cause, "a deletion was asked for, and no receipt can be signed");
            StatusCode::NOT_IMPLEMENTED
        }
        Denial::Store(cause) => {
            let cause: &dyn std::error::Error = cause;
            tracing::error!(cause, "a deletion was asked for, and the store failed");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Denial::Log => StatusCode::SERVICE_UNAVAILABLE,
    };
    response(status, "text/plain; charset=utf-8", denial.to_string())
}

fn response(status: StatusCode, media: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
