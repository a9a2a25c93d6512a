//! One request to an exporter on loopback.
//!
//! # Invariants
//! - It ends within [`DEADLINE`] and takes at most [`MAX_BYTES`]; no redirect is followed.
//!
//! On failure: [`ScrapeError`].

use std::io;
use std::time::Duration;

use candor_policy::ScrapeConfig;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// From the connection to the last byte.
const DEADLINE: Duration = Duration::from_secs(10);
/// Largest text. An exporter of a large host has some 2 MiB.
const MAX_BYTES: usize = 8 << 20;
/// What we read.
const FORMAT: &str = "text/plain;version=0.0.4";

/// Why an exporter gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// Nobody listens, or the connection broke.
    #[error("cannot ask the exporter {name} at {address}")]
    Connection {
        /// Its name in the configuration.
        name: String,
        /// Where it should be.
        address: std::net::SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// It answered something else.
    #[error("the exporter {name} answers {status}: correct its url in [[scrape]]")]
    Status {
        /// Its name in the configuration.
        name: String,
        /// The HTTP status.
        status: u16,
    },
    /// It has more to say than is taken.
    #[error("the exporter {name} has more than {} MiB to say: let it publish less", MAX_BYTES >> 20)]
    TooLarge {
        /// Its name in the configuration.
        name: String,
    },
    /// Its answer is no text.
    #[error("the exporter {name} answers with bytes that are not UTF-8")]
    NoText {
        /// Its name in the configuration.
        name: String,
    },
}

/// The text of an exporter.
pub(crate) async fn fetch(config: &ScrapeConfig) -> Result<String, ScrapeError> {
    let name = || config.name.clone();
    let failed = |source| ScrapeError::Connection { name: name(), address: config.address, source };
    let answer = timeout(DEADLINE, ask(config)).await;
    match answer.map_err(|_| failed(io::ErrorKind::TimedOut.into()))? {
        Ok((StatusCode::OK, body)) => {
            String::from_utf8(body).map_err(|_| ScrapeError::NoText { name: name() })
        }
        Ok((status, _)) => Err(ScrapeError::Status { name: name(), status: status.as_u16() }),
        Err(Trouble::TooLarge) => Err(ScrapeError::TooLarge { name: name() }),
        Err(Trouble::Connection(source)) => Err(failed(source)),
    }
}

enum Trouble {
    TooLarge,
    Connection(io::Error),
}

async fn ask(config: &ScrapeConfig) -> Result<(StatusCode, Vec<u8>), Trouble> {
    let broken = |error: hyper::Error| Trouble::Connection(io::Error::other(error));
    let stream = TcpStream::connect(config.address).await.map_err(Trouble::Connection)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(&config.path)
        .header(HOST, config.address.to_string())
        .header(ACCEPT, FORMAT)
        .body(Empty::<Bytes>::new())
        .map_err(|error| Trouble::Connection(io::Error::other(error)))?;
    let answer = async move {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => Trouble::TooLarge,
            Err(error) => Trouble::Connection(io::Error::other(error)),
        })?;
        Ok((status, body.to_bytes().to_vec()))
    };
    tokio::pin!(connection);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The answer reports what ended the connection.
        _ = &mut connection => answer.await,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use candor_model::Level;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn config(address: SocketAddr) -> ScrapeConfig {
        ScrapeConfig {
            name: "x".into(),
            address,
            path: "/metrics".into(),
            interval: ScrapeConfig::INTERVAL,
            metrics: vec!["up".into()],
            labels: Vec::new(),
            level: Level::Full,
        }
    }

    async fn answered(head: &str, body: Vec<u8>) -> Result<String, ScrapeError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config(listener.local_addr().unwrap());
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            assert!(asked[..length].starts_with(b"GET /metrics HTTP/1.1\r\n"));
            // It may have heard enough before all is said.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        };
        tokio::join!(fetch(&config), serve).0
    }

    #[tokio::test]
    async fn an_exporter_is_asked_and_its_text_taken() {
        assert_eq!(answered("200 OK", b"up 1\n".to_vec()).await.unwrap(), "up 1\n");
    }

    #[tokio::test]
    async fn what_is_no_exporters_answer_is_an_error_that_names_it() {
        let moved = answered("302 Found\r\nLocation: /elsewhere", Vec::new()).await;
        assert!(matches!(moved, Err(ScrapeError::Status { status: 302, .. })), "{moved:?}");
        let bytes = answered("200 OK", vec![0xff]).await;
        assert!(matches!(bytes, Err(ScrapeError::NoText { .. })), "{bytes:?}");
        let large = answered("200 OK", vec![b'#'; MAX_BYTES + 1]).await;
        assert!(matches!(large, Err(ScrapeError::TooLarge { .. })), "{large:?}");
    }

    #[tokio::test]
    async fn where_nobody_listens_the_error_says_where() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let said = fetch(&config(address)).await.unwrap_err().to_string();
        assert_eq!(said, format!("cannot ask the exporter x at {address}"));
    }
}
