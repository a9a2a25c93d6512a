//! The asking side: typed calls over the control endpoint, one connection each. What `agentctl` and
//! the tests use.
//!
//! # Invariants
//! - Every call ends: each has the deadline of its route and a little more.
//! - An answer is at most 16 MiB.
//!
//! On failure: a [`ClientError`], which knows the exit code that the contract gives it.

use std::io;
use std::time::Duration;

use candor_platform::{Endpoint, Layout, Stream, connect};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::protocol::{
    AuditReport, Claim, DeadRecords, Deleted, DisableRequest, EmitRequest, Emitted, ErrorBody,
    EventDetail, EventPage, EventsRequest, Explanation, ExportPage, ExportRequest, FlushDone,
    FlushRequest, History, JournalPage, JournalRequest, LevelChanged, LevelRequest, LevelStatus,
    ProviderChanged, ProviderRequest, Providers, ReceiptRequest, ReceiptTaken, Refusal, Reloaded,
    ReplayRequest, Replayed, Stats, Status, UploadChanged,
};
use crate::route::{self, Call};

/// How much longer than its own deadline the daemon is waited for.
const GRACE: Duration = Duration::from_secs(5);
/// Within this time the daemon confirms that the owner's word holds; else the caller is told that it
/// did not, though it may still come to hold.
const CONFIRMATION: Duration = Duration::from_secs(2);
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its media type; empty where the daemon named none.
    pub content_type: String,
    /// Its body.
    pub bytes: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("the agent does not run: nobody answers on {endpoint}")]
    NoDaemon {
        /// The endpoint.
        endpoint: Endpoint,
        /// The system's answer.
        source: io::Error,
    },
    /// Somebody listened and gave no whole answer in time.
    #[error("the agent does not answer on {endpoint}")]
    NoAnswer {
        /// The endpoint.
        endpoint: Endpoint,
        /// What ended the connection.
        source: io::Error,
    },
    /// The system does not let this user connect.
    #[error("this user may not connect to {endpoint}")]
    MayNotConnect {
        /// The endpoint.
        endpoint: Endpoint,
        /// The system's answer.
        source: io::Error,
    },
    /// The daemon answered that it will not.
    #[error(transparent)]
    Refused(Refusal),
    /// What answered is not an agent, or one of another time.
    #[error("{endpoint} gave an answer that is not the agent's (status {status})")]
    BadAnswer {
        /// The endpoint.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// Where the JSON is not what it should be.
        source: serde_json::Error,
    },
}

impl ClientError {
    /// The exit code of `agentctl`: 69 no daemon, 4 not permitted, 3 refused by policy, 1 failed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoDaemon { .. } | Self::NoAnswer { .. } => 69,
            Self::MayNotConnect { .. } => 4,
            Self::Refused(refusal) => refusal.code.exit_code(),
            Self::BadAnswer { .. } => 1,
        }
    }

    /// Whether no daemon runs, so that a command may work without one.
    #[must_use]
    pub fn is_no_daemon(&self) -> bool {
        matches!(self, Self::NoDaemon { .. })
    }
}

/// Asks the daemon of one layout.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
}

impl Client {
    /// A client that connects at its first call.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self { endpoint: layout.control() }
    }

    /// A client of a daemon that listens now.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] or [`ClientError::MayNotConnect`].
    pub async fn connect(layout: &Layout) -> Result<Self, ClientError> {
        let client = Self::new(layout);
        client.open().await.map(|_| client)
    }

    /// How the agent is.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Call::Status, None).await
    }

    /// Which level holds and why.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn level(&self) -> Result<LevelStatus, ClientError> {
        self.ask(Call::Level, None).await
    }

    /// Every layer and who won.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn explain(&self) -> Result<Explanation, ClientError> {
        self.ask(Call::Explain, None).await
    }

    /// The ledger, reason by reason.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.ask(Call::Stats, None).await
    }

    /// Sets the operator's level.
    ///
    /// # Errors
    /// [`ClientError`]; refused by policy where another level would hold.
    pub async fn set_level(&self, request: &LevelRequest) -> Result<LevelChanged, ClientError> {
        self.ask(Call::SetLevel, Some(request.json())).await
    }

    /// Turns collection and upload on.
    ///
    /// # Errors
    /// [`ClientError`]; refused by policy where it is locked.
    pub async fn enable(&self) -> Result<UploadChanged, ClientError> {
        self.ask(Call::Enable, None).await
    }

    /// Turns collection and upload off.
    ///
    /// # Errors
    /// [`ClientError`]; refused by policy where it is locked.
    pub async fn disable(&self, request: DisableRequest) -> Result<UploadChanged, ClientError> {
        self.ask(Call::Disable, Some(request.json())).await
    }

    /// Uploads now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn flush(&self, request: FlushRequest) -> Result<FlushDone, ClientError> {
        self.ask(Call::Flush, Some(request.json())).await
    }

    /// Reads the configuration again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reload(&self) -> Result<Reloaded, ClientError> {
        self.ask(Call::Reload, None).await
    }

    /// Derives the ledger again from the store.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit(&self) -> Result<AuditReport, ClientError> {
        self.ask(Call::Audit, None).await
    }

    /// What endpoints refused for good.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn dead_letters(&self) -> Result<DeadRecords, ClientError> {
        self.ask(Call::DeadLetters, None).await
    }

    /// The latest changes of level, upload, endpoint and pins.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history(&self) -> Result<History, ClientError> {
        self.ask(Call::History, None).await
    }

    /// The local programs that the agent knows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn providers(&self) -> Result<Providers, ClientError> {
        self.ask(Call::Providers, None).await
    }

    /// Switches a provider on or off.
    ///
    /// # Errors
    /// [`ClientError`]; not found where there is no such provider.
    pub async fn switch_provider(
        &self,
        request: &ProviderRequest,
    ) -> Result<ProviderChanged, ClientError> {
        self.ask(Call::SwitchProvider, Some(request.json())).await
    }

    /// Which events there are, and what became of each.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(&self, request: &EventsRequest) -> Result<EventPage, ClientError> {
        self.read(&format!("{}{}", route::of(Call::Events).path, request.to_query())).await
    }

    /// One event in full.
    ///
    /// # Errors
    /// [`ClientError`]; not found where nothing is known of such a number.
    pub async fn event(&self, seq: u64) -> Result<EventDetail, ClientError> {
        self.read(&route::path_with(Call::Event, seq)).await
    }

    /// What left.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn journal(&self, request: JournalRequest) -> Result<JournalPage, ClientError> {
        self.read(&format!("{}{}", route::of(Call::Journal).path, request.to_query())).await
    }

    /// The exact bytes of a request that left.
    ///
    /// # Errors
    /// [`ClientError`]; not found where there is no such entry.
    pub async fn journal_body(&self, number: u64) -> Result<Bytes, ClientError> {
        self.fetch(&route::path_with(Call::JournalBody, number)).await.map(|got| got.bytes)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let fetched = self.fetch(path).await?;
        serde_json::from_slice(&fetched.bytes).map_err(|source| self.bad(StatusCode::OK, source))
    }

    /// Has a local program's events judged and kept.
    ///
    /// # Errors
    /// [`ClientError`]; none of them was kept.
    pub async fn emit(&self, request: &EmitRequest) -> Result<Emitted, ClientError> {
        let body = serde_json::to_value(request).unwrap_or_default();
        self.ask(Call::Emit, Some(body)).await
    }

    /// Deletes everything that is kept here and renews the ids.
    ///
    /// # Errors
    /// [`ClientError`]; refused by policy where `DisableDeviceDelete` forbids it.
    pub async fn delete(&self) -> Result<Deleted, ClientError> {
        self.ask(Call::Delete, None).await
    }

    /// The install id and the key that proves it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn claim(&self) -> Result<Claim, ClientError> {
        self.ask(Call::Claim, None).await
    }

    /// What waits after a number, a page of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn export(&self, request: ExportRequest) -> Result<ExportPage, ClientError> {
        self.ask(Call::Export, Some(request.json())).await
    }

    /// Hands over the receipt for records that were carried by hand.
    ///
    /// # Errors
    /// [`ClientError`]; failed where the receipt proves nothing for this installation.
    pub async fn receipt(&self, request: &ReceiptRequest) -> Result<ReceiptTaken, ClientError> {
        self.ask(Call::Receipt, Some(request.json())).await
    }

    /// One reading request by its path and query, its answer as it came: for whoever passes it on unread.
    /// It is a GET, so that whatever the path says, nothing is changed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch(&self, path: &str) -> Result<Fetched, ClientError> {
        let stream = self.open().await?;
        let work = exchange(stream, &Method::GET, path, None);
        let answer = timeout(route::ORDINARY + GRACE, work).await;
        let (status, fetched) =
            answer.map_err(io::Error::from).flatten().map_err(|source| self.no_answer(source))?;
        if status.is_success() {
            return Ok(fetched);
        }
        Err(self.refused(status, &fetched.bytes))
    }

    /// Makes a new record of a dead letter.
    ///
    /// # Errors
    /// [`ClientError`]; not found where there is no such letter.
    pub async fn replay(&self, request: ReplayRequest) -> Result<Replayed, ClientError> {
        self.ask(Call::Replay, Some(request.json())).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        call: Call,
        body: Option<Value>,
    ) -> Result<T, ClientError> {
        let route = route::of(call);
        let stream = self.open().await?;
        let patience = match call {
            Call::SetLevel | Call::Enable | Call::Disable => CONFIRMATION,
            _ => route.deadline + GRACE,
        };
        let work = exchange(stream, &route.method, route.path, body);
        let answer = timeout(patience, work).await;
        let (status, fetched) =
            answer.map_err(io::Error::from).flatten().map_err(|source| self.no_answer(source))?;
        if status.is_success() {
            return serde_json::from_slice(&fetched.bytes)
                .map_err(|source| self.bad(status, source));
        }
        Err(self.refused(status, &fetched.bytes))
    }

    fn no_answer(&self, source: io::Error) -> ClientError {
        ClientError::NoAnswer { endpoint: self.endpoint.clone(), source }
    }

    fn bad(&self, status: StatusCode, source: serde_json::Error) -> ClientError {
        ClientError::BadAnswer { endpoint: self.endpoint.clone(), status: status.as_u16(), source }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(body) => ClientError::Refused(body.error),
            Err(source) => self.bad(status, source),
        }
    }

    async fn open(&self) -> Result<Stream, ClientError> {
        connect(&self.endpoint).await.map_err(|source| {
            let endpoint = self.endpoint.clone();
            if source.kind() == io::ErrorKind::PermissionDenied {
                ClientError::MayNotConnect { endpoint, source }
            } else {
                ClientError::NoDaemon { endpoint, source }
            }
        })
    }
}

/// One request and its answer.
async fn exchange(
    stream: Stream,
    method: &Method,
    path: &str,
    body: Option<Value>,
) -> io::Result<(StatusCode, Fetched)> {
    let body = body.map(|value| value.to_string()).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let answer = async move {
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let named = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = named.unwrap_or_default().to_owned();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(io::Error::other)?;
        Ok((head.status, Fetched { content_type, bytes: body.to_bytes() }))
    };
    // The connection moves the bytes. It ends when the sender is dropped after the answer, or with
    // the error that the answer reports as well.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}
