//! The control endpoint: a unix socket, or a named pipe on Windows. The control server listens
//! here and `agentctl` connects; both then speak HTTP over a [`Stream`].
//!
//! # Invariants
//! - An endpoint that somebody answers on is never taken away from him; a stale socket is removed.
//! - Whoever is local may connect; what he may ask is decided by his [`Peer::role`].
//! - A socket that was replaced by somebody else's is not removed when the listener ends.
//!
//! On failure: [`BindError`] when listening, the system's error when connecting
//! (`NotFound` and `ConnectionRefused` mean that no daemon is there).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Endpoint, Peer};

#[cfg_attr(unix, path = "endpoint/unix.rs")]
#[cfg_attr(windows, path = "endpoint/windows.rs")]
mod imp;

/// A full endpoint is tried again after 1 ms, 2 ms … 128 ms, and so on: two seconds in all.
const ATTEMPTS: u32 = 22;
const LONGEST_PAUSE: Duration = Duration::from_millis(128);

/// Why nobody can listen there.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process answers on it.
    #[error("another agent answers on {endpoint}: stop it, or use another --root")]
    InUse {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// Something that is no socket has its name.
    #[error("{endpoint} exists and is no socket: remove it")]
    NotASocket {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// The system refused.
    #[error("cannot listen on {endpoint}")]
    Bind {
        /// The endpoint.
        endpoint: Endpoint,
        /// The system's answer.
        source: io::Error,
    },
}

/// What accepts connections.
#[derive(Debug)]
pub struct Listener(imp::Listener);

/// One connection, to either side.
#[derive(Debug)]
pub struct Stream(imp::Stream);

impl Listener {
    /// Listens on `endpoint`; makes the socket's directory where it is missing. Call it inside a
    /// runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        imp::Listener::bind(endpoint).map(Self)
    }

    /// The next connection and who it is. Safe to cancel.
    ///
    /// # Errors
    /// The system's; most often it is out of file descriptors, so pause before the next call.
    pub async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((Stream(stream), peer))
    }
}

impl Stream {
    /// Waits for the client's first byte (which stays to be read) and settles who he is: on Windows
    /// the system tells it for certain only then, and the role may sink. Elsewhere it returns at
    /// once. Call it, with a deadline, before anything is done for the peer.
    ///
    /// # Errors
    /// Where the client leaves without a word.
    pub async fn confirm(&mut self, peer: Peer) -> io::Result<Peer> {
        imp::confirm(&mut self.0, peer).await
    }

    /// The groups of the process at the other end, its own first; empty where the system has none,
    /// or does not tell.
    #[must_use]
    pub fn groups(&self) -> Vec<u32> {
        imp::groups(&self.0)
    }
}

/// Connects to `endpoint`; a full one is tried again for two seconds.
///
/// # Errors
/// `NotFound` and `ConnectionRefused` where nobody listens, `PermissionDenied` where the caller may
/// not connect.
pub async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    let mut pause = Duration::from_millis(1);
    for _ in 1..ATTEMPTS {
        match imp::connect(endpoint).await {
            Err(error) if imp::is_full(&error) => tokio::time::sleep(pause).await,
            outcome => return outcome.map(Stream),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    imp::connect(endpoint).await.map(Stream)
}

/// The error of an endpoint that this system does not have.
fn unsupported(endpoint: &Endpoint) -> io::Error {
    let text = format!("{endpoint} is no endpoint of this system");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::{Layout, Role};

    fn endpoint(root: &Path) -> Endpoint {
        Layout::new(Some(root)).control()
    }

    #[tokio::test]
    async fn a_word_goes_there_and_back_and_the_peer_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(dir.path());
        let mut listener = Listener::bind(&endpoint).unwrap();
        for _ in 0..3 {
            let mut client = connect(&endpoint).await.unwrap();
            let (mut server, peer) = listener.accept().await.unwrap();
            client.write_all(b"ping").await.unwrap();
            let peer = server.confirm(peer).await.unwrap();
            assert_eq!(peer.pid, Some(std::process::id()));
            assert_eq!(peer.role, Role::Administrator, "{peer:?}");
            let mut word = [0; 4];
            server.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"ping", "what confirm looked at is still there");
            server.write_all(b"pong").await.unwrap();
            drop(server);
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            assert_eq!(answer, b"pong");
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_connecting_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = connect(&endpoint(dir.path())).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    }

    #[tokio::test]
    async fn after_the_listener_is_gone_nobody_answers_and_another_may_listen() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(dir.path());
        drop(Listener::bind(&endpoint).unwrap());
        let error = connect(&endpoint).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
        let mut listener = Listener::bind(&endpoint).unwrap();
        let _client = connect(&endpoint).await.unwrap();
        listener.accept().await.unwrap();
    }
}
