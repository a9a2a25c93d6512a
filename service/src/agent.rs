//! The composition root: the one place that builds things. It holds handles and has no behaviour.

use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use candor_journal::Journal;
use candor_platform::{Clock, InstanceLock, Layout, Listener, SystemClock};
use candor_policy::trail::Trail;
use candor_policy::{Operator, Snapshot, Sources};
use candor_probes::Host;
use tokio::sync::{mpsc, oneshot};

use crate::api::Api;
use crate::board::{Board, Rest};
use crate::chronicle::Archive;
use crate::engine::{Ground, journal_bounds};
use crate::failure::Failure;
use crate::governor::{Governor, Request};
use crate::notice::Notice;
use crate::options::Run;
use crate::stop::{Stop, stop};
use crate::supervisor::Supervisor;

/// Requests that may wait for the governor; further clients wait in front of it.
const REQUESTS: usize = 8;

/// What is known before anything runs.
pub(crate) struct Prepared {
    layout: Layout,
    sources: Sources,
    host: Host,
    first: Snapshot,
}

impl Prepared {
    /// Reads the configuration once.
    ///
    /// # Errors
    /// When `agent.toml` cannot be understood: a daemon must not run by defaults that its owner did not choose.
    pub(crate) fn read(run: &Run) -> Result<Self, Failure> {
        let layout = Layout::resolve(run.root.as_deref());
        let sources = Sources::new(&layout, run.config.as_deref());
        let first = sources.load();
        if let Some(error) = first.config_error {
            return Err(Failure::Configuration(error));
        }
        let host = run.host_root.as_deref().map_or_else(Host::live, Host::new);
        Ok(Self { layout, sources, host, first })
    }

    /// The configuration that was read.
    pub(crate) fn config(&self) -> &candor_policy::Config {
        &self.first.config
    }

    /// Runs the agent until `ended` completes; `ready` is called once it answers and hears local programs,
    /// `reload` whenever it should read its configuration again.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn run(
        self,
        ready: impl FnOnce(),
        ended: impl Future<Output = ()>,
        reload: mpsc::Receiver<()>,
    ) -> Result<(), Failure> {
        let state_dir = self.layout.state_dir();
        candor_platform::create_private_dir(&state_dir).map_err(Failure::Files)?;
        // Held until the store is closed.
        let _lock = lock(&state_dir)?;
        let listener = Listener::bind(&self.layout.control()).map_err(Failure::Control)?;
        let rest = candor_spool::peek(&state_dir).map(Rest::from).unwrap_or_default();
        let watch = self.sources.watch().map_err(Failure::Watch)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let board = Board::new(watch.current(), rest, Arc::clone(&clock));
        let (requests, waiting) = mpsc::channel(REQUESTS);
        let layout = self.layout.clone();
        let trail = Trail::at(&layout.audit_trail());
        let journal = Journal::new(&self.layout.state_dir(), journal_bounds(&self.first.config));
        let mut governor = Governor {
            operator: Operator::new(&self.layout),
            trail: trail.clone(),
            board: Rc::clone(&board),
            watch,
            ground: Ground {
                layout: self.layout,
                host: self.host,
                clock,
                governor: requests.clone(),
                journal: journal.clone(),
            },
            engine: None,
            retry_at: None,
            notice: Notice::default(),
        };
        governor.begin().await?;
        let archive = Archive::new(journal, layout.state_dir());
        let first = Rc::clone(&board);
        let api = Api { board, requests: requests.clone(), trail, archive, layout: layout.clone() };
        let outcome =
            conduct(governor, waiting, Control { layout, api, first: Some(listener) }, async {
                first.opened().await;
                ready();
                tokio::select! {
                    () = ended => {}
                    () = pass_on(reload, requests) => {}
                }
            });
        outcome.await
    }
}

/// One agent a state directory.
fn lock(state_dir: &Path) -> Result<InstanceLock, Failure> {
    let lock = InstanceLock::take(state_dir).map_err(Failure::Files)?;
    lock.ok_or_else(|| Failure::Running {
        dir: state_dir.display().to_string(),
        holder: InstanceLock::holder(state_dir)
            .map(|id| format!(" (process {id})"))
            .unwrap_or_default(),
    })
}

/// Hands every reload on; never ends, since an agent that cannot be asked to reload still runs.
async fn pass_on(mut reload: mpsc::Receiver<()>, requests: mpsc::Sender<Request>) {
    while reload.recv().await.is_some() {
        let (done, answer) = oneshot::channel();
        if requests.send(Request::Reload(done)).await.is_ok() {
            for warning in answer.await.map(|reloaded| reloaded.warnings).unwrap_or_default() {
                tracing::warn!(warning, "reloaded");
            }
        }
    }
    std::future::pending::<()>().await;
}

/// What the control server is made from.
struct Control {
    layout: Layout,
    api: Api,
    /// Bound before anything else starts; after a panic the endpoint is bound anew.
    first: Option<Listener>,
}

/// Lets governor, control server and local programs' way in run side by side; that way is closed
/// first, the control endpoint goes last.
async fn conduct(
    governor: Governor,
    waiting: mpsc::Receiver<Request>,
    mut control: Control,
    ended: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let (governed, stop_governor) = stop();
    let (served, stop_server) = stop();
    let mut supervisor = Supervisor::default();
    let (board, policy) = (Rc::clone(&governor.board), governor.watch.subscribe());
    let (layout, stop_ingest) = (control.layout.clone(), stop_governor.clone());
    supervisor.own("control", move || serve(&mut control, stop_server.clone()));
    supervisor.own("ingest", move || {
        let board = Rc::clone(&board);
        crate::ingest::run(board, layout.clone(), policy.clone(), stop_ingest.clone())
    });
    let (board, policy) = (Rc::clone(&governor.board), governor.watch.subscribe());
    let stop_scraping = stop_governor.clone();
    supervisor.own("scrape", move || {
        crate::scrape::run(Rc::clone(&board), policy.clone(), stop_scraping.clone())
    });
    let governing = async {
        let outcome = governor.run(waiting, stop_governor).await;
        served.stop();
        outcome
    };
    let watching = async { supervisor.watch().await.map_err(Failure::Task) };
    let ending = async {
        ended.await;
        governed.stop();
        Ok(())
    };
    let mut ending = std::pin::pin!(ending);
    let both = async { tokio::try_join!(governing, watching).map(|((), ())| ()) };
    let mut both = std::pin::pin!(both);
    tokio::select! {
        outcome = &mut both => outcome,
        ended = &mut ending => { ended?; both.await }
    }
}

fn serve(control: &mut Control, mut stop: Stop) -> impl Future<Output = ()> + use<> {
    let (layout, api, first) = (control.layout.clone(), control.api.clone(), control.first.take());
    async move {
        // Who finds the agent answering finds its ways in open too.
        api.board.opened().await;
        let listener = first.map_or_else(|| Listener::bind(&layout.control()), Ok);
        match listener {
            Ok(listener) => candor_control::serve(listener, &api, stop.requested()).await,
            Err(error) => tracing::error!(%error, "the control endpoint is gone"),
        }
    }
}
