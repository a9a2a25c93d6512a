//! What the owner takes back while no daemon runs goes at once, and not only at the next start: the store
//! of the stopped agent is opened, purged and closed.
//!
//! # Invariants
//! - The store is opened under the agent's own lock and as the owner of its directory.
//! - The setting was written before: should this fail, the next start of the agent purges.
//!
//! On failure: a sentence that says so; what waits is still there.

use candor_model::DropReason;
use candor_platform::{InstanceLock, act_as_owner};
use candor_policy::Snapshot;
use candor_spool::{Settings, Spool, SpoolError, peek};

use crate::command::spool::Codec;
use crate::context::Context;
use crate::failure::{FAILED, Failure, chain};

/// Takes away what `snapshot` no longer allows; how many records that were.
pub(crate) async fn purge(context: &Context, snapshot: &Snapshot) -> Result<u64, Failure> {
    let dir = context.layout.state_dir();
    if peek(&dir).is_none() {
        return Ok(0);
    }
    let failed = |why: String| {
        Failure::new(
            FAILED,
            format!(
                "the setting is written, and what waits is still there: {why}; it goes at the next start of the agent"
            ),
        )
    };
    act_as_owner(&dir).map_err(|error| failed(chain(&error)))?;
    let lock = InstanceLock::take(&dir).map_err(|error| failed(chain(&error)))?;
    let Some(_lock) = lock else {
        return Err(failed("an agent runs that does not answer".to_owned()));
    };
    let config = &snapshot.config.spool;
    let settings = Settings {
        max_bytes: config.max_bytes,
        max_age: config.max_age,
        min_free: 0,
        ..Settings::default()
    };
    let spool =
        Spool::open(&dir, settings, Box::new(Codec)).map_err(|error| failed(chain(&error)))?;
    let taken = take(&spool, snapshot).await;
    let closed = spool.close().await;
    closed.and(taken).map_err(|error| failed(chain(&error)))
}

async fn take(spool: &Spool, snapshot: &Snapshot) -> Result<u64, SpoolError> {
    let effective = &snapshot.effective;
    if !effective.upload_enabled && effective.words.keep_pending != Some(true) {
        return spool.clear(DropReason::Disabled).await;
    }
    spool.lower_to(effective.level.effective).await
}
