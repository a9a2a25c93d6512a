//! A server in the test's own process, and a look at its store with the real program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use candor_collector::init::Initialised;
use candor_collector::serve::{Server, Settings};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Client;

pub(crate) struct Running {
    pub(crate) dir: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with other settings than the default ones.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Initialised::make(dir.path(), &[]).unwrap();
        let mut settings = Settings::new(dir.path().to_owned(), ([127, 0, 0, 1], 0).into());
        change(&mut settings);
        let server = Server::bind(settings).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async {
            stopped.await.ok();
        }));
        Self { dir, address, stop, task }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address, self.dir.path()).await.unwrap()
    }

    /// What `query records --json` prints.
    pub(crate) fn records(&self) -> Vec<Json> {
        query(self.dir.path(), &["records", "--json"])
    }

    /// Stops in order and waits until the store is closed.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self.dir
    }
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_candor-collector"))
}

/// The lines of a query as JSON.
pub(crate) fn query(dir: &Path, question: &[&str]) -> Vec<Json> {
    let output =
        Command::new(program()).arg("query").args(question).arg("--dir").arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
