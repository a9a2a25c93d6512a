//! A receiver that does what a test tells it, over real TLS on loopback, and remembers what came.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use candor_model::Kind;
use candor_otlp::{DecodedRecord, decode_request};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::pki::{Authority, Leaf};

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The connection on which it came, from 0.
    pub(crate) connection: usize,
    pub(crate) line: String,
    head: String,
    /// As it was before compression.
    pub(crate) body: Vec<u8>,
    /// Bytes as they came.
    pub(crate) wire: usize,
    /// All of it stood in the first zstd frame.
    pub(crate) is_one_frame: bool,
    /// As it came, byte for byte.
    pub(crate) sent: Vec<u8>,
    /// We broke the connection in the middle of it: `sent` is what had come, and it has no `body`.
    pub(crate) is_cut: bool,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.line.split(' ').nth(1).unwrap().rsplit('/').next().unwrap() {
            "logs" => Kind::Log,
            "metrics" => Kind::Metric,
            "traces" => Kind::Span,
            other => panic!("posted to {other}"),
        }
    }

    pub(crate) fn records(&self) -> Vec<DecodedRecord> {
        decode_request(self.kind(), &self.body).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.records().into_iter().map(|record| record.name).collect()
    }
}

/// What to do with a request.
pub(crate) enum Reply {
    /// Write and keep the connection.
    Keep(Vec<u8>),
    /// Write and close the connection.
    Close(Vec<u8>),
    /// Never answer.
    Hang,
}

/// An ordinary answer.
pub(crate) fn answer(status: u16, headers: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Words\r\nContent-Length: {length}\r\n{headers}\r\n");
    Reply::Keep([head.as_bytes(), body].concat())
}

/// Everything was taken.
pub(crate) fn ok() -> Reply {
    answer(200, "", b"")
}

type Behaviour = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// The receiver.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
    cuts: Arc<AtomicUsize>,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Server {
    /// Listens on loopback and speaks TLS with this certificate.
    pub(crate) async fn start(
        leaf: &Leaf,
        behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(config(leaf, rustls::ALL_VERSIONS, None), behaviour).await
    }

    pub(crate) async fn with(
        config: ServerConfig,
        behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, config, behaviour)
    }

    pub(crate) fn on(
        listener: TcpListener,
        config: ServerConfig,
        behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
            broken: Arc::default(),
            cuts: Arc::default(),
            behaviour: Arc::new(Mutex::new(Arc::new(behaviour))),
        };
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(accepting.clone().connection(acceptor.clone(), stream));
            }
        });
        server
    }

    /// From now on it does this.
    pub(crate) fn now(&self, behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// TCP connections that were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that the client broke off instead of ending them (no `close_notify`).
    pub(crate) fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }

    /// So many of the next requests are cut in the middle of their bodies.
    pub(crate) fn cuts(&self, requests: usize) {
        self.cuts.store(requests, Ordering::SeqCst);
    }

    /// Waits until no connection is open.
    pub(crate) async fn closed(&self) {
        while self.open.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many requests have come.
    pub(crate) async fn requests(&self, count: usize) {
        while self.seen.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }

    async fn connection(self, acceptor: TlsAcceptor, stream: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        if let Ok(mut tls) = acceptor.accept(stream).await {
            self.serve(number, &mut tls).await;
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn serve(&self, number: usize, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
        loop {
            let seen = match request(number, stream, &self.cuts).await {
                Ok(Some(seen)) if seen.is_cut => {
                    self.seen.lock().unwrap().push(seen);
                    return;
                }
                Ok(Some(seen)) => seen,
                Ok(None) => return,
                Err(_) => {
                    self.broken.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            };
            let behaviour = Arc::clone(&self.behaviour.lock().unwrap());
            let reply = behaviour(&seen);
            self.seen.lock().unwrap().push(seen);
            match reply {
                Reply::Keep(bytes) => stream.write_all(&bytes).await.unwrap(),
                Reply::Close(bytes) => {
                    stream.write_all(&bytes).await.unwrap();
                    stream.shutdown().await.unwrap();
                    return;
                }
                Reply::Hang => {
                    // Until the client goes away.
                    let _gone = stream.read_u8().await;
                    return;
                }
            }
        }
    }
}

/// The next request; `None` where the client has said that there is none.
async fn request(
    connection: usize,
    stream: &mut (impl AsyncRead + Unpin),
    cuts: &AtomicUsize,
) -> std::io::Result<Option<Seen>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let (line, _) = head.split_once("\r\n").unwrap();
    let mut seen = Seen {
        connection,
        line: line.into(),
        head: head.clone(),
        body: Vec::new(),
        wire: 0,
        is_one_frame: false,
        sent: Vec::new(),
        is_cut: false,
    };
    let mut body = vec![0; seen.header("content-length").unwrap_or("0").parse().unwrap()];
    let is_cut = cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if is_cut.is_ok() {
        let half = body.len() / 2;
        body.truncate(half);
        stream.read_exact(&mut body).await?;
        return Ok(Some(Seen { wire: half, sent: body, is_cut: true, ..seen }));
    }
    stream.read_exact(&mut body).await?;
    seen.wire = body.len();
    seen.sent.clone_from(&body);
    seen.body = match seen.header("content-encoding") {
        Some("zstd") => {
            let mut first = Vec::new();
            let decoder = zstd::stream::read::Decoder::new(body.as_slice()).unwrap();
            decoder.single_frame().read_to_end(&mut first).unwrap();
            let all = zstd::decode_all(body.as_slice()).unwrap();
            seen.is_one_frame = first == all;
            all
        }
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).unwrap();
            plain
        }
        None => body,
        Some(other) => panic!("compressed with {other}"),
    };
    Ok(Some(seen))
}

/// A server's TLS; with an authority it demands a client certificate.
pub(crate) fn config(
    leaf: &Leaf,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(leaf.chain.clone(), leaf.private()).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
