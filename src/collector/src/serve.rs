//! The server as one thing that can be bound, asked for its address, and run until it is told to
//! stop: by the program, by `cargo try` and by tests in the same process.
//!
//! # Invariants
//! - After [`Server::bind`] connections are queued by the system; before it nothing is listening.
//! - Order of stopping: no new connections, the requests under way within [`Limits::drain`], the
//!   store's queue and file last.
//! - `offline/` under the directory is never read.
//!
//! On failure to start nothing listens; a failed connection costs only itself.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;

pub use crate::intake::Limits;
use crate::settings;
use crate::store::{self, Store, StoreError};
use crate::tls::{self, Front, TlsError};
use crate::{deletion, export};

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory that `init` made.
    pub dir: PathBuf,
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The store, if not `collector.db` in `dir`.
    pub store: Option<PathBuf>,
    /// Size at which the store counts as full.
    pub max_store_bytes: Option<u64>,
    /// Bounds of memory and time.
    pub limits: Limits,
}

impl Settings {
    /// The defaults for a directory and an address.
    #[must_use]
    pub fn new(dir: PathBuf, listen: SocketAddr) -> Self {
        Self { dir, listen, store: None, max_store_bytes: None, limits: Limits::default() }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The keys.
    #[error("cannot use the keys in --dir")]
    Tls(#[source] TlsError),
    /// The store.
    #[error("cannot use the store")]
    Store(#[source] StoreError),
    /// The address.
    #[error("cannot listen on {address}: choose another --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's failure.
        #[source]
        source: io::Error,
    },
}

/// A bound server.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    front: Front,
    /// None where only settings are served.
    store: Option<Store>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the keys, opens the store and binds the address.
    ///
    /// # Errors
    /// Any of the three failed.
    pub async fn bind(settings: Settings) -> Result<Self, ServeError> {
        let mut server = Self::bind_settings(&settings).await?;
        let path = settings.store.unwrap_or_else(|| settings.dir.join(store::FILE_NAME));
        let store = Store::open(&path, settings.max_store_bytes).map_err(ServeError::Store)?;
        let exports = export::routes(store.clone(), settings.limits);
        let deletions = deletion::routes(store.clone(), &settings.dir);
        server.front.app = server.front.app.merge(exports).merge(deletions);
        Ok(Self { store: Some(store), ..server })
    }

    /// The same without a store: it serves the signed settings and takes no records.
    ///
    /// # Errors
    /// The keys cannot be used, or the address not be bound.
    pub async fn bind_settings(settings: &Settings) -> Result<Self, ServeError> {
        let acceptor = tls::acceptor(&settings.dir).map_err(ServeError::Tls)?;
        let listen = |source| ServeError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let app = settings::routes(&settings.dir);
        let front = Front { acceptor, app, limits: settings.limits };
        Ok(Self { listener, address, front, store: None })
    }

    /// The address that it listens on, with the port that the system chose.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends, then stops in order.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tracing::info!(address = %self.address, "listening");
        self.front.accept(self.listener, stop).await;
        // The routes hold a handle on the store, which closes when the last one is gone.
        drop(self.front);
        // It waits for the writer's thread and the last checkpoint.
        if let Some(store) = self.store
            && tokio::task::spawn_blocking(move || store.close()).await.is_err()
        {
            tracing::error!("the store was not closed in order");
        }
        tracing::info!("stopped");
    }
}
