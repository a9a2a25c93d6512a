//! Connections: accepting them, the TLS handshake, and HTTP/1.1 on top.
//!
//! # Invariants
//! - TLS 1.2 at least, 1.3 preferred, by rustls with ring; ALPN offers `http/1.1` only.
//! - At most [`Limits::connections`] connections; a further one waits in the system's queue.
//! - A handshake has [`Limits::handshake`], headers have [`Limits::headers`], which also ends an
//!   idle connection: who connects and says nothing is gone soon.
//! - Nothing here keeps or logs the other end's address.
//!
//! On failure of one connection the others go on; when the system has no file handle left, accepting
//! pauses for a moment.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::init::{SERVER_CERTIFICATE, SERVER_KEY};
use crate::intake::Limits;

/// How long accepting pauses when the system refuses to hand out a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes that the headers of a request may have.
const HEADER_BYTES: usize = 16 << 10;
/// Lines that the headers of a request may have.
const HEADERS: usize = 64;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or is not PEM of the right kind.
    #[error("cannot read {}: run `candor-collector init --dir DIR` or put a PEM file there", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// No certificate in the file.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The key does not belong to the certificate, or is of a kind that is not supported.
    #[error("{} and {} do not make a TLS server", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The words of rustls, boxed since they are long.
        #[source]
        source: Box<rustls::Error>,
    },
}

/// What makes TLS connections, from the files that `init` wrote.
pub(crate) fn acceptor(dir: &Path) -> Result<TlsAcceptor, TlsError> {
    let (certificate, key) = (dir.join(SERVER_CERTIFICATE), dir.join(SERVER_KEY));
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(&certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: certificate });
    }
    let private = PrivateKeyDer::from_pem_file(&key).map_err(unreadable(&key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|source| TlsError::Unusable { certificate, key, source: source.into() })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Front {
    /// Makes the TLS session.
    pub(crate) acceptor: TlsAcceptor,
    /// Answers the requests.
    pub(crate) app: Router,
    /// Bounds of time and number.
    pub(crate) limits: Limits,
}

impl Front {
    /// Accepts until `stop` ends, then lets the requests under way finish within the limit.
    pub(crate) async fn accept(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let has_room = connections.len() < self.limits.connections;
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if has_room => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(self.clone().connection(stream, graceful.watcher()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        if tokio::time::timeout(self.limits.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                "requests under way were cut off: they took longer than the time to stop"
            );
        }
        connections.shutdown().await;
    }

    async fn connection(self, stream: TcpStream, watcher: Watcher) {
        // Answers are small: without this they wait for the other end's acknowledgement.
        stream.set_nodelay(true).ok();
        let handshake = self.acceptor.accept(stream);
        let stream = match tokio::time::timeout(self.limits.handshake, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => return tracing::debug!("a TLS handshake took too long"),
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.headers)
            .max_headers(HEADERS)
            .max_buf_size(HEADER_BYTES);
        let service = TowerToHyperService::new(self.app);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
