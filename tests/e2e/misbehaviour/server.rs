//! A receiver that follows a script, over real TLS on loopback, with certificates made on the spot.
//!
//! # Invariants
//! - What it does with a connection is decided when the connection comes; what it does with a
//!   request, when the request is there.
//! - Only what it took with an answer of success counts as received.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use candor_model::Kind;
use candor_otlp::{DecodedRecord, decode_request};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};

use candor_model::Pin;

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// A request as it came.
pub(crate) struct Request {
    line: String,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn records(&self) -> Vec<DecodedRecord> {
        let kind = match self.line.split(' ').nth(1).unwrap().rsplit('/').next().unwrap() {
            "logs" => Kind::Log,
            "metrics" => Kind::Metric,
            "traces" => Kind::Span,
            other => panic!("posted to {other}"),
        };
        decode_request(kind, &self.body).unwrap()
    }
}

/// What is done with a request.
pub(crate) enum Reply {
    /// These bytes, and the next request.
    Keep(Vec<u8>),
    /// These bytes, and an end.
    Close(Vec<u8>),
    /// These bytes, one at a time.
    Slowly(Vec<u8>),
    /// No more is written, and everything is read.
    HalfClose,
}

/// An ordinary answer.
pub(crate) fn answer(status: u16, headers: &str, body: &[u8]) -> Reply {
    Reply::Keep(bytes(status, headers, body))
}

pub(crate) fn bytes(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Words\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

pub(crate) type Script = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// What is done with a connection.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// TLS, and this for each request.
    Speaks(Script),
    /// These bytes instead of TLS, and an end.
    Raw(&'static [u8]),
    /// An end.
    Closes,
}

struct State {
    behaviour: Behaviour,
    config: Arc<ServerConfig>,
    received: Vec<DecodedRecord>,
}

/// The receiver.
#[derive(Clone)]
pub(crate) struct Server {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start(leaf: &Leaf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State {
            behaviour: Behaviour::Closes,
            config: Arc::new(leaf.config()),
            received: Vec::new(),
        };
        let server = Self { port, state: Arc::new(Mutex::new(state)) };
        let accepting = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = accepting.clone();
                // A connection that breaks is the script's or the agent's doing.
                thread::spawn(move || server.connection(stream.unwrap()));
            }
        });
        server
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// From now on it does this.
    pub(crate) fn behaves(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviour = behaviour;
    }

    pub(crate) fn answers(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.behaves(Behaviour::Speaks(Arc::new(script)));
    }

    /// From now on it takes everything.
    pub(crate) fn takes(&self) {
        self.answers(|_| answer(200, "", b""));
    }

    /// From now on it shows this certificate.
    pub(crate) fn shows(&self, leaf: &Leaf) {
        self.state.lock().unwrap().config = Arc::new(leaf.config());
    }

    /// What it took.
    pub(crate) fn received(&self) -> Vec<DecodedRecord> {
        self.state.lock().unwrap().received.clone()
    }

    fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        // An agent that was killed leaves no thread behind.
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let (behaviour, config) = {
            let state = self.state.lock().unwrap();
            (state.behaviour.clone(), Arc::clone(&state.config))
        };
        match behaviour {
            Behaviour::Closes => stream.shutdown(Shutdown::Both),
            Behaviour::Raw(bytes) => {
                let mut hello = [0; 1024];
                let _read = stream.read(&mut hello)?;
                stream.write_all(bytes)?;
                stream.shutdown(Shutdown::Write)?;
                io::copy(&mut stream, &mut io::sink()).map(drop)
            }
            Behaviour::Speaks(script) => {
                let tls = ServerConnection::new(config).map_err(io::Error::other)?;
                self.speak(StreamOwned::new(tls, stream), &script)
            }
        }
    }

    fn speak(&self, mut stream: Tls, script: &Script) -> io::Result<()> {
        loop {
            let request = read(&mut stream)?;
            match script(&request) {
                Reply::Keep(bytes) => {
                    self.take(&request, &bytes);
                    stream.write_all(&bytes)?;
                }
                Reply::Close(bytes) => {
                    stream.write_all(&bytes)?;
                    stream.conn.send_close_notify();
                    stream.flush()?;
                    return stream.sock.shutdown(Shutdown::Both);
                }
                Reply::Slowly(bytes) => {
                    self.take(&request, &bytes);
                    for byte in bytes {
                        stream.write_all(&[byte])?;
                        stream.flush()?;
                        thread::sleep(Duration::from_millis(5));
                    }
                }
                Reply::HalfClose => {
                    stream.conn.send_close_notify();
                    stream.flush()?;
                    stream.sock.shutdown(Shutdown::Write)?;
                    return io::copy(&mut stream, &mut io::sink()).map(drop);
                }
            }
        }
    }

    fn take(&self, request: &Request, answer: &[u8]) {
        let is_success =
            answer.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"HTTP/1.1 2"));
        if is_success {
            self.state.lock().unwrap().received.extend(request.records());
        }
    }
}

/// The next request.
fn read(stream: &mut Tls) -> io::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body)?;
    Ok(Request { line: head.lines().next().unwrap().to_owned(), body })
}

/// A certificate that is shown, and its key.
pub(crate) struct Leaf {
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Leaf {
    pub(crate) fn pin(&self) -> Pin {
        Pin::from_bytes(Sha256::digest(self.key.subject_public_key_info()).into())
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der()).into();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}

/// Who signs.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    /// A certificate for a name and a key, valid in these years.
    pub(crate) fn leaf(&self, name: &str, years: std::ops::Range<i32>, key: KeyPair) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().clone();
        Leaf { der, key }
    }
}
