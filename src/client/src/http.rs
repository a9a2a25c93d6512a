//! One request over a connection of its own, as little HTTP/1.1 as it takes.
//!
//! # Invariants
//! - It ends within the time that it is given; an answer is at most [`MAX_ANSWER`].
//!
//! On failure: the system's error; an answer that is no HTTP is one too.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::Endpoint;

const MAX_ANSWER: u64 = 64 * 1024;
/// Longest a connection, a write or a read may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the agent answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: String,
}

/// Sends a batch of log records in JSON.
pub(crate) fn post(endpoint: &Endpoint, body: &str) -> io::Result<Answer> {
    let request = format!(
        "POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    match endpoint {
        #[cfg(unix)]
        Endpoint::Socket(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            exchange(stream, &request)
        }
        #[cfg(not(unix))]
        Endpoint::Socket(_) => Err(io::ErrorKind::Unsupported.into()),
        Endpoint::Loopback(port) => {
            let address = SocketAddr::from(([127, 0, 0, 1], *port));
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            exchange(stream, &request)
        }
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<Answer> {
    // The agent may answer before it has read everything.
    let written = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let read = stream.take(MAX_ANSWER).read_to_end(&mut answer);
    match parse(&answer) {
        Some(answer) => Ok(answer),
        None => {
            Err(written.err().or(read.err()).unwrap_or_else(|| io::ErrorKind::InvalidData.into()))
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let seconds = header("retry-after").and_then(|value| value.parse().ok());
    Some(Answer { status, retry_after: seconds.map(Duration::from_secs), body: body.to_owned() })
}

/// How many records a partial success refused.
pub(crate) fn rejected(body: &str) -> u64 {
    let Some((_, rest)) = body.split_once("rejectedLogRecords") else { return 0 };
    let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_far_as_it_matters() {
        let bytes = b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nretry-after:  7\r\n\r\n";
        let expected =
            Answer { status: 429, retry_after: Some(Duration::from_secs(7)), body: String::new() };
        assert_eq!(parse(bytes), Some(expected));
        for bytes in [&b""[..], b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1\r\n\r\n"] {
            assert_eq!(parse(bytes), None);
        }
    }

    #[test]
    fn what_was_refused_is_counted() {
        assert_eq!(
            rejected(r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"x"}}"#),
            3
        );
        assert_eq!(rejected("{}"), 0);
        assert_eq!(rejected(r#"{"rejectedLogRecords"#), 0);
    }
}
