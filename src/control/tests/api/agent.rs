//! An agent that remembers what it was asked, and a server around it for the length of a test.
//!
//! # Invariants
//! - The server has ended, and so has every connection, when [`with_server`] returns.
//!
//! On failure: panics, it is a test.

use std::cell::{Cell, RefCell};
use std::io;

use candor_control::protocol::{
    AuditReport, Claim, DeadRecords, Deleted, DisableRequest, EmitRequest, Emitted, Event,
    EventDetail, EventPage, EventsRequest, Explanation, ExportPage, ExportRequest, FlushDone,
    FlushRequest, History, JournalPage, JournalRequest, LevelChanged, LevelRequest, LevelStatus,
    ProviderChanged, ProviderRequest, Providers, ReceiptRequest, ReceiptTaken, Refusal, Reloaded,
    ReplayRequest, Replayed, Stats, Status, UploadChanged, Volume,
};
use candor_control::{Client, Service, serve};
use candor_platform::{Layout, Listener, Peer, Stream, connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

/// The stand-in.
#[derive(Default)]
pub(crate) struct Agent {
    /// The changes that were carried out to the end.
    pub(crate) done: RefCell<Vec<String>>,
    /// Whether the policy forbids changes.
    pub(crate) locked: Cell<bool>,
    /// A flush that waits has begun.
    pub(crate) flushing: Notify,
    /// Lets it end.
    pub(crate) flushed: Notify,
    /// Length of the reason in an explanation.
    pub(crate) long: Cell<usize>,
}

impl Agent {
    fn change(&self, peer: &Peer, what: String) -> Result<(), Refusal> {
        if self.locked.get() {
            let refusal = Refusal::refused_by_policy("policy.d/10-org.toml sets level 1");
            return Err(refusal.remedy("ask who wrote the policy"));
        }
        assert!(peer.pid.is_some());
        self.done.borrow_mut().push(what);
        Ok(())
    }
}

impl Service for Agent {
    async fn status(&self, _peer: &Peer) -> Result<Status, Refusal> {
        Ok(Status { version: "0.1.0".into(), ..Status::default() })
    }

    async fn level(&self, _peer: &Peer) -> Result<LevelStatus, Refusal> {
        Ok(LevelStatus { effective: 2, name: "enhanced".into(), ..LevelStatus::default() })
    }

    async fn explain(&self, _peer: &Peer) -> Result<Explanation, Refusal> {
        Ok(Explanation { reason: "r".repeat(self.long.get()), ..Explanation::default() })
    }

    async fn stats(&self, _peer: &Peer) -> Result<Stats, Refusal> {
        Err(Refusal::failed("the ledger cannot be read").remedy("look at the disk"))
    }

    async fn set_level(&self, peer: &Peer, request: LevelRequest) -> Result<LevelChanged, Refusal> {
        self.change(peer, format!("level {} {:?}", request.level.number(), request.reason))?;
        Ok(LevelChanged { withdrawn: 7, ..LevelChanged::default() })
    }

    async fn enable(&self, peer: &Peer) -> Result<UploadChanged, Refusal> {
        self.change(peer, "enable".into())?;
        Ok(UploadChanged { enabled: true, changed: true, dropped: 0 })
    }

    async fn disable(
        &self,
        peer: &Peer,
        request: DisableRequest,
    ) -> Result<UploadChanged, Refusal> {
        self.change(peer, format!("disable {}", request.keep_pending))?;
        Ok(UploadChanged { enabled: false, changed: true, dropped: 3 })
    }

    async fn flush(&self, peer: &Peer, request: FlushRequest) -> Result<FlushDone, Refusal> {
        if request.wait {
            self.flushing.notify_one();
            self.flushed.notified().await;
        }
        self.change(peer, format!("flush {}", request.wait))?;
        Ok(FlushDone { complete: request.wait, state: "ok".into(), ..FlushDone::default() })
    }

    async fn reload(&self, peer: &Peer) -> Result<Reloaded, Refusal> {
        self.change(peer, "reload".into())?;
        Ok(Reloaded::default())
    }

    async fn audit(&self, _peer: &Peer) -> Result<AuditReport, Refusal> {
        Ok(AuditReport { sound: true, ..AuditReport::default() })
    }

    async fn dead_letters(&self, _peer: &Peer) -> Result<DeadRecords, Refusal> {
        Ok(DeadRecords::default())
    }

    async fn history(&self, _peer: &Peer) -> Result<History, Refusal> {
        Ok(History::default())
    }

    async fn events(&self, _peer: &Peer, request: EventsRequest) -> Result<EventPage, Refusal> {
        if self.locked.get() {
            return Err(Refusal::refused_by_policy("DisableDiagnosticDataViewer = 1"));
        }
        Ok(EventPage { next: request.before, ..EventPage::default() })
    }

    async fn event(&self, _peer: &Peer, seq: u64) -> Result<EventDetail, Refusal> {
        let content = [("attributes".to_owned(), serde_json::json!({ "a": 1 }))];
        let content = content.into_iter().collect();
        let event = Event { seq, state: "sent".into(), content, ..Event::default() };
        Ok(EventDetail { event, ..EventDetail::default() })
    }

    async fn journal(&self, _peer: &Peer, request: JournalRequest) -> Result<JournalPage, Refusal> {
        Ok(JournalPage { next: request.before, ..JournalPage::default() })
    }

    async fn journal_body(&self, _peer: &Peer, number: u64) -> Result<Vec<u8>, Refusal> {
        Ok(number.to_le_bytes().to_vec())
    }

    async fn volume(&self, _peer: &Peer, _days: usize) -> Result<Volume, Refusal> {
        Ok(Volume::default())
    }

    async fn delete(&self, peer: &Peer) -> Result<Deleted, Refusal> {
        self.change(peer, "delete".to_owned())?;
        Ok(Deleted { deleted: 3, install_id: Some("new".to_owned()) })
    }

    async fn claim(&self, _peer: &Peer) -> Result<Claim, Refusal> {
        Ok(Claim { install_id: "id".to_owned(), key: Some("key".to_owned()) })
    }

    async fn export(&self, _peer: &Peer, request: ExportRequest) -> Result<ExportPage, Refusal> {
        Ok(ExportPage { install_id: request.after.to_string(), rows: Vec::new() })
    }

    async fn receipt(&self, peer: &Peer, request: ReceiptRequest) -> Result<ReceiptTaken, Refusal> {
        self.change(peer, format!("receipt {}", request.receipt))?;
        Ok(ReceiptTaken { uploaded: 2, rejected: 1, pending: 0 })
    }

    async fn replay(&self, peer: &Peer, request: ReplayRequest) -> Result<Replayed, Refusal> {
        self.change(peer, format!("replay {}", request.seq))?;
        Ok(Replayed { seq: request.seq, new_seq: 9 })
    }

    async fn providers(&self, _peer: &Peer) -> Result<Providers, Refusal> {
        Ok(Providers { trouble: Some("odd".into()), ..Providers::default() })
    }

    async fn switch_provider(
        &self,
        peer: &Peer,
        request: ProviderRequest,
    ) -> Result<ProviderChanged, Refusal> {
        self.change(peer, format!("{} {}", request.name, request.enabled))?;
        let ProviderRequest { name, enabled } = request;
        Ok(ProviderChanged { name, enabled, changed: true })
    }

    async fn emit(&self, peer: &Peer, request: EmitRequest) -> Result<Emitted, Refusal> {
        self.change(peer, format!("emit {}", request.records[0].event))?;
        Ok(Emitted { accepted: 1, ..Emitted::default() })
    }
}

/// What a test has in hand.
pub(crate) struct Bench {
    pub(crate) layout: Layout,
    pub(crate) client: Client,
    pub(crate) agent: Agent,
    /// Ends the server.
    pub(crate) stop: Notify,
    _root: tempfile::TempDir,
}

/// Serves while `test` runs, then stops.
pub(crate) async fn with_server(test: impl AsyncFnOnce(&Bench)) {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(root.path()));
    let client = Client::new(&layout);
    let (agent, stop) = (Agent::default(), Notify::new());
    let listener = Listener::bind(&layout.control()).unwrap();
    let bench = Bench { layout, client, agent, stop, _root: root };
    let tested = async {
        test(&bench).await;
        bench.stop.notify_one();
    };
    tokio::join!(serve(listener, &bench.agent, bench.stop.notified()), tested);
}

impl Bench {
    pub(crate) async fn open(&self) -> Stream {
        connect(&self.layout.control()).await.unwrap()
    }

    /// Sends bytes as they are and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.open().await;
        // The server may answer and close before it has read all.
        let _ = stream.write_all(bytes).await;
        read_all(&mut stream).await.0
    }

    /// A request with a body.
    pub(crate) async fn request(&self, line: &str, body: &str) -> String {
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        self.raw(format!("{head}{body}").as_bytes()).await
    }
}

/// The server answers an ordinary call.
pub(crate) async fn is_answered(bench: &Bench) {
    assert_eq!(bench.client.status().await.unwrap().version, "0.1.0");
}

/// Everything until the end, and how it ended.
pub(crate) async fn read_all(stream: &mut Stream) -> (String, io::Result<usize>) {
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).await;
    (String::from_utf8_lossy(&answer).into_owned(), end)
}
