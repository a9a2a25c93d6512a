//! A local program that speaks OTLP over HTTP to a real agent, as far as a test wants it to.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::eventually;

/// Longer than the agent takes over anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// One connection to the agent's socket, or to its port on loopback.
#[derive(Debug)]
pub struct Program(BufReader<Stream>);

#[derive(Debug)]
enum Stream {
    Socket(UnixStream),
    Loopback(TcpStream),
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream) => stream.read(bytes),
            Self::Loopback(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream) => stream.write(bytes),
            Self::Loopback(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream) => stream.flush(),
            Self::Loopback(stream) => stream.flush(),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The lines of the head, in lower case.
    pub head: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body in JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| unreachable!("{error}: {self:?}"))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Program {
    /// Connects to the socket of the agent with this root.
    ///
    /// # Errors
    /// What the socket says.
    pub fn connect(root: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(root.join("run/candor/otlp.sock"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::with_capacity(64 * 1024, Stream::Socket(stream))))
    }

    /// Connects to a port on loopback.
    ///
    /// # Errors
    /// What the system says.
    pub fn dial(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::with_capacity(64 * 1024, Stream::Loopback(stream))))
    }

    /// Connects as soon as the agent hears programs: it may follow a new configuration first.
    ///
    /// # Panics
    /// When it does not come to that.
    #[must_use]
    pub fn reach(root: &Path) -> Self {
        eventually("the agent hears programs", || Self::connect(root).ok())
    }

    /// Posts a body with these headers and reads the answer.
    ///
    /// # Errors
    /// What the connection says; it may have been sent all the same.
    pub fn post(&mut self, path: &str, headers: &[&str], body: &[u8]) -> io::Result<Reply> {
        let mut head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n");
        for header in headers {
            head = head + header + "\r\n";
        }
        head = format!("{head}content-length: {}\r\n\r\n", body.len());
        self.write(head.as_bytes())?;
        self.write(body)?;
        self.reply()
    }

    /// Posts a request in JSON.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub fn post_json(&mut self, path: &str, request: &Value) -> io::Result<Reply> {
        self.post(path, &["content-type: application/json"], request.to_string().as_bytes())
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// What the connection says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// The next answer.
    ///
    /// # Errors
    /// Where the connection ends before one is whole.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_ascii_lowercase()),
            }
        }
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let status = head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let mut reply = Reply { status: status.ok_or_else(bad)?, head, body: Vec::new() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        reply.body.resize(length.ok_or_else(bad)?, 0);
        self.0.read_exact(&mut reply.body)?;
        Ok(reply)
    }
}

/// An export request in JSON: records of one signal under a resource and a scope.
///
/// # Panics
/// When the signal is none of `logs`, `metrics`, `traces`.
#[must_use]
pub fn export(signal: &str, service: &str, records: &[Value]) -> Value {
    let (group, scope, list) = match signal {
        "logs" => ("resourceLogs", "scopeLogs", "logRecords"),
        "metrics" => ("resourceMetrics", "scopeMetrics", "metrics"),
        "traces" => ("resourceSpans", "scopeSpans", "spans"),
        other => unreachable!("{other} is no signal"),
    };
    let resource = json!({"attributes": [text("service.name", service)]});
    json!({group: [{"resource": resource, scope: [{"scope": {"name": "tests"}, list: records}]}]})
}

/// A text attribute.
#[must_use]
pub fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}
