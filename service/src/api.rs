//! The control API's answers: reading ones from the board, changing ones by the governor.
//!
//! # Invariants
//! - Nothing is changed here: a request is handed to the governor before it is waited for, so that a
//!   client that goes away cannot stop a change halfway.

use std::rc::Rc;

use candor_control::Service;
use candor_control::protocol::{
    AuditReport, Claim, DeadRecords, Deleted, DisableRequest, EmitRequest, Emitted, EventDetail,
    EventPage, EventsRequest, ExplainedLayer, Explanation, ExportPage, ExportRequest, FlushDone,
    FlushRequest, History, JournalPage, JournalRequest, LevelChanged, LevelRequest, LevelStatus,
    ProviderChanged, ProviderRequest, Providers, ReceiptRequest, ReceiptTaken, Refusal,
    RefusedSettings, Reloaded, ReplayRequest, Replayed, Stats, Status, UploadChanged, Volume,
};
use candor_platform::{Layout, Peer};
use candor_policy::trail::{Author, Trail};
use candor_spool::Spool;
use tokio::sync::{mpsc, oneshot};

use crate::board::Board;
use crate::chronicle::Archive;
use crate::governor::Request;

/// Lines of the trail that are looked through for the latest refusal.
const REMEMBERED: usize = 500;

/// What answers.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) board: Rc<Board>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) trail: Trail,
    /// What left, also while telemetry is off.
    pub(crate) archive: Archive,
    pub(crate) layout: Layout,
}

impl Api {
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Refusal> {
        let (done, answer) = oneshot::channel();
        let stopping = || Refusal::failed("the agent is stopping");
        self.requests.send(request(done)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }

    /// What became of the remote settings that were fetched last, where they were refused.
    fn refused_settings(&self) -> Option<RefusedSettings> {
        let entries = self.trail.latest(REMEMBERED);
        let (time, reason) = candor_policy::trail::refused_settings(&entries)?;
        Some(RefusedSettings { time: time.to_owned(), reason: reason.to_owned() })
    }

    /// The open store.
    fn spool(&self) -> Result<Spool, Refusal> {
        let view = self.board.view();
        view.as_ref().map(crate::engine::View::spool).ok_or_else(|| {
            Refusal::failed("telemetry is off and the store is closed")
                .remedy("turn it on, or stop the agent and ask again")
        })
    }

    async fn set_upload(
        &self,
        peer: &Peer,
        enabled: bool,
        keep_pending: bool,
    ) -> Result<UploadChanged, Refusal> {
        let by = author(peer, None);
        self.ask(|done| Request::SetUpload { enabled, keep_pending, by, done }).await?
    }
}

/// This peer, for this reason.
fn author(peer: &Peer, reason: Option<String>) -> Author {
    Author { uid: peer.uid, user: peer.user.clone(), pid: peer.pid, reason }
}

impl Service for Api {
    async fn status(&self, _peer: &Peer) -> Result<Status, Refusal> {
        Ok(crate::status::status(&self.board, self.archive.journal()))
    }

    async fn level(&self, _peer: &Peer) -> Result<LevelStatus, Refusal> {
        Ok(crate::status::level(&self.board.snapshot()))
    }

    async fn explain(&self, _peer: &Peer) -> Result<Explanation, Refusal> {
        let explanation = self.board.snapshot().effective.explanation.clone();
        let layer = |layer: candor_policy::ExplainedLayer| ExplainedLayer {
            layer: layer.layer,
            place: layer.place,
            value: layer.value,
            verdict: layer.verdict,
        };
        Ok(Explanation {
            requested: explanation.requested,
            effective: explanation.effective,
            layers: explanation.layers.into_iter().map(layer).collect(),
            winner: explanation.winner,
            reason: explanation.reason,
            refused_settings: self.refused_settings(),
        })
    }

    async fn stats(&self, _peer: &Peer) -> Result<Stats, Refusal> {
        Ok(crate::status::stats(&self.board))
    }

    async fn set_level(&self, peer: &Peer, request: LevelRequest) -> Result<LevelChanged, Refusal> {
        let by = author(peer, request.reason.clone());
        self.ask(|done| Request::SetLevel(request, by, done)).await?
    }

    async fn enable(&self, peer: &Peer) -> Result<UploadChanged, Refusal> {
        self.set_upload(peer, true, false).await
    }

    async fn disable(
        &self,
        peer: &Peer,
        request: DisableRequest,
    ) -> Result<UploadChanged, Refusal> {
        self.set_upload(peer, false, request.keep_pending).await
    }

    async fn flush(&self, _peer: &Peer, request: FlushRequest) -> Result<FlushDone, Refusal> {
        Ok(crate::flush::flush(&self.board, request).await)
    }

    async fn reload(&self, _peer: &Peer) -> Result<Reloaded, Refusal> {
        self.ask(Request::Reload).await
    }

    async fn audit(&self, _peer: &Peer) -> Result<AuditReport, Refusal> {
        match self.spool() {
            Ok(spool) => crate::store::audit(&spool, self.archive.journal()).await,
            Err(closed) => self.archive.audit_closed(&self.board).await?.ok_or(closed),
        }
    }

    async fn dead_letters(&self, _peer: &Peer) -> Result<DeadRecords, Refusal> {
        crate::store::dead_letters(&self.spool()?).await
    }

    async fn history(&self, _peer: &Peer) -> Result<History, Refusal> {
        Ok(crate::history::history(&self.trail))
    }

    async fn events(&self, _peer: &Peer, request: EventsRequest) -> Result<EventPage, Refusal> {
        self.archive.events(&self.board, request).await
    }

    async fn event(&self, _peer: &Peer, seq: u64) -> Result<EventDetail, Refusal> {
        self.archive.event(&self.board, seq).await
    }

    async fn journal(&self, _peer: &Peer, request: JournalRequest) -> Result<JournalPage, Refusal> {
        self.archive.page(&self.board, request).await
    }

    async fn journal_body(&self, _peer: &Peer, number: u64) -> Result<Vec<u8>, Refusal> {
        self.archive.body(&self.board, number).await
    }

    async fn volume(&self, _peer: &Peer, days: usize) -> Result<Volume, Refusal> {
        self.archive.volume(&self.board, days).await
    }

    async fn delete(&self, peer: &Peer) -> Result<Deleted, Refusal> {
        let by = author(peer, None);
        self.ask(|done| Request::Delete(by, done)).await?
    }

    async fn claim(&self, _peer: &Peer) -> Result<Claim, Refusal> {
        crate::erase::may_delete(&self.board.snapshot())?;
        crate::rights::claim(&self.board, &self.layout).await
    }

    async fn export(&self, _peer: &Peer, request: ExportRequest) -> Result<ExportPage, Refusal> {
        crate::rights::export(&self.spool()?, request).await
    }

    async fn receipt(
        &self,
        _peer: &Peer,
        request: ReceiptRequest,
    ) -> Result<ReceiptTaken, Refusal> {
        crate::rights::receipt(&self.spool()?, &self.board.snapshot(), &request).await
    }

    async fn replay(&self, _peer: &Peer, request: ReplayRequest) -> Result<Replayed, Refusal> {
        crate::store::replay(&self.spool()?, request.seq).await
    }

    async fn providers(&self, _peer: &Peer) -> Result<Providers, Refusal> {
        let told = crate::providers::told(&self.board.providers());
        Ok(Providers { ingest_trouble: self.board.ingest_trouble(), ..told })
    }

    async fn switch_provider(
        &self,
        peer: &Peer,
        request: ProviderRequest,
    ) -> Result<ProviderChanged, Refusal> {
        let by = author(peer, None);
        self.ask(|done| Request::SwitchProvider(request, by, done)).await?
    }

    async fn emit(&self, peer: &Peer, request: EmitRequest) -> Result<Emitted, Refusal> {
        let Some(view) = self.board.view() else {
            return Ok(crate::emit::nothing(&request, crate::emit::OFF.0, crate::emit::OFF.1));
        };
        let terms = crate::ingest::terms(&self.board);
        if !terms.has_receiver {
            let (reason, message) = crate::emit::NOBODY;
            return Ok(crate::emit::nothing(&request, reason, message));
        }
        crate::emit::emit(&view.desk(), &terms, (peer, request)).await
    }
}
