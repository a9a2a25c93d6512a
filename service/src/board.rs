//! What `status` looks at: the policy that holds, the engine while there is one, and what was known
//! last when there is none. Written by the governor, read by the API; one thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use candor_platform::Clock;
use candor_policy::Snapshot;
use candor_providers::Registry;
use candor_spool::Ledger;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::engine::View;
use crate::providers::Providers;

/// What is known of the store while no engine has it open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    /// Null on a host that was off from its first start.
    pub(crate) install_id: Option<String>,
    /// The ledger as it was last.
    pub(crate) ledger: Ledger,
    /// The store may hold more than the ledger says: the last run was killed.
    pub(crate) is_behind: bool,
}

impl From<candor_spool::Peek> for Rest {
    fn from(peek: candor_spool::Peek) -> Self {
        let candor_spool::Peek { install_id, ledger, is_behind } = peek;
        Self { install_id: Some(install_id), ledger, is_behind }
    }
}

/// The shared picture.
pub(crate) struct Board {
    snapshot: RefCell<Arc<Snapshot>>,
    view: RefCell<Option<View>>,
    rest: RefCell<Rest>,
    trouble: RefCell<Option<String>>,
    ingest_trouble: RefCell<Option<String>>,
    /// Local programs' ways in are open, or it is known why they are not.
    has_opened: watch::Sender<bool>,
    providers: Providers,
    /// Held by whoever has the store open while no engine has.
    closed_store: Arc<Mutex<()>>,
    /// By the boot clock.
    pub(crate) started: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Board {
    /// The picture at the start.
    pub(crate) fn new(snapshot: Arc<Snapshot>, rest: Rest, clock: Arc<dyn Clock>) -> Rc<Self> {
        let started = clock.boot();
        let (snapshot, rest) = (RefCell::new(snapshot), RefCell::new(rest));
        let (view, trouble) = (RefCell::default(), RefCell::default());
        let providers = Providers::default();
        let (ingest_trouble, has_opened) = (RefCell::default(), watch::Sender::default());
        let closed_store = Arc::default();
        Rc::new(Self {
            snapshot,
            view,
            rest,
            trouble,
            ingest_trouble,
            has_opened,
            providers,
            closed_store,
            started,
            clock,
        })
    }

    /// The policy that holds.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// The local programs that are known, as the files say now.
    pub(crate) fn providers(&self) -> Arc<Registry> {
        self.providers.of(&self.snapshot())
    }

    /// The engine, while there is one.
    pub(crate) fn view(&self) -> Option<View> {
        self.view.borrow().clone()
    }

    /// The store is this caller's alone, as far as no engine has it. An engine that was asked for meanwhile
    /// waits with its start: the [view](Self::view) is looked at again by whoever has waited here.
    pub(crate) async fn closed_store(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.closed_store).lock_owned().await
    }

    /// What is known while there is none.
    pub(crate) fn rest(&self) -> Rest {
        self.rest.borrow().clone()
    }

    /// The ledger of this moment, or as it was last.
    pub(crate) fn ledger(&self) -> Ledger {
        self.view().map_or_else(|| self.rest().ledger, |view| view.ledger())
    }

    /// Why no engine runs although telemetry is on.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.replace(trouble);
    }

    /// Why local programs cannot be heard where the configuration says.
    pub(crate) fn ingest_trouble(&self) -> Option<String> {
        self.ingest_trouble.borrow().clone()
    }

    /// The ways in are open, but for this.
    pub(crate) fn set_ingest_trouble(&self, trouble: Option<String>) {
        self.ingest_trouble.replace(trouble);
        self.has_opened.send_replace(true);
    }

    /// Waits until the ways in have been opened as the configuration says, or tried.
    pub(crate) async fn opened(&self) {
        let mut has_opened = self.has_opened.subscribe();
        // The sender is ours: it does not go away meanwhile.
        let _ = has_opened.wait_for(|has_opened| *has_opened).await;
    }

    pub(crate) fn set_snapshot(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.replace(snapshot);
    }

    /// An engine runs.
    pub(crate) fn set_view(&self, view: View) {
        self.view.replace(Some(view));
        self.trouble.replace(None);
    }

    /// No engine runs any more.
    pub(crate) fn set_rest(&self, rest: Rest) {
        self.view.replace(None);
        self.rest.replace(rest);
    }
}
