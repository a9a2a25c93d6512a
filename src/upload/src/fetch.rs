//! Fetches one small document: the remote settings, over the same pinned way as the records go.
//!
//! # Invariants
//! - No pin match, no byte; too few pins, no connection; redirects are not followed.
//! - At most [`MAX_ANSWER`](crate::http) of body is read, within the time limit of a request.
//! - The request says nothing about this host: a path, and the tag of the document that it holds.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::answer::{Answer, Body, words};
use crate::decision::{Decision, Now, State, decide};
use crate::http::{Get, Link};
use crate::phase::too_few_pins;
use crate::{Destination, Reason, Said, Timing, Trouble};

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// A document, and the tag under which the server knows it.
    Document {
        /// Its bytes.
        body: Vec<u8>,
        /// `ETag`, where there was one.
        etag: Option<String>,
    },
    /// The document that is held is the present one.
    Unchanged,
    /// The server has none.
    Nothing,
    /// The document was not read: why.
    Unread(&'static str),
}

/// Fetches `path` below the destination's endpoint. `etag` is that of the document held, if any.
///
/// # Errors
/// What was in the way, in the words of `status`.
pub async fn fetch(
    destination: &Destination,
    (path, etag): (&str, Option<&str>),
    timing: &Timing,
) -> Result<Fetched, Trouble> {
    if let Some(trouble) = too_few_pins(destination) {
        return Err(trouble);
    }
    let sent = Arc::new(AtomicU64::new(0));
    let refused = |answer| trouble(&answer, timing);
    let mut link = Link::open(destination, timing, &sent).await.map_err(refused)?;
    let path = format!("{}{path}", destination.endpoint.path);
    let got = link.get(destination, &Get { path: &path, etag }, timing).await.map_err(refused)?;
    link.close().await;
    match (got.status, got.body) {
        (200, Body::Whole(body)) => Ok(Fetched::Document { body, etag: got.etag }),
        (200, Body::Unread(why)) => Ok(Fetched::Unread(why)),
        (304, _) => Ok(Fetched::Unchanged),
        (404, _) => Ok(Fetched::Nothing),
        (status, body) => {
            let said = match body {
                Body::Whole(bytes) => words(&bytes),
                Body::Unread(why) => why.to_owned(),
            };
            let (retry_after, said) = (None, Said::Words(said));
            Err(trouble(&Answer::Http { status, retry_after, said }, timing))
        }
    }
}

/// An answer in the words that the uploader has for it.
pub(crate) fn trouble(answer: &Answer, timing: &Timing) -> Trouble {
    let now = Now { wall: (timing.wall)(), random: 0 };
    match decide(answer, now, &State::default()) {
        Decision::Hold { trouble, .. } | Decision::BackOff { trouble, .. } => trouble,
        // A success that is no document, such as 204.
        _ => Trouble::new(Reason::Refused, "the answer is no document".to_owned()),
    }
}
