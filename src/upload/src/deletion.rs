//! Asks a receiver to delete what it holds of this installation, over the same pinned way as the records
//! went. For `agentctl delete --remote`, which is the one that may connect while telemetry is off.
//!
//! ```text
//! POST EventsEndpoint/v1/deletion   {"candor_deletion": 1, "install_id": "…", "key": "…", "nonce": "…"}
//!   200  a signed receipt; its signature is the caller's to judge
//! ```
//!
//! # Invariants
//! - No pin match, no byte; too few pins, no connection; redirects are not followed.
//! - The key leaves this host by this request alone.
//!
//! On failure the receiver may have deleted all the same; asking again is safe.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use candor_model::InstallKey;
use hyper::body::Bytes;

use crate::answer::{Body, words};
use crate::fetch::trouble;
use crate::http::{Ask, Link};
use crate::phase::too_few_pins;
use crate::{Destination, Reason, Timing, Trouble};

/// Below the endpoint.
const PATH: &str = "/v1/deletion";

/// What is asked, and the proof that the asker may.
#[derive(Clone, Copy, Debug)]
pub struct DeletionRequest<'a> {
    /// Whose records.
    pub install_id: &'a str,
    /// The key whose hash the id is.
    pub key: &'a InstallKey,
    /// What the receipt must repeat.
    pub nonce: &'a str,
}

/// Asks; the receipt's bytes.
///
/// # Errors
/// What was in the way, in the words of `status`.
pub async fn ask_deletion(
    destination: &Destination,
    request: &DeletionRequest<'_>,
    timing: &Timing,
) -> Result<Vec<u8>, Trouble> {
    if let Some(trouble) = too_few_pins(destination) {
        return Err(trouble);
    }
    let sent = Arc::new(AtomicU64::new(0));
    let failed = |answer| trouble(&answer, timing);
    let mut link = Link::open(destination, timing, &sent).await.map_err(failed)?;
    let path = format!("{}{PATH}", destination.endpoint.path);
    let ask = Ask { path: &path, body: body(request) };
    let answer = link.ask_for(destination, &ask, timing).await.map_err(failed)?;
    link.close().await;
    match answer {
        (200, Body::Whole(receipt)) => Ok(receipt),
        (status, Body::Whole(bytes)) => Err(refused(status, &words(&bytes))),
        (status, Body::Unread(why)) => Err(refused(status, why)),
    }
}

fn body(request: &DeletionRequest<'_>) -> Bytes {
    let DeletionRequest { install_id, key, nonce } = request;
    // An id, a key and a nonce are made of letters, digits and dashes: nothing to escape.
    let text = format!(
        "{{\"candor_deletion\":1,\"install_id\":\"{install_id}\",\"key\":\"{key}\",\"nonce\":\"{nonce}\"}}"
    );
    text.into()
}

fn refused(status: u16, words: &str) -> Trouble {
    let remedy = match status {
        404 | 405 => {
            "the endpoint deletes nothing by request: ask whoever runs it, and name the install id"
        }
        403 => "ask whoever runs the endpoint to delete by install id",
        501 => "whoever runs the endpoint makes a key by `candor-collector receipt-key`",
        503 => "ask again in a while",
        _ => "ask whoever runs the endpoint",
    };
    Trouble::new(Reason::Refused, format!("HTTP {status}: {words}")).with_remedy(remedy)
}
