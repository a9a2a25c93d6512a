//! Opens the way to an endpoint: straight to one of its addresses, or through the proxy. `tls`
//! encrypts what comes out.
//!
//! # Invariants
//! - With a proxy the endpoint's name is never looked up here, and there is no way around a proxy
//!   that fails.
//! - Every address that the name resolves to is tried before the attempt fails.
//! - Bytes are counted where they leave, TLS and `CONNECT` included.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::answer::{Answer, words};
use crate::{Destination, Timing};

/// A proxy's answer is read up to here.
const PROXY_ANSWER: usize = 8 * 1024;

/// Opens the way to a destination. `sent` counts what is written to it.
pub(crate) async fn dial(
    destination: &Destination,
    timing: &Timing,
    sent: &Arc<AtomicU64>,
) -> Result<Wire, Answer> {
    let endpoint = &destination.endpoint;
    let Some((host, port)) = &destination.proxy else {
        let stream = connect(&endpoint.host, endpoint.port, timing).await?;
        return Ok(Wire { stream, sent: Arc::clone(sent) });
    };
    let stream = connect(host, *port, timing).await.map_err(|answer| match answer {
        Answer::Lost(what) | Answer::TimedOut(what) => {
            Answer::Proxy(format!("the proxy {host}:{port} cannot be reached: {what}"))
        }
        other => other,
    })?;
    let mut wire = Wire { stream, sent: Arc::clone(sent) };
    let target = endpoint.host_and_port();
    let opened = timeout(timing.handshake, tunnel(&mut wire, &target)).await;
    let opened = opened.unwrap_or_else(|_| Err("it did not answer in time".into()));
    opened.map_err(|what| Answer::Proxy(format!("the proxy {host}:{port}: {what}")))?;
    Ok(wire)
}

async fn connect(host: &str, port: u16, timing: &Timing) -> Result<TcpStream, Answer> {
    let lookup = timeout(timing.connect, tokio::net::lookup_host((host, port))).await;
    let addresses = match lookup {
        Err(_) => return Err(Answer::TimedOut(format!("looking up {host}"))),
        Ok(Err(error)) => return Err(Answer::Lost(format!("looking up {host}: {error}"))),
        Ok(Ok(addresses)) => addresses,
    };
    reach(addresses, timing).await
}

/// The first of these addresses that answers.
async fn reach(
    addresses: impl Iterator<Item = SocketAddr>,
    timing: &Timing,
) -> Result<TcpStream, Answer> {
    let mut failures = Vec::new();
    let mut late = false;
    for address in addresses {
        match timeout(timing.connect, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request and its answer: waiting to fill packets would only add latency.
                let _best_effort = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failures.push(format!("{address}: {error}")),
            Err(_) => {
                late = true;
                failures.push(format!("{address}: no answer"));
            }
        }
    }
    let what = format!("connecting to {}", failures.join(", "));
    match (failures.is_empty(), late) {
        (true, _) => Err(Answer::Lost("the name has no address".into())),
        (false, true) => Err(Answer::TimedOut(what)),
        (false, false) => Err(Answer::Lost(what)),
    }
}

/// Asks a proxy for a tunnel (RFC 9110, section 9.3.6).
async fn tunnel(wire: &mut Wire, target: &str) -> Result<(), String> {
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    wire.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let head = read_head(wire).await?;
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match status(line) {
        Some(200..=299) => Ok(()),
        Some(407) => Err("it asks for credentials (407), and none can be given".into()),
        Some(_) => Err(format!("it answered `{}`", words(line))),
        None => Err("its answer is not HTTP".into()),
    }
}

/// Reads a head and not one byte more: what follows belongs to TLS.
async fn read_head(wire: &mut Wire) -> Result<Vec<u8>, String> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= PROXY_ANSWER {
            return Err("its answer is too long".into());
        }
        match wire.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err("it closed the connection".into());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(head)
}

fn status(line: &[u8]) -> Option<u16> {
    let line = line.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5).filter(|_| line.get(1) == Some(&b' '))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A connection that counts what it writes.
pub(crate) struct Wire {
    stream: TcpStream,
    sent: Arc<AtomicU64>,
}

impl Wire {
    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.sent.fetch_add(u64::try_from(*bytes).unwrap_or(0), Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_address_is_tried_and_every_failure_is_named() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = listener.local_addr().unwrap();
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let timing = Timing::default();
        let stream = reach([dead, dead, alive].into_iter(), &timing).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        let Err(Answer::Lost(what)) = reach([dead, dead].into_iter(), &timing).await else {
            panic!("nobody is there");
        };
        assert_eq!(what.matches(&dead.to_string()).count(), 2);
        assert!(matches!(reach(std::iter::empty(), &timing).await, Err(Answer::Lost(_))));
    }

    #[test]
    fn a_status_line_is_read_or_refused() {
        assert_eq!(status(b"HTTP/1.1 200 OK"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407 No"), Some(407));
        for line in ["", "HTTP/1.1", "HTTP/2 200", "HTTP/1.1 2", "HTTP/1.1 abc", "SSH-2.0-x"] {
            assert_eq!(status(line.as_bytes()), None, "{line}");
        }
    }
}
