//! A viewer that `agentctl view` serves, and requests to it as a browser or a stranger would make them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::{Agent, Outcome, eventually, programs};

/// A running viewer. It is ended when this is dropped.
#[derive(Debug)]
pub struct Viewer {
    process: Child,
    /// The file that opens the page.
    pub file: PathBuf,
    /// Where the page is.
    pub address: SocketAddr,
    /// The key that stands in the file.
    pub key: String,
}

impl Viewer {
    /// Starts it on a running agent.
    ///
    /// # Panics
    /// When it does not say where it is.
    #[must_use]
    pub fn start(agent: &Agent, arguments: &[&str]) -> Self {
        let mut process = Command::new(&programs().agentctl)
            .args(["--json", "view", "--no-open", "--root"])
            .arg(agent.root())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("agentctl");
        let mut line = String::new();
        let mut output = BufReader::with_capacity(1, process.stdout.as_mut().expect("its output"));
        output.read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("where the viewer is");
        let file = PathBuf::from(said["file"].as_str().expect("a file"));
        let form = fs::read_to_string(&file).expect("the file that opens the page");
        let key = form.split("value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let address = said["address"].as_str().expect("an address");
        let address = address.trim_start_matches("http://").trim_end_matches('/').parse();
        let (key, address) = (key.expect("a key").to_owned(), address.expect("an address"));
        Self { process, file, address, key }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it said at its end, once that has come.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn end(mut self) -> Outcome {
        let code = eventually("the viewer ends", || self.process.try_wait().expect("its end"));
        let mut outcome =
            Outcome { code: code.code(), stdout: String::new(), stderr: String::new() };
        let (out, err) = (self.process.stdout.take(), self.process.stderr.take());
        out.expect("its output").read_to_string(&mut outcome.stdout).expect("UTF-8");
        err.expect("its errors").read_to_string(&mut outcome.stderr).expect("UTF-8");
        outcome
    }

    /// One request; the whole answer. Without an answer, when the viewer hangs up: nothing.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn send(&self, line: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("the viewer");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a limit");
        let length = body.len();
        let fixed = format!("Connection: close\r\nContent-Length: {length}\r\n");
        let request = format!("{line} HTTP/1.1\r\n{fixed}{headers}\r\n{body}");
        let mut answer = Vec::new();
        // It may hang up before it has read, or while we do.
        let _ = stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_end(&mut answer).map(drop));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Posts the key as the file does; the cookie, where it opened.
    #[must_use]
    pub fn open(&self, key: &str) -> Option<String> {
        let headers = format!("Host: {}\r\nOrigin: null\r\n", self.address);
        let answer = self.send("POST /open", &headers, &format!("key={key}"));
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "))?;
        cookie.split(';').next().map(str::to_owned)
    }

    /// A question of the page with this session: the status, and the JSON where it is one.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn ask(&self, path: &str, cookie: &str) -> (u16, Value) {
        let headers = format!("Host: {}\r\nCookie: {cookie}\r\n", self.address);
        let answer = self.send(&format!("GET {path}"), &headers, "");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), serde_json::from_str(body).unwrap_or_default())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
