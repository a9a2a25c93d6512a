//! The control API's questions about single records and about what left: answered beside the runtime's thread,
//! one at a time.
//!
//! # Invariants
//! - The spool's thread is asked in small pieces; nobody is held up by a page.
//! - While telemetry is off the closed store is looked at without changing a byte; a start waits for that look.
//! - A page costs bounded time and memory, and its memory is given back.
//! - Where policy forbids it, nothing is shown.
//!
//! On failure the store's words are the refusal's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candor_chronicle::{ChronicleError, Sources, Volumes, Waiting};
use candor_control::protocol::{
    AuditReport, Code, EventDetail, EventPage, EventsRequest, JournalPage, JournalRequest, Refusal,
    Volume,
};
use candor_journal::{Journal, Reader};
use candor_model::Kind;
use candor_spool::{DeadLetter, Gap, Offline, OfflineError, Row, Spool, SpoolError};
use tokio::runtime::Handle;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::board::Board;
use crate::failure::chain;

/// How long one page may be looked for.
const BUDGET: Duration = Duration::from_millis(100);
/// How long bodies may be unpacked for the volumes.
const VOLUME_BUDGET: Duration = Duration::from_millis(150);
/// Bytes of rows that the spool's thread is asked for at once.
const PIECE: usize = 64 * 1024;

/// Answers one question at a time.
#[derive(Clone)]
pub(crate) struct Archive {
    journal: Journal,
    state_dir: PathBuf,
    turn: Arc<Semaphore>,
    volumes: Arc<Mutex<Volumes>>,
}

impl Archive {
    pub(crate) fn new(journal: Journal, state_dir: PathBuf) -> Self {
        Self { journal, state_dir, turn: Arc::new(Semaphore::new(1)), volumes: Arc::default() }
    }

    /// The journal.
    pub(crate) const fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(crate) async fn events(
        &self,
        board: &Board,
        request: EventsRequest,
    ) -> Result<EventPage, Refusal> {
        self.ask(board, move |sources| candor_chronicle::events(sources, &request, BUDGET)).await
    }

    pub(crate) async fn event(&self, board: &Board, seq: u64) -> Result<EventDetail, Refusal> {
        let providers = board.providers();
        let found = self.ask(board, move |all| candor_chronicle::event(all, seq, &providers));
        let found = found.await?;
        found.ok_or_else(|| {
            let text = format!("nothing is known of record {seq} (any more)");
            Refusal::new(Code::NotFound, text).remedy("`agentctl events` shows what is known")
        })
    }

    pub(crate) async fn page(
        &self,
        board: &Board,
        request: JournalRequest,
    ) -> Result<JournalPage, Refusal> {
        let flying = self.journal.flying_number();
        let page = self
            .ask_journal(board, move |journal| candor_chronicle::journal(journal, flying, request));
        Ok(JournalPage { max_bytes: self.journal.state().max_bytes, ..page.await? })
    }

    pub(crate) async fn body(&self, board: &Board, number: u64) -> Result<Vec<u8>, Refusal> {
        let body = move |journal: &Reader| candor_chronicle::journal_body(journal, number);
        self.ask_journal(board, body).await?.ok_or_else(|| {
            let text = format!("there is no entry {number} in the journal (any more)");
            Refusal::new(Code::NotFound, text)
        })
    }

    pub(crate) async fn volume(&self, board: &Board, days: usize) -> Result<Volume, Refusal> {
        let (now, volumes) = (board.clock.wall(), Arc::clone(&self.volumes));
        self.ask_journal(board, move |journal| {
            let mut volumes = volumes.lock().unwrap_or_else(PoisonError::into_inner);
            volumes.last(journal, now, days, VOLUME_BUDGET)
        })
        .await
    }

    /// The audit of the store that no engine has open; `None` where there is none, or an engine has it now.
    pub(crate) async fn audit_closed(&self, board: &Board) -> Result<Option<AuditReport>, Refusal> {
        let turn = self.turn().await?;
        let Store::Closed(dir, held) = Store::of(board, &self.state_dir).await else {
            return Ok(None);
        };
        let journal = self.journal.clone();
        run(turn, move || {
            let _held = held;
            let Some(store) = closed(&dir)? else { return Ok(None) };
            let max_bytes = journal.state().max_bytes;
            candor_chronicle::audit_closed(&store, &journal.reader()?, max_bytes).map(Some)
        })
        .await
    }

    /// Asks everything that knows of records.
    async fn ask<T: Send + 'static>(
        &self,
        board: &Board,
        work: impl FnOnce(Sources<'_>) -> Result<T, ChronicleError> + Send + 'static,
    ) -> Result<T, Refusal> {
        permit(board)?;
        let turn = self.turn().await?;
        let mut store = Store::of(board, &self.state_dir).await;
        let journal = self.journal.clone();
        run(turn, move || {
            let mut waiting = store.waiting()?;
            let waiting = waiting.as_mut().map(|waiting| &mut **waiting as &mut dyn Waiting);
            let flying = (journal.flying(), journal.flying_number());
            work(Sources { waiting, journal: &journal.reader()?, flying })
        })
        .await
    }

    /// Asks the journal alone, whatever became of the store.
    async fn ask_journal<T: Send + 'static>(
        &self,
        board: &Board,
        work: impl FnOnce(&Reader) -> Result<T, ChronicleError> + Send + 'static,
    ) -> Result<T, Refusal> {
        permit(board)?;
        let journal = self.journal.clone();
        run(self.turn().await?, move || work(&journal.reader()?)).await
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.turn).acquire_owned().await.map_err(|_| stopping())
    }
}

fn stopping() -> Refusal {
    Refusal::failed("the agent is stopping")
}

/// Does a piece of work on a thread of its own.
async fn run<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, ChronicleError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let done = work();
        candor_platform::trim();
        done
    });
    done.await.map_err(|_| stopping())?.map_err(|error| refused(&error))
}

/// Whether policy lets anybody see what this host tells.
fn permit(board: &Board) -> Result<(), Refusal> {
    match board.snapshot().viewer_disabled_by() {
        None => Ok(()),
        Some(place) => {
            let text =
                format!("DisableDiagnosticDataViewer = 1 ({place}): content is not shown here");
            Err(Refusal::refused_by_policy(text).remedy(
                "`agentctl explain` names the layers; whoever keeps this one can change it",
            ))
        }
    }
}

fn refused(error: &ChronicleError) -> Refusal {
    match error {
        ChronicleError::Time { .. } => Refusal::bad_request(error.to_string()),
        ChronicleError::Journal(_) | ChronicleError::Waiting(_) => {
            Refusal::failed(chain(error)).remedy("look at the disk under the state directory")
        }
    }
}

/// Where what waits lies.
enum Store {
    /// An engine has it open.
    Open(Asked),
    /// Nobody has, and nobody will while this is held.
    Closed(PathBuf, OwnedMutexGuard<()>),
}

impl Store {
    async fn of(board: &Board, state_dir: &Path) -> Self {
        let open = || {
            let runtime = Handle::current();
            board.view().map(|view| Self::Open(Asked { spool: view.spool(), runtime }))
        };
        if let Some(open) = open() {
            return open;
        }
        let closed = board.closed_store().await;
        // A start may have been on its way.
        open().unwrap_or_else(|| Self::Closed(state_dir.to_owned(), closed))
    }

    /// Somebody who can be asked; `None` where there is no store.
    fn waiting(&mut self) -> Result<Option<Box<dyn Waiting + '_>>, ChronicleError> {
        match self {
            Self::Open(asked) => Ok(Some(Box::new(asked))),
            Self::Closed(dir, _) => {
                Ok(closed(dir)?.map(|store| Box::new(store) as Box<dyn Waiting>))
            }
        }
    }
}

/// The store that no engine has open; `None` where there is none.
fn closed(dir: &Path) -> Result<Option<Offline>, ChronicleError> {
    match Offline::open(dir) {
        Ok(store) => Ok(Some(store)),
        Err(OfflineError::Absent { .. }) => Ok(None),
        Err(error) => Err(ChronicleError::Waiting(Box::new(error))),
    }
}

/// The spool, asked from a thread that may wait.
struct Asked {
    spool: Spool,
    runtime: Handle,
}

impl Asked {
    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, SpoolError>>,
    ) -> Result<T, ChronicleError> {
        let answer = self.runtime.block_on(answer);
        answer.map_err(|error| ChronicleError::Waiting(Box::new(error)))
    }
}

impl Waiting for &mut Asked {
    fn rows_before(&mut self, before: u64) -> Result<Vec<(Kind, Row)>, ChronicleError> {
        self.wait(self.spool.page_before(before, PIECE))
    }

    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, ChronicleError> {
        self.wait(self.spool.dead_letters())
    }

    fn gaps(&mut self) -> Result<Vec<Gap>, ChronicleError> {
        self.wait(self.spool.gaps())
    }
}
