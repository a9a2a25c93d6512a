//! The engine: probes, spool and uploader, while telemetry is on. It is built when telemetry is
//! switched on and taken down when it is switched off, so that off leaves nothing that could act.
//!
//! # Invariants
//! - Its parts see only their share of the [`Plan`]; none reads configuration for itself.
//! - A lower level counts for the upload under way first, then for the store, then for the probes.
//! - Order of stopping: probes, last report, commit, a last upload within its budget, store; each has a
//!   deadline, so that a probe that hangs does not keep the agent from stopping.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use candor_ingest::{Desk, DeskSettings};
use candor_journal::{Bounds, Journal};
use candor_model::events::agent::{FailedProbe, Settings};
use candor_model::{DropReason, Level};
use candor_pipeline::{Pipeline, PipelineSettings};
use candor_platform::{Clock, Layout};
use candor_policy::remote::Held;
use candor_policy::trail::Trail;
use candor_policy::{Config, Snapshot};
use candor_probes::{Host, Probe, ProbeStatus};
use candor_spool::{Ledger, Spool};
use candor_upload::{Command, TellGaps, UploadSettings, UploadStatus, Uploader};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::collect::{Ask, Collect, GapAsks};
use crate::failure::{Failure, chain};
use crate::governor::Request;
use crate::identity::{Identity, open_spool, spool_settings};
use crate::own::{HealthProbe, SettingsProbe, Shared};
use crate::plan::Plan;
use crate::remote::Fetching;
use crate::supervisor::{GaveUp, Supervisor};

/// How long the last upload before an ordered stop may take.
pub(crate) const LAST_UPLOAD: Duration = Duration::from_secs(3);
/// How long the last report before it may take.
const LAST_REPORT: Duration = Duration::from_secs(2);
/// Questions that may wait for the collecting task; who asks further ones waits.
const ASKS: usize = 8;
/// Commands that may wait for the uploader; who sends further ones waits.
const COMMANDS: usize = 8;

/// What the engine is built from.
pub(crate) struct Ground {
    pub(crate) layout: Layout,
    pub(crate) host: Host,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where fetched settings go.
    pub(crate) governor: mpsc::Sender<Request>,
    /// Where what leaves is written down.
    pub(crate) journal: Journal,
}

/// The parts that tasks are made from, again and again if need be.
struct Parts {
    spool: Spool,
    identity: Identity,
    trail: Trail,
    host: Host,
    clock: Arc<dyn Clock>,
    plan: watch::Receiver<Arc<Plan>>,
    upload: watch::Receiver<Arc<UploadSettings>>,
    stop: watch::Receiver<Option<Duration>>,
    settings: Shared<Settings>,
    probe_settings: candor_probes::Settings,
    failed: Shared<Vec<FailedProbe>>,
    statuses: Rc<RefCell<Vec<ProbeStatus>>>,
    withheld: Rc<Cell<u64>>,
    asks: RefCell<mpsc::Sender<Ask>>,
    commands: RefCell<mpsc::Sender<Command>>,
    held: Held,
    governor: mpsc::Sender<Request>,
    fetches: RefCell<mpsc::Sender<()>>,
    status: Shared<watch::Receiver<UploadStatus>>,
    tell_gaps: TellGaps,
    gaps: GapAsks,
    /// Made when the first local program sends something.
    desk: OnceCell<Rc<Desk>>,
    journal: Journal,
}

/// A running engine.
pub(crate) struct Engine {
    parts: Rc<Parts>,
    plan: watch::Sender<Arc<Plan>>,
    upload: watch::Sender<Arc<UploadSettings>>,
    stop: watch::Sender<Option<Duration>>,
    supervisor: Supervisor,
    install_id: String,
    state_dir: PathBuf,
    crashes_file: PathBuf,
    bounds: candor_spool::Settings,
    /// The store refused to let go of what waits above this level; it is asked again.
    owed: Option<Level>,
}

/// What others may look at while the engine runs.
#[derive(Clone)]
pub(crate) struct View(Rc<Parts>);

impl Engine {
    /// Opens the store and starts the tasks.
    ///
    /// # Errors
    /// When the store or the installation's secret cannot be opened.
    pub(crate) async fn start(ground: &Ground, snapshot: &Snapshot) -> Result<Self, Failure> {
        let state_dir = ground.layout.state_dir();
        let spool = open_spool(&state_dir, &snapshot.config)?;
        let identity = Identity::load(&ground.layout.secret_file())?;
        let install_id = spool.install_id().to_owned();
        let level = snapshot.effective.level.effective;
        // What waits from a time with a higher level goes before anything else happens.
        spool.lower_to(level).await.map_err(Failure::Store)?;
        let first = Arc::new(Plan::of(snapshot, &install_id));
        let (plan, plans) = watch::channel(Arc::clone(&first));
        let (upload, uploads) = watch::channel(Arc::clone(&first.upload));
        let (stop, stops) = watch::channel(None);
        let (_, status) = Uploader::new(spool.clone());
        let (tell_gaps, gaps) = mpsc::channel(1);
        let parts = Rc::new(Parts {
            probe_settings: probe_settings(&identity, &ground.layout),
            spool,
            identity,
            trail: Trail::at(&ground.layout.audit_trail()),
            host: ground.host.clone(),
            clock: Arc::clone(&ground.clock),
            plan: plans,
            upload: uploads,
            stop: stops,
            settings: Shared::default(),
            failed: Shared::default(),
            statuses: Rc::default(),
            withheld: Rc::default(),
            asks: RefCell::new(mpsc::channel(1).0),
            commands: RefCell::new(mpsc::channel(1).0),
            held: Held::new(&ground.layout),
            governor: ground.governor.clone(),
            fetches: RefCell::new(mpsc::channel(1).0),
            status: Shared::new(status),
            tell_gaps,
            gaps: Rc::new(Mutex::new(gaps)),
            desk: OnceCell::new(),
            journal: ground.journal.clone(),
        });
        parts.bound_journal(snapshot).await;
        parts.settings.set(first.settings.clone());
        parts.probe_settings.limit_logs.set(first.limit_logs);
        let mut supervisor = Supervisor::default();
        let uploading = Rc::clone(&parts);
        supervisor.own("upload", move || uploading.upload());
        let collecting = Rc::clone(&parts);
        supervisor.own("collect", move || collecting.collect());
        let fetching = Rc::clone(&parts);
        supervisor.own("remote", move || fetching.fetch());
        let bounds = spool_settings(&state_dir, &snapshot.config);
        Ok(Self {
            parts,
            plan,
            upload,
            stop,
            supervisor,
            install_id,
            state_dir,
            crashes_file: ground.layout.crashes_file(),
            bounds,
            owed: None,
        })
    }

    /// What others may look at.
    pub(crate) fn view(&self) -> View {
        View(Rc::clone(&self.parts))
    }

    /// Takes over a changed snapshot: what may no longer go on first, then the rest.
    pub(crate) async fn obey(&mut self, snapshot: &Snapshot) {
        let plan = Arc::new(Plan::of(snapshot, &self.install_id));
        if *self.upload.borrow() != plan.upload {
            self.upload.send_replace(Arc::clone(&plan.upload));
        }
        let (old, new) = (self.plan.borrow().collecting.level, plan.collecting.level);
        if new != old {
            self.change_level(old, new).await;
        }
        self.change_bounds(spool_settings(&self.state_dir, &snapshot.config)).await;
        self.parts.bound_journal(snapshot).await;
        self.parts.settings.set(plan.settings.clone());
        self.parts.probe_settings.limit_logs.set(plan.limit_logs);
        self.plan.send_replace(plan);
    }

    /// The random id of this installation.
    pub(crate) fn install_id(&self) -> &str {
        &self.install_id
    }

    /// Has remote settings fetched now, where they are wanted.
    pub(crate) fn fetch_settings(&self) {
        // One that is asked for already is enough.
        let _full = self.parts.fetches.borrow().try_send(());
    }

    /// Ends a hold or a back-off at once.
    pub(crate) fn try_again(&self) {
        // Settings that are sent again count as new ones.
        self.upload.send_modify(|_| {});
    }

    async fn change_bounds(&mut self, bounds: candor_spool::Settings) {
        if bounds == self.bounds {
            return;
        }
        if let Err(error) = self.parts.spool.configure(bounds.clone()).await {
            tracing::error!(%error, "the spool could not take its new bounds");
        }
        self.bounds = bounds;
    }

    async fn change_level(&mut self, old: Level, new: Level) {
        // What is owed from before goes first: a raise must not bring it back.
        self.purge_again().await;
        if new < old {
            return self.lower(new).await;
        }
        if let Err(error) = self.parts.spool.set_ceiling(new).await {
            tracing::error!(%error, "the spool could not follow the change of level");
        }
    }

    async fn lower(&mut self, level: Level) {
        match self.parts.spool.lower_to(level).await {
            Ok(withdrawn) => {
                self.owed = None;
                tracing::info!(%level, withdrawn, "level lowered");
            }
            Err(error) => {
                self.owed = Some(level);
                tracing::error!(
                    error = chain(&error),
                    "what waits above the level could not be deleted"
                );
            }
        }
    }

    /// Deletes what a lower level should have deleted, if the store refused it then.
    pub(crate) async fn purge_again(&mut self) {
        if let Some(level) = self.owed {
            self.lower(level).await;
        }
    }

    /// Whether something waits above a level that no longer holds.
    pub(crate) const fn owes_purge(&self) -> bool {
        self.owed.is_some()
    }

    /// Returns only when a task used up its restarts.
    pub(crate) async fn fails(&mut self) -> GaveUp {
        loop {
            match self.supervisor.watch().await {
                Err(gave_up) => return gave_up,
                // Tasks end by themselves only during a stop, which asks in its own way.
                Ok(()) => std::future::pending().await,
            }
        }
    }

    /// Ordered stop: last report, last upload, store.
    pub(crate) async fn stop(mut self) {
        let view = self.view();
        if tokio::time::timeout(LAST_REPORT, view.report(true)).await.is_err() {
            tracing::warn!("the last report did not come in time and was left");
        }
        self.stop.send_replace(Some(LAST_UPLOAD));
        self.parts.asks.replace(mpsc::channel(1).0);
        let ends = self.supervisor.watch();
        if tokio::time::timeout(LAST_UPLOAD + Duration::from_secs(1), ends).await.is_err() {
            tracing::warn!("a task did not end in time and was left");
        }
        drop(self.supervisor);
        close(self.parts.spool.clone()).await;
    }

    /// Cuts the upload and every probe's round at once; what is left is the store.
    pub(crate) fn cut(self) -> Spool {
        drop(self.supervisor);
        self.parts.spool.clone()
    }

    /// Off: the upload in flight is cut, what waits is purged or kept, the store is closed. Returns
    /// the ledger as it was last.
    pub(crate) async fn disable(self, keep_pending: bool) -> Ledger {
        // What crashes from now on is nobody's business, also after the next enable.
        let _gone = candor_platform::remove(&self.crashes_file);
        let spool = self.cut();
        let settled = if keep_pending {
            spool.commit().await
        } else {
            spool.clear(DropReason::Disabled).await.map(drop)
        };
        if let Err(error) = settled {
            tracing::error!(
                error = chain(&error),
                "what waited could not be settled while switching off"
            );
        }
        let ledger = spool.ledger();
        close(spool).await;
        ledger
    }
}

/// What the journal may take, as configured.
pub(crate) const fn journal_bounds(config: &Config) -> Bounds {
    Bounds { max_bytes: config.journal.max_bytes, max_age: config.journal.max_age }
}

/// What the probes are told of this installation.
fn probe_settings(identity: &Identity, layout: &Layout) -> candor_probes::Settings {
    candor_probes::Settings {
        pseudonym: Arc::clone(&identity.ids),
        forecast_file: Some(layout.forecast_file()),
        crashes_file: Some(layout.crashes_file()),
        ..candor_probes::Settings::default()
    }
}

/// What the host runs on, for the uploader.
fn look(host: &Host) -> candor_upload::Surroundings {
    let told = candor_probes::Surroundings::of(host);
    candor_upload::Surroundings { is_on_battery: told.is_on_battery, is_metered: told.is_metered }
}

/// Commits, cleans up, and ends the store's thread.
async fn close(spool: Spool) {
    if let Err(error) = spool.close().await {
        tracing::error!(%error, "the store did not close in order");
    }
}

impl Parts {
    fn collect(self: &Rc<Self>) -> impl Future<Output = ()> + use<> {
        let (sender, asks) = mpsc::channel(ASKS);
        self.asks.replace(sender);
        let mut all: Vec<Box<dyn Probe>> = vec![
            Box::new(SettingsProbe(self.settings.clone())),
            Box::new(HealthProbe {
                spool: self.spool.clone(),
                upload: self.status.clone(),
                failed: self.failed.clone(),
            }),
        ];
        all.extend(candor_probes::all(&self.probe_settings));
        let settings = PipelineSettings {
            host: self.host.clone(),
            boot: Arc::clone(&self.identity.boot),
            probes: all,
            intervals: self.plan.borrow().collecting.intervals,
        };
        Collect {
            pipeline: Pipeline::new(settings),
            host: self.host.clone(),
            watch: None,
            spool: self.spool.clone(),
            trail: self.trail.clone(),
            clock: Arc::clone(&self.clock),
            plan: self.plan.clone(),
            statuses: Rc::clone(&self.statuses),
            withheld: Rc::clone(&self.withheld),
            failed: self.failed.clone(),
            gaps: Rc::clone(&self.gaps),
        }
        .run(asks)
    }

    /// The journal as configured; what is beyond it goes at once.
    async fn bound_journal(&self, snapshot: &Snapshot) {
        if self.journal.configure(journal_bounds(&snapshot.config)) {
            let (journal, now) = (self.journal.clone(), self.clock.wall());
            // What does not come about is said by the journal.
            let _done = tokio::task::spawn_blocking(move || journal.tidy(now)).await;
        }
    }

    fn desk(&self) -> Rc<Desk> {
        let make = || {
            Rc::new(Desk::new(DeskSettings {
                spool: self.spool.clone(),
                boot: Arc::clone(&self.identity.boot),
                scrubber: candor_pipeline::scrubber(&self.host),
                clock: Arc::clone(&self.clock),
            }))
        };
        Rc::clone(self.desk.get_or_init(make))
    }

    fn fetch(self: &Rc<Self>) -> impl Future<Output = ()> + use<> {
        let (sender, asked) = mpsc::channel(1);
        self.fetches.replace(sender);
        Fetching {
            held: self.held.clone(),
            plan: self.plan.clone(),
            stop: self.stop.clone(),
            asked,
            governor: self.governor.clone(),
        }
        .run()
    }

    fn upload(self: &Rc<Self>) -> impl Future<Output = ()> + use<> {
        let (sender, commands) = mpsc::channel(COMMANDS);
        self.commands.replace(sender);
        let (uploader, status) = Uploader::new(self.spool.clone());
        // What an uploader that panicked has sent stays sent.
        let uploader = uploader.resuming(&self.status.get().borrow());
        self.status.set(status);
        let host = self.host.clone();
        let uploader =
            uploader.with_herald(self.tell_gaps.clone()).with_look(Arc::new(move || look(&host)));
        let uploader = uploader.with_journal(self.journal.clone());
        uploader.run(self.upload.clone(), commands, self.stop.clone())
    }
}

impl View {
    /// The ledger of this moment.
    pub(crate) fn ledger(&self) -> Ledger {
        self.0.spool.ledger()
    }

    /// How the uploader does.
    pub(crate) fn upload(&self) -> UploadStatus {
        self.0.status.get().borrow().clone()
    }

    /// What is known of the probes.
    pub(crate) fn probes(&self) -> Vec<ProbeStatus> {
        self.0.statuses.borrow().clone()
    }

    /// Records that the gate did not let pass, since the engine started.
    pub(crate) fn withheld(&self) -> u64 {
        let of_programs: u64 = self.0.desk.get().map_or(0, |desk| desk.withheld().iter().sum());
        self.0.withheld.get() + of_programs
    }

    /// Where local programs' records are kept.
    pub(crate) fn desk(&self) -> Rc<Desk> {
        self.0.desk()
    }

    /// The level, and whether there is somebody to collect for.
    pub(crate) fn collects(&self) -> (Level, bool) {
        let collecting = self.0.plan.borrow().collecting;
        (collecting.level, collecting.has_receiver)
    }

    /// The random id of this installation.
    pub(crate) fn install_id(&self) -> String {
        self.0.spool.install_id().to_owned()
    }

    /// The store.
    pub(crate) fn spool(&self) -> Spool {
        self.0.spool.clone()
    }

    /// Calls of fsync by what the engine keeps, since the start.
    pub(crate) fn fsyncs(&self) -> u64 {
        self.0.spool.ledger().fsyncs + self.0.journal.fsyncs()
    }

    /// The id of this boot, as it is sent.
    pub(crate) fn boot_id(&self) -> String {
        self.0.identity.boot.to_string()
    }

    /// Where a flush is asked for.
    pub(crate) fn commands(&self) -> mpsc::Sender<Command> {
        self.0.commands.borrow().clone()
    }

    /// Has the probes report what they sampled, and commits it; `last` ends collecting.
    pub(crate) async fn report(&self, last: bool) {
        let asks = self.0.asks.borrow().clone();
        let (done, answer) = oneshot::channel();
        if asks.send(Ask { last, done }).await.is_ok() {
            // A task that panicked meanwhile answers no more; its next round says what it missed.
            let _gone = answer.await;
        }
    }
}
