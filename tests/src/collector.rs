//! A real collector on a free loopback port.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::programs;

/// A collector with its keys and its store. It is ended when this is dropped.
#[derive(Debug)]
pub struct Collector {
    dir: TempDir,
    process: Option<Child>,
    port: u16,
    made: Value,
}

impl Collector {
    /// Makes keys and serves.
    ///
    /// # Panics
    /// When either fails.
    #[must_use]
    pub fn start() -> Self {
        let mut collector = Self::prepare();
        collector.serve();
        collector
    }

    /// Makes keys, but does not serve yet: nobody listens at [`Self::endpoint`].
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn prepare() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let output = Command::new(&programs().collector)
            .args(["init", "--json", "--dir"])
            .arg(dir.path().join("c"))
            .output()
            .expect("candor-collector starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made = serde_json::from_slice(&output.stdout).expect("init --json gives JSON");
        Self { dir, process: None, port: free_port(), made }
    }

    /// Serves, on the same port as before.
    ///
    /// # Panics
    /// When it does not say that it listens.
    pub fn serve(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .expect("a log");
        let mut process = Command::new(&programs().collector)
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port), "--dir"])
            .arg(self.store())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("candor-collector starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("a line");
        assert!(line.contains("listening"), "{line}: {}", self.log());
        self.process = Some(process);
    }

    /// Kills it: no ordered stop, no last word.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
    }

    /// Kills it, forgets what it received, and serves again with the same keys.
    ///
    /// # Panics
    /// When it is not running or its store cannot be removed.
    pub fn empty(&mut self) {
        self.kill();
        for entry in fs::read_dir(self.store()).expect("its directory") {
            let path = entry.expect("an entry").path();
            if path.to_string_lossy().contains(".db") {
                fs::remove_file(path).expect("its store");
            }
        }
        self.serve();
    }

    /// Its keys and its store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("c")
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The CA that signed its certificate.
    ///
    /// # Panics
    /// When `init` named none.
    #[must_use]
    pub fn ca_file(&self) -> &str {
        self.made["ca_file"].as_str().expect("ca_file")
    }

    /// The pins that `init` printed.
    ///
    /// # Panics
    /// When `init` printed none.
    #[must_use]
    pub fn pins(&self) -> Vec<String> {
        let pins = self.made["pins"].as_array().expect("pins");
        pins.iter().map(|pin| pin.as_str().expect("a pin is text").to_owned()).collect()
    }

    /// What it holds, one object a record.
    ///
    /// # Panics
    /// When `query` fails.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        query(&self.store(), &["records"])
    }

    /// Everything of one trace.
    ///
    /// # Panics
    /// When `query` fails.
    #[must_use]
    pub fn trace(&self, id: &str) -> Vec<Value> {
        query(&self.store(), &["trace", id])
    }

    /// What is missing, by host.
    ///
    /// # Panics
    /// When `query` fails.
    #[must_use]
    pub fn gaps(&self) -> Vec<Value> {
        query(&self.store(), &["gaps"])
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn query(store: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = Command::new(&programs().collector)
        .arg("query")
        .args(arguments)
        .args(["--json", "--dir"])
        .arg(store)
        .output()
        .expect("candor-collector starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("NDJSON")).collect()
}

/// A port that was free a moment ago: a collector that is killed and started again keeps it.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("an address").port()
}
