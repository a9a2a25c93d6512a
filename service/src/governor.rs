//! The governor: the one place where a change of policy takes effect. It builds the engine when
//! telemetry is on, takes it down when it is off, and lets everything between follow.
//!
//! # Invariants
//! - A change is on the audit trail before it takes effect.
//! - The operator's setting is written here and nowhere else in the daemon, one request at a time.
//! - Nothing here waits for a probe or for the network: a change is confirmed at once.
//! - Off, and nothing to be kept: nothing waits in the store, whatever came before.
//!
//! A trail that fails is said in the log. An engine that cannot start, and a store that does not let go of
//! what it should, are said to whoever asked, and tried again once a minute; the policy counts all the same.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use candor_control::protocol::{
    Deleted, LevelChanged, LevelRequest, ProviderChanged, ProviderRequest, Refusal, Reloaded,
    UploadChanged,
};
use candor_model::DropReason;
use candor_model::events::agent::Role;
use candor_platform::{Message, report_event};
use candor_policy::remote::{Held, Origin};
use candor_policy::trail::{Author, Entry, Trail, changes, changes_since, switched};
use candor_policy::{LevelSetting, Operator, ProviderFiles, Snapshot, Until, Watch};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use crate::board::{Board, Rest};
use crate::engine::{Engine, Ground};
use crate::failure::{Failure, chain};
use crate::identity;
use crate::notice::Notice;
use crate::remote::{Brought, Outcome};
use crate::stop::Stop;

/// How long after something could not be done it is tried again.
const AGAIN: Duration = Duration::from_mins(1);

/// What the API asks for, and what the engine brings.
#[derive(Debug)]
pub(crate) enum Request {
    /// `set-level`.
    SetLevel(LevelRequest, Author, oneshot::Sender<Result<LevelChanged, Refusal>>),
    /// `enable`, `disable`.
    SetUpload {
        enabled: bool,
        keep_pending: bool,
        by: Author,
        done: oneshot::Sender<Result<UploadChanged, Refusal>>,
    },
    /// `providers enable`, `providers disable`.
    SwitchProvider(ProviderRequest, Author, oneshot::Sender<Result<ProviderChanged, Refusal>>),
    /// `delete --local`.
    Delete(Author, oneshot::Sender<Result<Deleted, Refusal>>),
    /// `reload`, SIGHUP.
    Reload(oneshot::Sender<Reloaded>),
    /// Remote settings were fetched, or not.
    Remote(Brought),
}

/// The governor and what it governs.
pub(crate) struct Governor {
    pub(crate) ground: Ground,
    pub(crate) board: Rc<Board>,
    pub(crate) watch: Watch,
    pub(crate) operator: Operator,
    pub(crate) trail: Trail,
    pub(crate) engine: Option<Engine>,
    /// When what could not be done, a start or a purge, is tried again.
    pub(crate) retry_at: Option<Instant>,
    pub(crate) notice: Notice,
}

impl Governor {
    /// Governs until the stop, then takes the engine down in order.
    ///
    /// # Errors
    /// When the engine gives up.
    pub(crate) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut stop: Stop,
    ) -> Result<(), Failure> {
        let mut policy = self.watch.subscribe();
        let failure = loop {
            tokio::select! {
                biased;
                () = stop.requested() => break None,
                gave_up = fails(&mut self.engine) => break Some(Failure::Task(gave_up)),
                Some(request) = requests.recv() => self.serve(request).await,
                Ok(()) = policy.changed() => {
                    let snapshot = Arc::clone(&policy.borrow_and_update());
                    self.apply(snapshot, None).await;
                }
                () = until(self.retry_at) => self.mend().await,
                () = nap(self.notice.due(&self.board.snapshot())) => {
                    self.notice.give(&self.board.snapshot());
                }
            }
        };
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
        failure.map_or(Ok(()), Err)
    }

    /// What the snapshot of the start demands; a change since the last run is told as one.
    ///
    /// # Errors
    /// When telemetry is on and the engine cannot start.
    pub(crate) async fn begin(&mut self) -> Result<(), Failure> {
        let snapshot = self.board.snapshot();
        if let Some(error) = &snapshot.config_error {
            tracing::warn!(%error, "agent.toml");
        }
        let level = snapshot.effective.level.effective;
        tracing::info!(level = level.number(), reason = %snapshot.effective.level.reason, "starting");
        self.note_changes_since_last_run(&snapshot);
        if snapshot.effective.upload_enabled {
            return self.switch_on(&snapshot).await;
        }
        self.purge_leftovers(&snapshot).await;
        self.note_what_is_owed();
        Ok(())
    }

    /// Does again what could not be done: a start, or a purge.
    async fn mend(&mut self) {
        let snapshot = self.board.snapshot();
        match &mut self.engine {
            Some(engine) => engine.purge_again().await,
            None if snapshot.effective.upload_enabled => return self.start_again().await,
            None => self.purge_leftovers(&snapshot).await,
        }
        self.note_what_is_owed();
    }

    fn note_what_is_owed(&mut self) {
        self.retry_at = self.owes_purge().then(|| Instant::now() + AGAIN);
    }

    /// Whether the store still holds what the policy wants gone.
    fn owes_purge(&self) -> bool {
        if let Some(engine) = &self.engine {
            return engine.owes_purge();
        }
        let (snapshot, rest) = (self.board.snapshot(), self.board.rest());
        !snapshot.effective.upload_enabled && !keeps_pending(&snapshot) && rest.ledger.pending > 0
    }

    /// Says it where the store still holds what should be gone.
    fn purged(&self) -> Result<(), Refusal> {
        if !self.owes_purge() {
            return Ok(());
        }
        let message = "it counts from now on, but what waited could not be deleted";
        Err(Refusal::failed(message).remedy(
            "free space on the disk of the state directory; it is tried again every minute, and the log \
             has the store's words",
        ))
    }

    fn note_changes_since_last_run(&self, snapshot: &Snapshot) {
        let wall = self.board.clock.wall();
        for mut entry in changes_since(&self.trail.entries(), &snapshot.effective, wall) {
            own_doing(&mut entry, snapshot.has_ended_raise());
            self.write(&entry);
        }
    }

    pub(crate) fn write(&self, entry: &Entry) {
        if let Err(error) = self.trail.append(entry) {
            tracing::error!(%error, "the audit trail could not be written");
        }
    }

    async fn serve(&mut self, request: Request) {
        // Who no longer waits for the answer need not be told.
        match request {
            Request::SetLevel(asked, by, done) => {
                let answer = self.set_level(&asked, by).await;
                let _gone = done.send(answer);
            }
            Request::SetUpload { enabled, keep_pending, by, done } => {
                let answer = self.set_upload(enabled, keep_pending, by).await;
                let _gone = done.send(answer);
            }
            Request::SwitchProvider(asked, by, done) => {
                let answer = self.switch_provider(&asked, &by).await;
                let _gone = done.send(answer);
            }
            Request::Delete(by, done) => {
                let answer = self.delete(&by).await;
                let _gone = done.send(answer);
            }
            Request::Reload(done) => {
                self.reload(None).await;
                if let Some(engine) = &self.engine {
                    engine.fetch_settings();
                }
                let _gone = done.send(self.reloaded());
            }
            Request::Remote(brought) => self.take_remote(brought).await,
        }
    }

    async fn set_level(
        &mut self,
        asked: &LevelRequest,
        by: Author,
    ) -> Result<LevelChanged, Refusal> {
        let snapshot = self.board.snapshot();
        if let Err(refusal) = snapshot.would_be(asked.level) {
            return Err(refused(&refusal, &format!("the level stays {}", refusal.effective)));
        }
        let until = asked.hold_for.map(|lasts| Until::after(&candor_policy::now(), lasts));
        let setting = LevelSetting { level: asked.level, until, reason: asked.reason.clone() };
        self.operator.set_level(&setting).map_err(|error| Refusal::failed(chain(&error)))?;
        let before = self.board.ledger().dropped.get(DropReason::Withdrawn);
        self.reread(Some(by)).await;
        self.purged()?;
        let withdrawn = self.dropped_since(DropReason::Withdrawn, before);
        Ok(LevelChanged { level: crate::status::level(&self.board.snapshot()), withdrawn })
    }

    async fn set_upload(
        &mut self,
        enabled: bool,
        keep_pending: bool,
        by: Author,
    ) -> Result<UploadChanged, Refusal> {
        let snapshot = self.board.snapshot();
        let was_enabled = snapshot.effective.upload_enabled;
        let stays = if was_enabled { "telemetry stays on" } else { "telemetry stays off" };
        snapshot.would_upload(enabled).map_err(|refusal| refused(&refusal, stays))?;
        self.operator
            .set_upload(enabled, keep_pending)
            .map_err(|error| Refusal::failed(chain(&error)))?;
        let before = self.board.ledger().dropped.get(DropReason::Disabled);
        self.reload(Some(by)).await;
        if let Some(why) = self.board.trouble() {
            let message = format!("telemetry is switched on and cannot start: {why}");
            return Err(Refusal::failed(message).remedy(crate::status::MEND));
        }
        self.purged()?;
        let dropped = self.dropped_since(DropReason::Disabled, before);
        let now = self.board.snapshot().effective.upload_enabled;
        Ok(UploadChanged { enabled: now, changed: now != was_enabled, dropped })
    }

    async fn switch_provider(
        &mut self,
        asked: &ProviderRequest,
        by: &Author,
    ) -> Result<ProviderChanged, Refusal> {
        let was = crate::providers::is_on(&self.board.providers(), asked)?;
        if was != asked.enabled {
            self.write(&switched(&asked.name, asked.enabled, by, self.board.clock.wall()));
        }
        ProviderFiles::switch(&self.ground.layout, &asked.name, asked.enabled)
            .map_err(|error| Refusal::failed(chain(&error)))?;
        self.reread(None).await;
        let enabled = crate::providers::is_on(&self.board.providers(), asked)?;
        Ok(ProviderChanged { name: asked.name.clone(), enabled, changed: enabled != was })
    }

    /// Takes what a fetch of remote settings brought, if they are still wanted.
    async fn take_remote(&mut self, brought: Brought) {
        let snapshot = self.board.snapshot();
        let words = &snapshot.effective.words;
        let Some(engine) = &self.engine else { return };
        if Origin::of(words).as_ref() != Some(&brought.origin) {
            return;
        }
        let now = self.board.clock.wall();
        let held = Held::new(&self.ground.layout);
        let outcome = Outcome::of(brought, &held, (engine.install_id(), now));
        let (outcome_word, reason) = outcome.told();
        tracing::info!(outcome = outcome_word, reason, "remote settings");
        if outcome.is_always_audited() || words.enable_one_settings_auditing == Some(true) {
            self.write(&outcome.entry(now));
        }
        if matches!(outcome, Outcome::Accepted(_)) {
            self.reread(None).await;
        }
    }

    /// How many records were dropped for a reason since there were so many. A store that was found
    /// damaged meanwhile may know of fewer.
    fn dropped_since(&self, reason: DropReason, before: u64) -> u64 {
        self.board.ledger().dropped.get(reason).saturating_sub(before)
    }

    fn reloaded(&self) -> Reloaded {
        let snapshot = self.board.snapshot();
        let mut warnings = snapshot.effective.remarks.clone();
        warnings.extend(snapshot.config_error.as_ref().map(ToString::to_string));
        Reloaded { level: crate::status::level(&snapshot), warnings }
    }

    /// Reads every layer now, rather than when the watch notices.
    async fn reread(&mut self, by: Option<Author>) {
        let snapshot = self.watch.reload();
        self.apply(snapshot, by).await;
    }

    /// The same where somebody asked for it: that ends a hold or a back-off at once, too.
    async fn reload(&mut self, by: Option<Author>) {
        let tried = self.retry_at;
        self.reread(by).await;
        match &self.engine {
            Some(engine) => engine.try_again(),
            None if tried.is_some() && tried == self.retry_at => self.mend().await,
            None => {}
        }
    }

    async fn apply(&mut self, new: Arc<Snapshot>, by: Option<Author>) {
        let old = self.board.snapshot();
        if old == new {
            return;
        }
        self.write_down(&old, &new, by.as_ref());
        self.board.set_snapshot(Arc::clone(&new));
        match (self.engine.take(), new.effective.upload_enabled) {
            (None, true) => self.start_again().await,
            (Some(engine), false) => {
                self.switch_off(engine, keeps_pending(&new)).await;
                self.note_what_is_owed();
            }
            (Some(mut engine), true) => {
                engine.obey(&new).await;
                self.engine = Some(engine);
                self.note_what_is_owed();
            }
            (None, false) => {
                self.board.set_trouble(None);
                self.purge_leftovers(&new).await;
                self.note_what_is_owed();
            }
        }
    }

    /// Writes what changed on the trail and into the log.
    fn write_down(&self, old: &Snapshot, new: &Snapshot, by: Option<&Author>) {
        let ended = by.is_none() && old.raise.is_some() && new.has_ended_raise();
        for mut entry in changes(&old.effective, &new.effective, by, self.board.clock.wall()) {
            own_doing(&mut entry, ended);
            tracing::info!(
                subject = entry.subject,
                from = entry.from,
                to = entry.to,
                layer = entry.layer,
                "changed"
            );
            self.write(&entry);
            report_event(Message::of_change(&entry.subject), &sentence(&entry));
        }
        let error = new.config_error.as_ref();
        if let Some(error) = error.filter(|error| old.config_error.as_ref() != Some(error)) {
            tracing::warn!(%error, "agent.toml is not used; the last good one runs on");
            let text = format!("agent.toml is not used; the last good one runs on: {error}");
            report_event(Message::BadConfiguration, &text);
        }
    }

    async fn switch_on(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        self.operator.hold_room();
        let _mine = self.board.closed_store().await;
        let engine = Engine::start(&self.ground, snapshot).await?;
        self.board.set_view(engine.view());
        self.engine = Some(engine);
        self.retry_at = None;
        Ok(())
    }

    pub(crate) async fn start_again(&mut self) {
        let snapshot = self.board.snapshot();
        if let Err(error) = self.switch_on(&snapshot).await {
            let why = chain(&error);
            tracing::error!(error = why, "telemetry is on and cannot start");
            report_event(Message::CannotStart, &format!("telemetry is on and cannot start: {why}"));
            self.board.set_trouble(Some(why));
            self.retry_at = Some(Instant::now() + AGAIN);
        }
    }

    async fn switch_off(&self, engine: Engine, keep_pending: bool) {
        let install_id = Some(engine.view().install_id());
        let ledger = engine.disable(keep_pending).await;
        self.board.set_rest(Rest { install_id, ledger, is_behind: false });
        candor_platform::trim();
    }

    /// Telemetry was switched off while no engine ran: what still waits goes now.
    async fn purge_leftovers(&self, snapshot: &Snapshot) {
        let rest = self.board.rest();
        let may_wait = rest.ledger.pending > 0 || rest.is_behind;
        if !may_wait || keeps_pending(snapshot) {
            return;
        }
        let _mine = self.board.closed_store().await;
        match identity::open_spool(&self.ground.layout.state_dir(), &snapshot.config) {
            Ok(spool) => {
                if let Err(error) = spool.clear(DropReason::Disabled).await {
                    tracing::error!(error = chain(&error), "what waited could not be purged");
                }
                self.board.set_rest(Rest { ledger: spool.ledger(), is_behind: false, ..rest });
                if let Err(error) = spool.close().await {
                    tracing::error!(%error, "the store did not close in order");
                }
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "what waited could not be purged");
            }
        }
    }
}

/// Whether the owner, switching telemetry off, wanted to keep what waits.
fn keeps_pending(snapshot: &Snapshot) -> bool {
    snapshot.effective.words.keep_pending == Some(true)
}

/// A change in the words of the event log.
fn sentence(entry: &Entry) -> String {
    let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let by = entry.layer.as_deref().map_or_else(String::new, |layer| format!(", by {layer}"));
    format!("{}: from {} to {}{by}", entry.subject, told(&entry.from), told(&entry.to))
}

/// A level that fell because its time had ended is nobody's doing but the agent's.
fn own_doing(entry: &mut Entry, has_ended: bool) {
    if has_ended && entry.subject == "level" {
        entry.role = Some(Role::Agent.word().to_owned());
        entry.reason = Some("the time for which the level was set is over".to_owned());
    }
}

/// Pends while there is no engine.
async fn fails(engine: &mut Option<Engine>) -> crate::supervisor::GaveUp {
    match engine {
        Some(engine) => engine.fails().await,
        None => std::future::pending().await,
    }
}

/// Sleeps so long, or for ever.
async fn nap(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Pends for ever where there is no time.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn refused(refusal: &candor_policy::Refusal, stays: &str) -> Refusal {
    Refusal::refused_by_policy(format!("{refusal}; {stays}"))
        .remedy("`agentctl explain` names the layer; whoever keeps it can change it")
}
