//! `flush`: what was sampled is committed, what waits is uploaded, and whoever waits is told how it went.

use candor_control::protocol::{FlushDone, FlushRequest};
use candor_upload::Command;
use tokio::sync::oneshot;

use crate::board::Board;

/// Carries out a flush.
pub(crate) async fn flush(board: &Board, request: FlushRequest) -> FlushDone {
    let before = board.ledger().uploaded;
    let complete = match board.view() {
        None => board.ledger().pending == 0,
        Some(view) => {
            view.report(request.stop_probes).await;
            let (done, answer) = oneshot::channel();
            let asked = view.commands().send(Command::Flush { done }).await.is_ok();
            asked && request.wait && answer.await.is_ok_and(|flushed| flushed.drained)
        }
    };
    let (ledger, snapshot) = (board.ledger(), board.snapshot());
    let upload = crate::status::upload(board, &snapshot.effective);
    FlushDone {
        complete,
        uploaded: ledger.uploaded.saturating_sub(before),
        pending: ledger.pending,
        state: upload.state,
        reason: upload.reason,
        remedy: upload.remedy,
    }
}
