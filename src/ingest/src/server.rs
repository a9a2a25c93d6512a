//! Listens, lets connections in as far as there is room, and follows its settings.
//!
//! # Invariants
//! - Everything runs inside the one future that [`serve`] returns or in tasks that it owns: when it
//!   ends, all of it has ended, and no place is listened on.
//! - At most [`Limits::connections`] at once, of one user [`Limits::connections_of_one`]; who finds no
//!   room is told to come again.
//! - Without a place to listen on it holds no memory and no timer.
//!
//! On failure: a place that cannot be had is said to the agent and in the log, and tried again each minute.

use std::collections::HashMap;
use std::error::Error as _;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use candor_providers::Caller;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};

use crate::connection::{Shop, owner};
use crate::desk::Agent;
use crate::places::{Guest, Places, caller};
use crate::settings::{Limits, Settings};

/// How long after a place could not be had it is tried again.
const AGAIN: Duration = Duration::from_mins(1);
/// How long the requests under way may take when the server stops.
const FAREWELL: Duration = Duration::from_secs(1);

const BUSY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\
connection: close\r\n\r\n";

/// Serves local programs until `stop` completes. Call it inside a `LocalSet`.
pub async fn serve<A: Agent>(
    mut settings: watch::Receiver<Settings>,
    limits: Limits,
    agent: Rc<A>,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    loop {
        let wanted = settings.borrow_and_update().clone();
        let mut server = if wanted == Settings::default() {
            agent.set_trouble(None);
            None
        } else {
            Some(Server::open(&wanted, limits, Rc::clone(&agent)).await)
        };
        let is_over = tokio::select! {
            () = &mut stop => true,
            is_over = next(&mut settings) => is_over,
            () = run(&mut server) => false,
        };
        if let Some(server) = server {
            server.close().await;
            candor_platform::trim();
        }
        if is_over {
            return;
        }
    }
}

/// Whether nobody is left who could change the settings.
async fn next(settings: &mut watch::Receiver<Settings>) -> bool {
    settings.changed().await.is_err()
}

async fn run<A: Agent>(server: &mut Option<Server<A>>) {
    match server {
        Some(server) => server.run().await,
        None => std::future::pending().await,
    }
}

/// The places of one state of the settings, and who came in.
struct Server<A> {
    shop: Rc<Shop<A>>,
    places: Places,
    /// A place could not be had.
    is_lame: bool,
    talks: JoinSet<()>,
    owners: HashMap<Id, Option<u32>>,
    closing: watch::Sender<bool>,
}

impl<A: Agent> Server<A> {
    async fn open(settings: &Settings, limits: Limits, agent: Rc<A>) -> Self {
        let opened = Places::open(settings).await;
        let trouble = opened.as_ref().err().map(|error| {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, cause, "tried again in a minute");
            if cause.is_empty() { error.to_string() } else { format!("{error} ({cause})") }
        });
        let (places, is_lame) = (opened.unwrap_or_default(), trouble.is_some());
        agent.set_trouble(trouble);
        Self {
            shop: Rc::new(Shop::new(agent, limits)),
            places,
            is_lame,
            talks: JoinSet::new(),
            owners: HashMap::new(),
            closing: watch::channel(false).0,
        }
    }

    /// Lets connections in; returns when the places should be tried again.
    async fn run(&mut self) {
        let is_lame = self.is_lame;
        let again = async {
            if is_lame {
                sleep(AGAIN).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let mut again = pin!(again);
        loop {
            tokio::select! {
                () = &mut again => return,
                Some(ended) = self.talks.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.owners.remove(&id);
                    if self.owners.is_empty() {
                        candor_platform::trim();
                    }
                }
                guest = self.places.next() => self.admit(guest),
            }
        }
    }

    fn admit(&mut self, guest: Guest) {
        match guest {
            Guest::Socket(stream, peer) => {
                let wants_executable = self.shop.agent.terms().registry.wants_executables();
                let caller = caller(&peer, &stream, wants_executable);
                self.let_in(stream, caller);
            }
            Guest::Http(stream) => {
                // Answers are small and waited for.
                let _ = stream.set_nodelay(true);
                self.let_in(stream, Caller::loopback());
            }
        }
    }

    fn let_in(
        &mut self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        caller: Caller,
    ) {
        let (limits, owner) = (self.shop.limits, owner(&caller));
        let of_one = self.owners.values().filter(|one| **one == owner).count();
        if self.owners.len() >= limits.connections || of_one >= limits.connections_of_one {
            turn_away(&mut stream);
            return;
        }
        let talk = Rc::clone(&self.shop).talk(stream, caller, self.closing.subscribe());
        self.owners.insert(self.talks.spawn_local(talk).id(), owner);
    }

    /// No new connections; the requests under way have a second more.
    async fn close(mut self) {
        drop(self.places);
        // Fails only when no connection is left to hear it.
        let _ = self.closing.send(true);
        let all = async { while self.talks.join_next().await.is_some() {} };
        let _ = timeout(FAREWELL, all).await;
    }
}

/// Says that there is no room, as far as that can be said without waiting.
fn turn_away(stream: &mut (impl AsyncWrite + Unpin)) {
    let mut context = Context::from_waker(Waker::noop());
    // Whether it fits or not, the client is left.
    let _ = Pin::new(stream).poll_write(&mut context, BUSY);
}
