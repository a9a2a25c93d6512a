//! One HTTP/1.1 connection to an endpoint, and one request at a time over it. `uploader` opens a
//! link for a drain and lets it go when nothing waits.
//!
//! # Invariants
//! - A request goes only over a [`secure`]d connection: no pin match, no byte.
//! - Answers are bounded: [`MAX_ANSWER`] of head and of body, and one time limit for all of it.
//! - Redirects are not followed, compressed answers are not opened.
//! - No task is spawned and no socket outlives its link: dropping the link closes it at once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use candor_journal::Run;
use candor_model::Kind;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, RETRY_AFTER,
    USER_AGENT,
};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::answer::{Answer, Body, classify};
use crate::body::encoding;
use crate::dial::{Wire, dial};
use crate::tls::{Session, failed, secure};
use crate::{Compression, Destination, Timing};

/// An answer's head, and its body, are read up to here.
pub(crate) const MAX_ANSWER: usize = 64 * 1024;

/// For the last words of a connection.
const FAREWELL: Duration = Duration::from_secs(1);

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const AGENT: &str = concat!("candor/", env!("CARGO_PKG_VERSION"));

/// One request: what is posted where.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Which of the three paths.
    pub(crate) kind: Kind,
    /// The body as it goes over the wire.
    pub(crate) body: Bytes,
    /// How it was compressed.
    pub(crate) compression: Compression,
    /// Which records it carries, in their order.
    pub(crate) runs: Vec<Run>,
}

/// One request for a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Get<'a> {
    /// From the root of the host.
    pub(crate) path: &'a str,
    /// The tag of the document that is held.
    pub(crate) etag: Option<&'a str>,
}

/// One request in JSON, for an answer in JSON.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    /// From the root of the host.
    pub(crate) path: &'a str,
    pub(crate) body: Bytes,
}

/// The answer to a [`Get`].
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) body: Body,
}

/// The half of a connection that moves bytes; `None` when it has ended.
type Driver = Option<Pin<Box<Connection<TokioIo<TlsStream<Wire>>, Full<Bytes>>>>>;

/// An open connection.
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: Driver,
    /// What the handshake agreed on.
    pub(crate) session: Session,
}

impl Link {
    /// Connects and shakes hands.
    pub(crate) async fn open(
        destination: &Destination,
        timing: &Timing,
        sent: &Arc<AtomicU64>,
    ) -> Result<Self, Answer> {
        let wire = dial(destination, timing, sent).await?;
        let (stream, session) = secure(destination, wire, timing).await.outcome?;
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_ANSWER).max_header_size(MAX_ANSWER);
        let (sender, connection) =
            http.handshake(TokioIo::new(stream)).await.map_err(|error| classify_error(&error))?;
        Ok(Self { sender, connection: Some(Box::pin(connection)), session })
    }

    /// Whether the server has left the connection open for another request.
    pub(crate) async fn is_open(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        tokio::select! {
            biased;
            _ended = connection => {
                self.connection = None;
                false
            }
            ready = self.sender.ready() => ready.is_ok(),
        }
    }

    /// Tells the server that nothing more comes, so that its log shows an end and no break.
    pub(crate) async fn close(self) {
        drop(self.sender);
        if let Some(connection) = self.connection {
            // What is said at the end changes nothing.
            let _ended = timeout(FAREWELL, connection).await;
        }
    }

    /// Posts, and waits for the whole answer.
    pub(crate) async fn post(
        &mut self,
        destination: &Destination,
        post: &Post,
        timing: &Timing,
    ) -> Answer {
        let request = match request(destination, post) {
            Ok(request) => request,
            Err(error) => return Answer::Unready(format!("the request cannot be made: {error}")),
        };
        match self.ask(request, timing).await {
            Err(answer) => answer,
            Ok((head, body)) => {
                let retry_after = text(&head, &RETRY_AFTER);
                classify(post.kind, head.status().as_u16(), retry_after, &body)
            }
        }
    }

    /// Asks for a document, and waits for all of it.
    pub(crate) async fn get(
        &mut self,
        destination: &Destination,
        get: &Get<'_>,
        timing: &Timing,
    ) -> Result<Got, Answer> {
        let request = document_request(destination, get)
            .map_err(|error| Answer::Unready(format!("the request cannot be made: {error}")))?;
        let (head, body) = self.ask(request, timing).await?;
        Ok(Got { status: head.status().as_u16(), etag: text(&head, &ETAG), body })
    }

    /// Asks something, and waits for the whole answer: status and body.
    pub(crate) async fn ask_for(
        &mut self,
        destination: &Destination,
        ask: &Ask<'_>,
        timing: &Timing,
    ) -> Result<(u16, Body), Answer> {
        let request = json_request(destination, ask)
            .map_err(|error| Answer::Unready(format!("the request cannot be made: {error}")))?;
        let (head, body) = self.ask(request, timing).await?;
        Ok((head.status().as_u16(), body))
    }

    /// One request within its time; a link that is no use afterwards is closed.
    async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        timing: &Timing,
    ) -> Result<(Response<()>, Body), Answer> {
        match timeout(timing.request, self.exchange(request)).await {
            Err(_) => {
                self.connection = None;
                Err(Answer::TimedOut("the answer to a request".into()))
            }
            Ok(Err(error)) => {
                self.connection = None;
                Err(classify_error(&error))
            }
            Ok(Ok((head, body))) => {
                if matches!(body, Body::Unread(_)) {
                    // The rest of it is still on the way.
                    self.connection = None;
                }
                Ok((head, body))
            }
        }
    }

    /// Drives the connection while the request is under way; there is no task that would.
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<()>, Body), hyper::Error> {
        let sender = &mut self.sender;
        let mut answer = std::pin::pin!(async {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let head = Response::from_parts(head, ());
            let body = read(&head, body).await?;
            Ok((head, body))
        });
        let Some(connection) = &mut self.connection else { return answer.await };
        let ended = tokio::select! {
            biased;
            answer = &mut answer => return answer,
            ended = connection => ended,
        };
        self.connection = None;
        // An answer that was complete before the connection failed is an answer; else the
        // connection's own error says more than that the request was cancelled.
        match (answer.await, ended) {
            (Err(error), Err(cause)) if error.is_canceled() => Err(cause),
            (answer, _) => answer,
        }
    }
}

fn request(
    destination: &Destination,
    post: &Post,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(destination.endpoint.path_for(post.kind))
        .header(HOST, destination.endpoint.authority())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, PROTOBUF)
        .header(CONTENT_TYPE, PROTOBUF)
        .header(CONTENT_LENGTH, post.body.len());
    if let Some(encoding) = encoding(post.compression) {
        request = request.header(CONTENT_ENCODING, encoding);
    }
    request.body(Full::new(post.body.clone()))
}

fn document_request(
    destination: &Destination,
    get: &Get<'_>,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(get.path)
        .header(HOST, destination.endpoint.authority())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, JSON);
    if let Some(etag) = get.etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    request.body(Full::default())
}

fn json_request(
    destination: &Destination,
    ask: &Ask<'_>,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    Request::builder()
        .method(Method::POST)
        .uri(ask.path)
        .header(HOST, destination.endpoint.authority())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, JSON)
        .header(CONTENT_TYPE, JSON)
        .header(CONTENT_LENGTH, ask.body.len())
        .body(Full::new(ask.body.clone()))
}

/// A header, where it is printable text.
fn text(head: &Response<()>, name: &hyper::header::HeaderName) -> Option<String> {
    head.headers().get(name).and_then(|value| value.to_str().ok()).map(Into::into)
}

async fn read(head: &Response<()>, mut body: Incoming) -> Result<Body, hyper::Error> {
    let encoding = head.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(Body::Unread("the answer is compressed, and nobody asked for that"));
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            if bytes.len() + data.len() > MAX_ANSWER {
                return Ok(Body::Unread("the answer is larger than 64 KiB"));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(Body::Whole(bytes))
}

fn classify_error(error: &hyper::Error) -> Answer {
    if error.is_parse() {
        return Answer::NotHttp(format!("the server's answer is not HTTP: {error}"));
    }
    failed(error)
}
