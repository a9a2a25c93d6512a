//! The control API's answers for the owner's rights: the proof of the install id, what waits by pages, and
//! the receipt for what was carried by hand.
//!
//! # Invariants
//! - Where an engine has the store open it is asked, so that there is one truth; while telemetry is off
//!   the closed store is looked at without changing a byte.
//! - A receipt settles only what a key of `SettingsKeys` stands for, and only of this installation.
//!
//! On failure nothing is changed, and the refusal says what to do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candor_control::protocol::{
    Claim, ExportPage, ExportRequest, ExportRow, MAX_PAGE, ReceiptRequest, ReceiptTaken, Refusal,
};
use candor_model::Kind;
use candor_platform::Layout;
use candor_policy::Snapshot;
use candor_policy::receipt::{self, Purpose};
use candor_spool::{Offline, Row, RowError, Spool};

use crate::board::Board;
use crate::failure::chain;

/// The id and its key, of the open store or of the closed one.
pub(crate) async fn claim(board: &Board, layout: &Layout) -> Result<Claim, Refusal> {
    let spool = || board.view().map(|view| view.spool());
    // Where an engine has it, a start may be waited for, and nothing is held up.
    let _mine = if spool().is_none() { Some(board.closed_store().await) } else { None };
    let (install_id, key) = if let Some(spool) = spool() {
        let key = spool.install_key().await.map_err(|error| failed(&error))?;
        (spool.install_id().to_owned(), key)
    } else {
        let store = Offline::open(&layout.state_dir()).map_err(|error| failed(&error))?;
        let key = store.install_key().map_err(|error| failed(&error))?;
        (store.install_id().to_owned(), key)
    };
    Ok(Claim { install_id, key: key.map(|key| key.to_string()) })
}

/// Rows after a number; what lingers is committed first.
pub(crate) async fn export(spool: &Spool, request: ExportRequest) -> Result<ExportPage, Refusal> {
    if request.after == 0 {
        spool.commit().await.map_err(|error| failed(&error))?;
    }
    let rows = spool.page(request.after, MAX_PAGE).await.map_err(|error| failed(&error))?;
    let rows = rows.into_iter().map(|(kind, row)| shown(kind, &row).map_err(|e| failed(&e)));
    let rows = rows.collect::<Result<_, _>>()?;
    Ok(ExportPage { install_id: spool.install_id().to_owned(), rows })
}

fn shown(kind: Kind, row: &Row) -> Result<ExportRow, RowError> {
    Ok(ExportRow {
        kind: kind.name().to_owned(),
        level: row.level.number(),
        boot_id: row.boot.to_string(),
        first_seq: row.first_seq,
        records: row.records,
        frames: STANDARD.encode(row.frames()?),
    })
}

/// Judges a receipt and settles what it names.
pub(crate) async fn receipt(
    spool: &Spool,
    snapshot: &Snapshot,
    request: &ReceiptRequest,
) -> Result<ReceiptTaken, Refusal> {
    let keys = snapshot.effective.words.settings_keys.clone().unwrap_or_default();
    let opened = receipt::open(request.receipt.as_bytes(), &keys);
    let opened = opened.and_then(|opened| opened.of(Purpose::Import, spool.install_id()));
    let receipt = opened.map_err(|bad| {
        Refusal::failed(format!("the receipt proves nothing here: {bad}; nothing was settled"))
            .remedy(
                "take the receipt that `candor-collector import` gave for this host's own export",
            )
    })?;
    let settled = spool.settle(&receipt.accepted, &receipt.rejected).await;
    let settled = settled.map_err(|error| failed(&error))?;
    let pending = spool.ledger().pending;
    Ok(ReceiptTaken { uploaded: settled.uploaded, rejected: settled.rejected, pending })
}

fn failed(error: &dyn std::error::Error) -> Refusal {
    Refusal::failed(chain(error)).remedy("look at the disk under the state directory")
}
