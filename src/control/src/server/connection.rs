//! One connection from its first byte to its last: who it is, one request, one answer.
//!
//! # Invariants
//! - It ends in bounded time whatever the client does: a head that does not come, a body that drips,
//!   an answer that nobody reads.
//! - The peer is confirmed before the first request is read.
//!
//! On failure: the connection ends; the reason is logged at debug level only, since any local
//! process can cause it at will.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use candor_platform::{Peer, Stream};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite as _;
use tokio::sync::watch;

use super::fuse::Fuse;
use super::{Service, answer};

/// From the connection to the end of the head.
const HEAD: Duration = Duration::from_secs(5);
/// For the client to read the answer.
const READING: Duration = Duration::from_secs(10);
/// The largest head, and what is read at once.
const BUFFER: usize = 16 * 1024;

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
connection: close\r\ncontent-length: 109\r\n\r\n\
{\"error\":{\"code\":\"failed\",\"message\":\"too many clients are connected\",\"remedy\":\"try again in a few seconds\"}}\n";

/// Serves one connection until it ends.
pub(super) async fn talk(
    service: &impl Service,
    stream: Stream,
    peer: Peer,
    closing: watch::Receiver<bool>,
) {
    let fuse = Fuse::new(HEAD);
    let talk = Talk { service, fuse: &fuse, closing };
    tokio::select! {
        done = talk.exchange(stream, peer) => if let Err(error) = done {
            tracing::debug!(%error, "a control connection ended early");
        },
        () = fuse.burns() => tracing::debug!("a control connection took too long"),
    }
}

/// What one connection needs besides itself.
struct Talk<'a, S> {
    service: &'a S,
    fuse: &'a Fuse,
    closing: watch::Receiver<bool>,
}

impl<S: Service> Talk<'_, S> {
    async fn exchange(mut self, mut stream: Stream, peer: Peer) -> io::Result<()> {
        let peer = stream.confirm(peer).await?;
        let handler = service_fn(async |request: Request<Incoming>| {
            // The answer keeps its own deadline, which says which route was too slow.
            self.fuse.pause();
            let answer = answer::answer(self.service, &peer, request).await;
            self.fuse.set(READING);
            Ok::<_, Infallible>(answer)
        });
        let mut settings = http1::Builder::new();
        settings.max_buf_size(BUFFER).header_read_timeout(None);
        // A client that closes its writing side, or goes, does not end what it asked for.
        settings.keep_alive(false).half_close(true);
        let mut connection = pin!(settings.serve_connection(TokioIo::new(stream), handler));
        let done = tokio::select! {
            done = connection.as_mut() => done,
            _ = self.closing.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        done.map_err(io::Error::other)
    }
}

/// Says that there is no room, as far as that can be said without waiting.
pub(super) async fn turn_away(mut stream: Stream) {
    poll_fn(|cx| {
        // Whether it fits or not, the client is left.
        let _ = Pin::new(&mut stream).poll_write(cx, BUSY);
        Poll::Ready(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_the_ready_made_answer_is_right() {
        let text = std::str::from_utf8(BUSY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<crate::protocol::ErrorBody>(body).unwrap();
    }
}
