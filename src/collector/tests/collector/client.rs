//! A client that says exactly the bytes that a test wants said, over real TLS, and the bodies to say.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use candor_model::{Kind, Level, Record, UnixNanos, events};
use candor_otlp::{Part, Resource, Stamp, encode, request_body, seal};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An address from which the tests come, so that it can be looked for in what the collector keeps.
const FROM: [u8; 4] = if cfg!(target_os = "linux") { [127, 66, 55, 44] } else { [127, 0, 0, 1] };

pub(crate) struct Client {
    stream: TlsStream<tokio::net::TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, dir: &Path) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpSocket::new_v4()?;
        socket.bind((FROM, 0).into())?;
        let tcp = socket.connect(address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Self { stream })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    #[cfg(unix)]
    /// Says that nothing more will come, and waits until the server has let go.
    pub(crate) async fn leave(mut self) {
        self.stream.shutdown().await.ok();
        self.stream.read_to_end(&mut Vec::new()).await.ok();
    }

    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if self.stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let headers = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
        let length = headers
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = bytes.split_off(head + 4);
        while body.len() < length {
            if self.stream.read_buf(&mut body).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer { status, headers, body })
    }

    /// One well-formed request with its answer.
    pub(crate) async fn post(
        &mut self,
        kind: Kind,
        encoding: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        self.send(&head(path(kind), "application/x-protobuf", encoding, body.len())).await?;
        self.send(body).await?;
        self.answer().await
    }
}

impl Client {
    /// Asks for a document, with further header lines.
    pub(crate) async fn get(&mut self, path: &str, headers: &str) -> io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        self.send(request.as_bytes()).await?;
        self.answer().await
    }
}

pub(crate) fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Log => "/v1/logs",
        Kind::Metric => "/v1/metrics",
        Kind::Span => "/v1/traces",
    }
}

/// The headers of a request.
pub(crate) fn head(path: &str, media: &str, encoding: &str, length: usize) -> Vec<u8> {
    let encoding = match encoding {
        "" => String::new(),
        encoding => format!("Content-Encoding: {encoding}\r\n"),
    };
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\n{encoding}Content-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// A logs request of one host with these sequence numbers; the id of number n is `{host}-{n}`.
pub(crate) fn logs(host: &str, seqs: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut rows = Vec::new();
    for seq in seqs {
        let event = events::agent::Settings { level: Some(2), ..Default::default() };
        let stamp = Stamp {
            uid: &format!("{host}-{seq}"),
            observed: UnixNanos(1_700_000_000_000_000_000 + seq),
            level: Level::Security,
        };
        seal(Kind::Log, &encode(&Record::from(event), &stamp), seq, &mut rows);
    }
    envelope(Kind::Log, host, &rows)
}

/// A request around sealed rows.
pub(crate) fn envelope(kind: Kind, host: &str, rows: &[u8]) -> Vec<u8> {
    let resource = Resource {
        os_name: Some("Debian GNU/Linux".to_owned()),
        os_version: Some("12".to_owned()),
        ..Resource::here(Some(host.to_owned()), "9.9.9")
    };
    request_body(kind, &resource.encode(), &[Part { boot: "boot-1", rows: &[rows] }])
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}
