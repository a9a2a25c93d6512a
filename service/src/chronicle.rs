//! The control API's questions about single records and about what left: answered beside the runtime's thread,
//! one at a time.
//!
//! # Invariants
//! - The spool's thread is asked in small pieces; nobody is held up by a page.
//! - A page costs bounded time and memory, and its memory is given back.
//! - Where policy forbids it, nothing is shown.
//!
//! On failure the store's words are the refusal's.

use std::sync::Arc;
use std::time::Duration;

use candor_chronicle::{ChronicleError, Sources, Waiting};
use candor_control::protocol::{
    Code, EventDetail, EventPage, EventsRequest, JournalPage, JournalRequest, Refusal, Volume,
};
use candor_journal::Journal;
use candor_model::Kind;
use candor_spool::{DeadLetter, Gap, Row, Spool, SpoolError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

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
    turn: Arc<Semaphore>,
}

impl Archive {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal, turn: Arc::new(Semaphore::new(1)) }
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
        let found = self.ask(board, move |sources| candor_chronicle::event(sources, seq)).await?;
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
        self.ask(board, move |sources| {
            candor_chronicle::journal(sources.journal, sources.flying.1, request)
        })
        .await
    }

    pub(crate) async fn body(&self, board: &Board, number: u64) -> Result<Vec<u8>, Refusal> {
        let body =
            move |sources: Sources<'_>| candor_chronicle::journal_body(sources.journal, number);
        self.ask(board, body).await?.ok_or_else(|| {
            let text = format!("there is no entry {number} in the journal (any more)");
            Refusal::new(Code::NotFound, text)
        })
    }

    pub(crate) async fn volume(&self, board: &Board, days: usize) -> Result<Volume, Refusal> {
        let now = board.clock.wall();
        self.ask(board, move |sources| {
            candor_chronicle::volume(sources.journal, now, days, VOLUME_BUDGET)
        })
        .await
    }

    /// Does a piece of work on a thread of its own, when it is its turn.
    async fn ask<T: Send + 'static>(
        &self,
        board: &Board,
        work: impl FnOnce(Sources<'_>) -> Result<T, ChronicleError> + Send + 'static,
    ) -> Result<T, Refusal> {
        permit(board)?;
        let stopping = || Refusal::failed("the agent is stopping");
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| stopping())?;
        let spool =
            board.view().map(|view| Asked { spool: view.spool(), runtime: Handle::current() });
        let journal = self.journal.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut spool = spool;
            let reader = journal.reader()?;
            let waiting = spool.as_mut().map(|spool| spool as &mut dyn Waiting);
            let flying = (journal.flying(), journal.flying_number());
            let done = work(Sources { waiting, journal: &reader, flying });
            candor_platform::trim();
            done
        });
        done.await.map_err(|_| stopping())?.map_err(|error| refused(&error))
    }
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

impl Waiting for Asked {
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
