//! A real uploader on a real spool, and the hands of a test on all its levers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use candor_journal::{Bounds, Journal};
use candor_model::{Draft, Kind, Level, Pin};
use candor_spool::{Framing, Ledger, Settings, Spool, Urgency};
use candor_upload::{
    Command, Compression, Destination, Endpoint, Flushed, Look, Surroundings, Timing,
    UploadSettings, UploadStatus, Uploader,
};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::pki::{Authority, Leaf, NOW, backup};
use crate::server::{Reply, Seen, Server};

struct Codec;

impl Framing for Codec {
    fn seal(&self, kind: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
        candor_otlp::seal(kind, body, seq, out);
    }

    fn frame_len(&self, kind: Kind, bytes: &[u8]) -> Option<usize> {
        candor_otlp::frame_len(kind, bytes)
    }
}

/// A record with nothing but a name: `event_name` of a log record is field 12, `name` of a metric
/// is field 1, of a span field 5.
pub(crate) fn draft(kind: Kind, level: Level, name: &str) -> Draft {
    let field = match kind {
        Kind::Log => 12,
        Kind::Metric => 1,
        Kind::Span => 5,
    };
    let mut body = vec![field << 3 | 2];
    let mut length = name.len();
    while length > 0x7f {
        body.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    body.push(u8::try_from(length).unwrap());
    body.extend_from_slice(name.as_bytes());
    Draft { level, kind, boot: "boot".into(), body }
}

/// Nothing in a test waits for it.
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// The jitter of a test is the same each time; the start's is a minute, and nothing comes by itself.
/// A request that hangs ends only by what the test does.
pub(crate) fn timing() -> Timing {
    Timing { random: || 59_999_999, request: HOUR, ..Timing::default() }
}

/// The certificates of one test.
pub(crate) struct Pki {
    pub(crate) root: Authority,
    pub(crate) intermediate: Authority,
    pub(crate) leaf: Leaf,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let root = Authority::root("a root");
        let intermediate = root.intermediate("an intermediate");
        let leaf = intermediate.leaf(&["localhost", "127.0.0.1"], NOW);
        Self { root, intermediate, leaf }
    }
}

/// What never comes is waited for so long; what comes is never waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// The answer to a flush.
pub(crate) async fn answered(asked: oneshot::Receiver<Flushed>) -> Flushed {
    timeout(PATIENCE, asked).await.unwrap().unwrap()
}

/// A place for the store, in memory where the system has one: nothing here is about the disk's pace.
fn place() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// An uploader under test.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) spool: Spool,
    /// Every request is written into it.
    pub(crate) journal: Journal,
    pub(crate) settings: watch::Sender<Arc<UploadSettings>>,
    commands: mpsc::Sender<Command>,
    pub(crate) stop: watch::Sender<Option<Duration>>,
    pub(crate) status: watch::Receiver<UploadStatus>,
    /// Where the uploader asks for lost ranges to be told.
    pub(crate) gaps: mpsc::Receiver<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Bench {
    /// A server with an ordinary certificate, and an uploader that knows it.
    pub(crate) async fn with_server(
        behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> (Self, Server) {
        let pki = Pki::new();
        let server = Server::start(&pki.leaf, behaviour).await;
        let pins = vec![pki.leaf.pin, backup()];
        (Self::to(server.port, &pki.root, pins), server)
    }

    /// An uploader to a port on loopback, with a root that it trusts.
    pub(crate) fn to(port: u16, root: &Authority, pins: Vec<Pin>) -> Self {
        Self::build(port, root, pins, timing(), |_| {})
    }

    pub(crate) fn build(
        port: u16,
        root: &Authority,
        pins: Vec<Pin>,
        timing: Timing,
        change: impl FnOnce(&mut UploadSettings),
    ) -> Self {
        let look: Look = Arc::new(Surroundings::default);
        Self::looking(port, (root, pins), timing, (change, look))
    }

    /// The same on a host that tells what it runs on.
    pub(crate) fn looking(
        port: u16,
        (root, pins): (&Authority, Vec<Pin>),
        timing: Timing,
        (change, look): (impl FnOnce(&mut UploadSettings), Look),
    ) -> Self {
        let dir = place();
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, &root.pem).unwrap();
        let mut settings = settings(destination(port, ca_file, pins));
        change(&mut settings);
        let state = dir.path().join("state");
        let bounds = Settings { min_free: 0, linger: HOUR, ..Settings::default() };
        let spool = Spool::open(&state, bounds, Box::new(Codec)).unwrap();
        let (settings, watched) = watch::channel(Arc::new(settings));
        let (commands, received) = mpsc::channel(4);
        let (stop, stopped) = watch::channel(None);
        let (uploader, status) = Uploader::new(spool.clone());
        let (tell_gaps, gaps) = mpsc::channel(1);
        let uploader = uploader.with_timing(timing).with_herald(tell_gaps).with_look(look);
        let journal = Journal::new(&state, Bounds::default());
        let uploader = uploader.with_journal(journal.clone());
        let task = tokio::spawn(uploader.run(watched, received, stopped));
        Self { dir, spool, journal, settings, commands, stop, status, gaps, task }
    }

    /// Another uploader on the same spool, after the first one has ended.
    pub(crate) fn restart(&mut self) {
        let (commands, received) = mpsc::channel(4);
        let (stop, stopped) = watch::channel(None);
        let (uploader, status) = Uploader::new(self.spool.clone());
        let uploader = uploader.resuming(&self.status.borrow());
        let watched = self.settings.subscribe();
        let running = uploader.with_timing(timing()).run(watched, received, stopped);
        (self.commands, self.stop, self.status) = (commands, stop, status);
        self.task = tokio::spawn(running);
    }

    /// Records of one kind and level, committed.
    pub(crate) async fn keep(&self, kind: Kind, level: Level, names: &[String]) {
        let drafts = names.iter().map(|name| draft(kind, level, name)).collect();
        self.spool.append(drafts, Urgency::Now).await.unwrap();
    }

    /// Events of level 2, one row for each call.
    pub(crate) async fn events(&self, count: usize) {
        let names: Vec<_> = (0..count).map(|n| format!("event.{n}")).collect();
        self.keep(Kind::Log, Level::Enhanced, &names).await;
    }

    pub(crate) async fn flush(&self) -> Flushed {
        answered(self.ask().await).await
    }

    pub(crate) async fn ask(&self) -> oneshot::Receiver<Flushed> {
        let (done, answer) = oneshot::channel();
        self.commands.send(Command::Flush { done }).await.unwrap();
        answer
    }

    /// The ledger after everything that the spool was told so far.
    pub(crate) async fn ledger(&self) -> Ledger {
        self.spool.commit().await.unwrap();
        self.spool.ledger()
    }

    /// Changes the settings.
    pub(crate) fn set(&self, change: impl FnOnce(&mut UploadSettings)) {
        self.settings.send_modify(|settings| change(Arc::make_mut(settings)));
    }

    /// Changes the destination.
    pub(crate) fn redirect(&self, change: impl FnOnce(&mut Destination)) {
        self.set(|settings| change(settings.destination.as_mut().unwrap()));
    }

    /// Waits until the uploader has ended.
    pub(crate) async fn stopped(&mut self) {
        timeout(PATIENCE, &mut self.task).await.unwrap().unwrap();
    }

    /// Waits until the status is so.
    pub(crate) async fn until(&mut self, is: impl FnMut(&UploadStatus) -> bool) -> UploadStatus {
        timeout(PATIENCE, self.status.wait_for(is)).await.unwrap().unwrap().clone()
    }
}

pub(crate) fn destination(port: u16, ca_file: PathBuf, pins: Vec<Pin>) -> Destination {
    Destination {
        endpoint: Endpoint { host: "localhost".into(), port, path: "/otlp".into() },
        pins,
        allow_single_pin: false,
        ca_file: Some(ca_file),
        client_cert: None,
        client_key: None,
        proxy: None,
        compression: Compression::Zstd,
    }
}

fn settings(destination: Destination) -> UploadSettings {
    let resource = candor_otlp::Resource::here(Some("install".into()), "0.0.0").encode();
    UploadSettings {
        enabled: true,
        ceiling: Level::Full,
        hold: None,
        destination: Some(destination),
        fallbacks: Vec::new(),
        interval: HOUR,
        is_sparing: false,
        resource: resource.into(),
        max_bytes_per_day: None,
    }
}
