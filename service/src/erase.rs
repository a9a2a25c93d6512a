//! `delete --local`: everything that is kept here goes, and the ids are made anew.
//!
//! # Invariants
//! - The audit trail has its line before anything is deleted; the trail itself, the settings and the
//!   receipts of former deletions stay.
//! - An upload under way is cut first. What it carried counts `deleted`, and may have arrived.
//! - Telemetry that is on goes on afterwards, as a new installation.
//!
//! On failure: what could not be deleted is said to whoever asked, and is still there.

use candor_control::protocol::{Deleted, Refusal};
use candor_policy::trail::{Author, act};

use crate::board::Rest;
use crate::engine::Engine;
use crate::failure::{Failure, chain};
use crate::governor::Governor;
use crate::identity;

/// What to do where something stays.
const AGAIN: &str = "look at the disk under the state directory, and ask again";

impl Governor {
    /// Deletes what is kept here, if policy lets it.
    pub(crate) async fn delete(&mut self, by: &Author) -> Result<Deleted, Refusal> {
        let snapshot = self.board.snapshot();
        may_delete(&snapshot)?;
        self.write(&act("delete", "local", by, self.board.clock.wall()));
        let erased = match self.engine.take() {
            Some(engine) => engine.erase().await,
            None => self.erase_closed().await,
        };
        let forgotten = self.forget();
        // Also after a failure: what holds is still the policy.
        let state_dir = self.ground.layout.state_dir();
        let rest = candor_spool::peek(&state_dir).map(Rest::from).unwrap_or_default();
        let install_id = rest.install_id.clone();
        self.board.set_rest(rest);
        if snapshot.effective.upload_enabled {
            self.start_again().await;
        }
        let failed = |error: Failure| Refusal::failed(chain(&error)).remedy(AGAIN);
        let deleted = erased.map_err(failed)?;
        forgotten.map_err(failed)?;
        tracing::info!(deleted, "everything kept here was deleted, and the ids are new");
        Ok(Deleted { deleted, install_id })
    }

    /// The store of an agent whose telemetry is off; none is made where none is.
    async fn erase_closed(&self) -> Result<u64, Failure> {
        let state_dir = self.ground.layout.state_dir();
        let _mine = self.board.closed_store().await;
        if candor_spool::peek(&state_dir).is_none() {
            return Ok(0);
        }
        let spool = identity::open_spool(&state_dir, &self.board.snapshot().config)?;
        let deleted = spool.renew().await;
        let closed = spool.close().await;
        deleted.and_then(|deleted| closed.map(|()| deleted)).map_err(Failure::Store)
    }

    /// What lies beside the store.
    fn forget(&self) -> Result<(), Failure> {
        for path in self.ground.layout.memories() {
            candor_platform::remove(&path).map_err(Failure::Files)?;
        }
        self.ground.journal.clear().map_err(Failure::Journal)
    }
}

/// Whether the owner's words may be carried out.
pub(crate) fn may_delete(snapshot: &candor_policy::Snapshot) -> Result<(), Refusal> {
    match snapshot.effective.words.disable_device_delete {
        Some(true) => Err(Refusal::refused_by_policy(
            "DisableDeviceDelete = 1 forbids deletions from this host; nothing was deleted",
        )
        .remedy("whoever keeps that policy can lift it")),
        _ => Ok(()),
    }
}

impl Engine {
    /// Cuts what is under way, deletes everything, makes the ids anew and closes the store; how many
    /// records waited.
    async fn erase(self) -> Result<u64, Failure> {
        let spool = self.cut();
        let deleted = spool.renew().await;
        let closed = spool.close().await;
        deleted.and_then(|deleted| closed.map(|()| deleted)).map_err(Failure::Store)
    }
}
