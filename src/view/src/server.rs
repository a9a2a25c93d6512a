//! The server of the page: listens on loopback, answers its user's browser, and ends by itself.
//!
//! # Invariants
//! - Only processes of this user (and of the user behind sudo) are heard, where the system tells whose they are.
//! - At most [`PLACES`] connections; a head is there within [`HEAD`].
//! - Everything runs inside the one future of [`Viewer::serve`]: nothing is left when it ends.
//!
//! On failure: a failing connection ends alone.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use candor_platform::Peer;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::door::Door;
use crate::key::{Lock, Secret};
use crate::{Source, ViewError, answer, gate};

/// Connections at once: a browser opens six.
const PLACES: usize = 32;
/// From the connection, or the answer before, to the end of a head that has begun.
const HEAD: Duration = Duration::from_secs(10);
/// For answers that are under way when the server ends.
const FAREWELL: Duration = Duration::from_secs(1);
const BUFFER: usize = 16 * 1024;

/// How the viewer runs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Without a question from the page for this long it ends.
    pub gone_after: Duration,
}

/// Why the viewer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Whoever runs it stopped it.
    Stopped,
    /// The page was closed, or never opened.
    Gone,
    /// Policy closed it, in these words.
    Refused(String),
}

/// A page that waits to be opened.
pub struct Viewer {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
    key: Secret,
    guests: Vec<u32>,
}

impl Viewer {
    /// Listens on a free port of loopback and writes the file that opens the page.
    ///
    /// # Errors
    /// [`ViewError`].
    pub async fn open() -> Result<Self, ViewError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|source| ViewError::Listen { source })?;
        let address = listener.local_addr().map_err(|source| ViewError::Listen { source })?;
        let key = Secret::new().map_err(|source| ViewError::Key { source })?;
        let behind = candor_platform::behind_sudo();
        let door = Door::new(address, &key, behind)?;
        let guests = Peer::this_process().uid.into_iter().chain(behind).collect();
        Ok(Self { listener, address, door, key, guests })
    }

    /// The file that opens the page; it works once.
    #[must_use]
    pub fn file(&self) -> &Path {
        self.door.file()
    }

    /// Where the page is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes, nobody looks any more or policy closes it.
    pub async fn serve(
        self,
        source: impl Source + 'static,
        settings: Settings,
        stop: impl Future<Output = ()>,
    ) -> End {
        let state = Rc::new(State {
            port: self.address.port(),
            source,
            lock: RefCell::new(Lock::new(self.key)),
            door: self.door,
            last_seen: Cell::new(Instant::now()),
            refused: RefCell::new(None),
            ended: Notify::new(),
        });
        let (closing, closed) = watch::channel(false);
        let house = House { listener: self.listener, guests: self.guests, closed };
        let work = async {
            let mut talks = JoinSet::new();
            let end = tokio::select! {
                () = stop => End::Stopped,
                () = state.nobody_looks(settings.gone_after) => End::Gone,
                () = state.ended.notified() => End::Refused(state.refused.take().unwrap_or_default()),
                () = house.receive(&state, &mut talks) => End::Stopped,
            };
            // Fails only where no connection is left to hear it.
            let _ = closing.send(true);
            let _ = timeout(FAREWELL, async { while talks.join_next().await.is_some() {} }).await;
            end
        };
        LocalSet::new().run_until(work).await
    }
}

/// What all connections share.
pub(crate) struct State<S> {
    pub(crate) port: u16,
    pub(crate) source: S,
    pub(crate) lock: RefCell<Lock>,
    door: Door,
    last_seen: Cell<Instant>,
    refused: RefCell<Option<String>>,
    ended: Notify,
}

impl<S> State<S> {
    /// The page asked for something.
    pub(crate) fn seen(&self) {
        self.last_seen.set(Instant::now());
    }

    /// After the present answer it is over.
    pub(crate) fn end(&self, why: String) {
        self.refused.replace(Some(why));
        self.ended.notify_one();
    }

    /// Uses up the key; the cookie of the session. A wrong key does not keep the viewer awake.
    pub(crate) fn open(&self, key: &str) -> Option<String> {
        let mut lock = self.lock.borrow_mut();
        let session = lock.open(key)?.text();
        let name = gate::cookie_name(self.port);
        let cookie = format!("{name}={session}; HttpOnly; SameSite=Strict; Path=/");
        self.door.remove();
        self.seen();
        Some(cookie)
    }

    async fn nobody_looks(&self, patience: Duration) {
        loop {
            let until = self.last_seen.get() + patience;
            sleep_until(until).await;
            if self.last_seen.get() + patience <= until {
                return;
            }
        }
    }
}

/// The listener and whom it hears.
struct House {
    listener: TcpListener,
    guests: Vec<u32>,
    closed: watch::Receiver<bool>,
}

impl House {
    /// Takes in connections, forever.
    async fn receive<S: Source + 'static>(&self, state: &Rc<State<S>>, talks: &mut JoinSet<()>) {
        loop {
            tokio::select! {
                Some(_) = talks.join_next(), if !talks.is_empty() => {}
                accepted = self.listener.accept(), if talks.len() < PLACES => match accepted {
                    Ok((stream, peer)) if self.is_guest(&stream, peer) => {
                        let talk = talk(Rc::clone(state), stream, self.closed.clone());
                        talks.spawn_local(talk);
                    }
                    Ok(_) => {}
                    // The system has no connection to give just now.
                    Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                },
            }
        }
    }

    /// Whether a connection is this user's; in a system that does not tell, the key decides alone.
    fn is_guest(&self, stream: &TcpStream, peer: SocketAddr) -> bool {
        let owner =
            stream.local_addr().ok().and_then(|ours| candor_platform::loopback_owner(ours, peer));
        owner.is_none_or(|uid| self.guests.contains(&uid))
    }
}

/// Serves one connection until it ends.
async fn talk<S: Source>(
    state: Rc<State<S>>,
    stream: TcpStream,
    mut closed: watch::Receiver<bool>,
) {
    let handler = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(answer::answer(&state, request).await)
    });
    let mut settings = http1::Builder::new();
    settings.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
    let mut connection = pin!(settings.serve_connection(TokioIo::new(stream), handler));
    // How a connection ends is the browser's business.
    let _ = tokio::select! {
        done = connection.as_mut() => done,
        _ = closed.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}
