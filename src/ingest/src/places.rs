//! The places where ingest listens, and who comes in.
//!
//! # Invariants
//! - Every local user may connect to the socket; the kernel says who he is. Over TCP nobody does.
//! - Only loopback addresses are listened on.
//!
//! On failure: [`PlaceError`] when listening; a connection that does not come in costs a pause.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use candor_platform::{BindError, Listener, Peer, Stream};
use candor_providers::{Caller, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::settings::Settings;

/// The pause after the system had no connection to give.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a place cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("local programs cannot be heard on the socket")]
    Socket(#[source] BindError),
    #[error("local programs cannot be heard on {address}: choose another [ingest] otlp_http")]
    Http {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("{address} is no loopback address: choose another [ingest] otlp_http")]
    NotLoopback { address: SocketAddr },
}

/// What is listened on.
#[derive(Debug, Default)]
pub(crate) struct Places {
    socket: Option<Listener>,
    http: Option<TcpListener>,
}

/// Who came in.
pub(crate) enum Guest {
    Socket(Stream, Peer),
    Http(TcpStream),
}

impl Places {
    /// Listens wherever the settings say.
    ///
    /// # Errors
    /// Any place that cannot be had; then none is.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, PlaceError> {
        let socket =
            settings.socket.as_ref().map(Listener::bind).transpose().map_err(PlaceError::Socket)?;
        let http = match settings.http {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        Ok(Self { socket, http })
    }

    /// The next connection; pends for ever where nothing is listened on. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Guest {
        loop {
            let socket = async {
                match &mut self.socket {
                    Some(socket) => {
                        socket.accept().await.map(|(stream, peer)| Guest::Socket(stream, peer))
                    }
                    None => std::future::pending().await,
                }
            };
            let http = async {
                match &self.http {
                    Some(http) => http.accept().await.map(|(stream, _)| Guest::Http(stream)),
                    None => std::future::pending().await,
                }
            };
            let guest = tokio::select! { guest = socket => guest, guest = http => guest };
            match guest {
                Ok(guest) => return guest,
                Err(error) => {
                    tracing::debug!(%error, "a local program's connection did not come in");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, PlaceError> {
    if !address.ip().is_loopback() {
        return Err(PlaceError::NotLoopback { address });
    }
    let failed = |source| PlaceError::Http { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, "local programs are heard");
    Ok(listener)
}

/// Who a peer of the socket is. Its executable is looked up only where a manifest asks for one.
pub(crate) fn caller(peer: &Peer, stream: &Stream, wants_executable: bool) -> Caller {
    let executable = peer.pid.filter(|_| wants_executable).and_then(candor_platform::executable_of);
    let gids = stream.groups();
    let transport = Transport::Socket { uid: peer.uid, gids, pid: peer.pid, executable };
    Caller { transport, token: None }
}
