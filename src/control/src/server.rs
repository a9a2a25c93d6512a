//! The daemon's side: accepts connections, and answers them by a [`Service`].
//!
//! Everything runs inside the one future that [`serve`] returns: no task is spawned, so none is
//! left when it ends, and a service may hold what is not `Send`.
//!
//! # Invariants
//! - At most 32 connections at once, of which clients who are no administrators have at most 24:
//!   however many of them hang on, an administrator is heard.
//! - A connection carries one request. Its head is there within 5 s, its body is at most 64 KiB, it
//!   is answered within the time of its route, and the answer is read within 10 s.
//! - No request is carried out for a peer whose role does not suffice.
//!
//! On failure: a failing connection ends alone; when the system has none to give, the server pauses
//! and goes on.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use candor_platform::{Listener, Peer, Role, Stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::protocol::{
    AuditReport, Claim, DeadRecords, Deleted, DisableRequest, EmitRequest, Emitted, EventDetail,
    EventPage, EventsRequest, Explanation, ExportPage, ExportRequest, FlushDone, FlushRequest,
    History, JournalPage, JournalRequest, LevelChanged, LevelRequest, LevelStatus, ProviderChanged,
    ProviderRequest, Providers, ReceiptRequest, ReceiptTaken, Refusal, Reloaded, ReplayRequest,
    Replayed, Stats, Status, UploadChanged, Volume,
};

mod answer;
mod connection;
mod crowd;
mod fuse;

use crowd::Crowd;

/// How long the answers that are under way may take when the server stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// The pause after the system had no connection to give.
const PAUSE: Duration = Duration::from_millis(200);

/// What the agent does for its clients. The peer's role was checked before a method is called.
///
/// A client that goes away does not end a call, but the deadline of its route does (30 s; 2 min for
/// `flush`) and so does the end of the server: the future is then dropped at an `await`. A method
/// that changes something therefore hands the change over before it waits.
pub trait Service {
    /// How the agent is.
    fn status(&self, peer: &Peer) -> impl Future<Output = Result<Status, Refusal>>;

    /// Which level holds and why.
    fn level(&self, peer: &Peer) -> impl Future<Output = Result<LevelStatus, Refusal>>;

    /// Every layer and who won.
    fn explain(&self, peer: &Peer) -> impl Future<Output = Result<Explanation, Refusal>>;

    /// The ledger, reason by reason.
    fn stats(&self, peer: &Peer) -> impl Future<Output = Result<Stats, Refusal>>;

    /// Sets the operator's level.
    fn set_level(
        &self,
        peer: &Peer,
        request: LevelRequest,
    ) -> impl Future<Output = Result<LevelChanged, Refusal>>;

    /// Turns collection and upload on.
    fn enable(&self, peer: &Peer) -> impl Future<Output = Result<UploadChanged, Refusal>>;

    /// Turns collection and upload off.
    fn disable(
        &self,
        peer: &Peer,
        request: DisableRequest,
    ) -> impl Future<Output = Result<UploadChanged, Refusal>>;

    /// Uploads now.
    fn flush(
        &self,
        peer: &Peer,
        request: FlushRequest,
    ) -> impl Future<Output = Result<FlushDone, Refusal>>;

    /// Reads the configuration again.
    fn reload(&self, peer: &Peer) -> impl Future<Output = Result<Reloaded, Refusal>>;

    /// Derives the ledger again from the store.
    fn audit(&self, peer: &Peer) -> impl Future<Output = Result<AuditReport, Refusal>>;

    /// What endpoints refused for good.
    fn dead_letters(&self, peer: &Peer) -> impl Future<Output = Result<DeadRecords, Refusal>>;

    /// The latest changes of level, upload, endpoint and pins.
    fn history(&self, peer: &Peer) -> impl Future<Output = Result<History, Refusal>>;

    /// Which events there are, and what became of each.
    fn events(
        &self,
        peer: &Peer,
        request: EventsRequest,
    ) -> impl Future<Output = Result<EventPage, Refusal>>;

    /// One event in full.
    fn event(&self, peer: &Peer, seq: u64) -> impl Future<Output = Result<EventDetail, Refusal>>;

    /// What left.
    fn journal(
        &self,
        peer: &Peer,
        request: JournalRequest,
    ) -> impl Future<Output = Result<JournalPage, Refusal>>;

    /// The exact bytes of a request that left.
    fn journal_body(
        &self,
        peer: &Peer,
        number: u64,
    ) -> impl Future<Output = Result<Vec<u8>, Refusal>>;

    /// How much left on each of the last days.
    fn volume(&self, peer: &Peer, days: usize) -> impl Future<Output = Result<Volume, Refusal>>;
    /// Deletes everything that is kept here and renews the ids.
    fn delete(&self, peer: &Peer) -> impl Future<Output = Result<Deleted, Refusal>>;

    /// The install id and the key that proves it.
    fn claim(&self, peer: &Peer) -> impl Future<Output = Result<Claim, Refusal>>;

    /// What waits, a page at a time.
    fn export(
        &self,
        peer: &Peer,
        request: ExportRequest,
    ) -> impl Future<Output = Result<ExportPage, Refusal>>;

    /// Takes the receipt for records that were carried by hand.
    fn receipt(
        &self,
        peer: &Peer,
        request: ReceiptRequest,
    ) -> impl Future<Output = Result<ReceiptTaken, Refusal>>;

    /// Makes a new record of a dead letter.
    fn replay(
        &self,
        peer: &Peer,
        request: ReplayRequest,
    ) -> impl Future<Output = Result<Replayed, Refusal>>;

    /// The local programs that the agent knows.
    fn providers(&self, peer: &Peer) -> impl Future<Output = Result<Providers, Refusal>>;

    /// Switches a provider on or off.
    fn switch_provider(
        &self,
        peer: &Peer,
        request: ProviderRequest,
    ) -> impl Future<Output = Result<ProviderChanged, Refusal>>;

    /// Keeps a local program's events, as far as its manifest admits them.
    fn emit(
        &self,
        peer: &Peer,
        request: EmitRequest,
    ) -> impl Future<Output = Result<Emitted, Refusal>>;
}

/// Answers until `stop` completes; answers that are under way then have one more second. The
/// endpoint is gone when this returns.
pub async fn serve(listener: Listener, service: &impl Service, stop: impl Future<Output = ()>) {
    let (closing, closed) = watch::channel(false);
    let mut door = Door { listener, not_before: None };
    let mut crowd = Crowd::default();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = crowd.one_leaves(), if !crowd.is_empty() => {}
            (stream, peer) = door.next(), if !crowd.is_full() => {
                let administrator = peer.role == Role::Administrator;
                if crowd.has_room_for(administrator) {
                    let talk = connection::talk(service, stream, peer, closed.clone());
                    crowd.enter(administrator, Box::pin(talk));
                } else {
                    connection::turn_away(stream).await;
                }
            }
        }
    }
    drop(door);
    // Fails only when no connection is left to hear it.
    let _ = closing.send(true);
    let _ = timeout(FAREWELL, crowd.all_leave()).await;
}

/// The listener, which pauses when the system has no connection to give.
struct Door {
    listener: Listener,
    not_before: Option<Instant>,
}

impl Door {
    /// The next connection. Safe to cancel.
    async fn next(&mut self) -> (Stream, Peer) {
        loop {
            if let Some(time) = self.not_before {
                sleep_until(time).await;
            }
            match self.listener.accept().await {
                Ok(connection) => {
                    self.not_before = None;
                    return connection;
                }
                Err(error) => {
                    if self.not_before.is_none() {
                        tracing::warn!(%error, "the control endpoint accepts no connection");
                    }
                    self.not_before = Some(Instant::now() + PAUSE);
                }
            }
        }
    }
}
