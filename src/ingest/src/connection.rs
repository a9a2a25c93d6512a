//! One connection from its first byte to its last: who it is, one request after the other.
//!
//! # Invariants
//! - A connection ends in bounded time whatever the client does: a head that does not come, a body
//!   that drips, an answer that nobody reads while others wait for the place.
//! - One request at a time is inflated and judged; the others wait for their turn with what they
//!   have read, which is bounded.
//!
//! On failure: the connection ends; the reason is logged at debug level only, since any local process
//! can cause it at will.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;

use candor_model::Kind;
use candor_otlp::from_json;
use candor_providers::{Caller, Transport};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::timeout;

use crate::answer::{self, Answer};
use crate::body::{Bodies, Form, UNIT, discard, is_json};
use crate::desk::{Agent, Terms, nothing_of};
use crate::refusal::Refusal;
use crate::settings::Limits;
use crate::taken::{Judged, Taken};

/// The largest head, and what is read at once.
const BUFFER: usize = 32 * 1024;
/// Why nothing is kept.
const OFF: &str = "telemetry is off on this host: nothing was kept";
const NOBODY: &str = "no endpoint is set on this host: nothing was kept";

/// What all connections share.
pub(crate) struct Shop<A> {
    pub(crate) agent: Rc<A>,
    pub(crate) limits: Limits,
    bodies: Bodies,
    /// Inflating and judging, one request at a time.
    turn: Semaphore,
    /// What waits for its commit.
    waiting: Semaphore,
}

impl<A: Agent> Shop<A> {
    pub(crate) fn new(agent: Rc<A>, limits: Limits) -> Self {
        Self {
            agent,
            limits,
            bodies: Bodies::new(limits),
            turn: Semaphore::new(1),
            waiting: Semaphore::new(limits.waiting / UNIT),
        }
    }

    /// Serves one connection until it ends.
    pub(crate) async fn talk(
        self: Rc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        caller: Caller,
        mut closing: watch::Receiver<bool>,
    ) {
        let handler = service_fn(async |request: Request<Incoming>| {
            Ok::<_, Infallible>(self.answer(request, &caller).await)
        });
        let mut settings = http1::Builder::new();
        settings.timer(TokioTimer::new()).header_read_timeout(self.limits.head_time);
        settings.max_buf_size(BUFFER).half_close(true);
        let mut connection = pin!(settings.serve_connection(TokioIo::new(stream), handler));
        let done = tokio::select! {
            done = connection.as_mut() => done,
            _ = closing.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = done {
            tracing::debug!(%error, "a connection of a local program ended early");
        }
    }

    async fn answer(&self, request: Request<Incoming>, caller: &Caller) -> Answer {
        let is_json = is_json(request.headers()).ok();
        match self.carry_out(request, caller).await {
            Ok((kind, taken)) => {
                answer::taken(kind, &taken.partial_success(), is_json.unwrap_or_default())
            }
            Err(refusal) => {
                if let Refusal::Store(error) = &refusal {
                    tracing::warn!(%error, "records of a local program could not be kept");
                }
                answer::refused(&refusal, is_json)
            }
        }
    }

    async fn carry_out(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
    ) -> Result<(Kind, Taken), Refusal> {
        let (kind, form) = match route(&request) {
            Ok(found) => found,
            Err(refusal) => {
                discard(request.into_body()).await;
                return Err(refusal);
            }
        };
        let caller = with_token(&request, caller);
        let received = self.bodies.receive(request.into_body()).await?;
        let turn = self.my_turn(&self.turn, 1).await?;
        let limit = self.limits.inflated;
        let mut bytes = received.inflate(form, limit)?;
        if form.is_json {
            bytes = from_json(kind, &bytes, limit).map_err(Refusal::Json)?;
        }
        let taken = self.take(&caller, kind, bytes, turn).await?;
        Ok((kind, taken))
    }

    /// Judges and keeps what is in a request.
    async fn take(
        &self,
        caller: &Caller,
        kind: Kind,
        bytes: Vec<u8>,
        turn: SemaphorePermit<'_>,
    ) -> Result<Taken, Refusal> {
        let Some(desk) = self.agent.desk() else { return nothing_of(kind, &bytes, OFF) };
        let terms: Terms = self.agent.terms();
        if !terms.has_receiver {
            return nothing_of(kind, &bytes, NOBODY);
        }
        let judged = desk.judge(caller, &terms, (kind, &bytes), self.limits.records).await?;
        drop(bytes);
        let Judged { drafts, bytes, mut taken } = judged;
        if taken.is_only_early()
            && let Some((wait, provider)) = taken.wait.take()
        {
            return Err(Refusal::Rate { provider, wait });
        }
        // What passed is paid for before the turn is given on.
        let units = bytes.div_ceil(UNIT).min(self.limits.waiting / UNIT);
        let share = self.my_turn(&self.waiting, u32::try_from(units).unwrap_or(u32::MAX)).await?;
        drop(turn);
        desk.keep(drafts, &self.limits).await?;
        drop(share);
        Ok(taken)
    }

    async fn my_turn<'a>(
        &self,
        places: &'a Semaphore,
        count: u32,
    ) -> Result<SemaphorePermit<'a>, Refusal> {
        let turn = timeout(self.limits.turn_time, places.acquire_many(count)).await;
        // The semaphores are never closed.
        turn.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Busy)
    }
}

/// Which signal, and in which form.
fn route(request: &Request<Incoming>) -> Result<(Kind, Form), Refusal> {
    let kind = match request.uri().path() {
        "/v1/logs" => Kind::Log,
        "/v1/metrics" => Kind::Metric,
        "/v1/traces" => Kind::Span,
        _ => return Err(Refusal::Path),
    };
    if request.method() != Method::POST {
        return Err(Refusal::Method);
    }
    Ok((kind, Form::of(request.headers())?))
}

/// The caller with the bearer token that this request shows.
fn with_token(request: &Request<Incoming>, caller: &Caller) -> Caller {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = shown.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
    Caller { transport: caller.transport.clone(), token }
}

/// Whose connection it is, for the count of places.
pub(crate) fn owner(caller: &Caller) -> Option<u32> {
    match caller.transport {
        Transport::Socket { uid, .. } => uid,
        Transport::Loopback | Transport::Agent => None,
    }
}
