//! What the owner takes back while no daemon runs goes at once, and not only at the next start: the store
//! of the stopped agent is opened, purged and closed.
//!
//! # Invariants
//! - The store is opened under the agent's own lock and as the owner of its directory.
//! - The setting was written before: should this fail, the next start of the agent purges.
//!
//! On failure: a sentence that says so; what waits is still there.

use candor_control::protocol::Deleted;
use candor_journal::Journal;
use candor_model::DropReason;
use candor_platform::{InstanceLock, act_as_owner, remove};
use candor_policy::Snapshot;
use candor_spool::{Settings, Spool, SpoolError, peek};

use crate::command::spool::Codec;
use crate::context::Context;
use crate::failure::{FAILED, Failure, chain};

/// Takes away what `snapshot` no longer allows; how many records that were.
pub(crate) async fn purge(context: &Context, snapshot: &Snapshot) -> Result<u64, Failure> {
    if peek(&context.layout.state_dir()).is_none() {
        return Ok(0);
    }
    let taken = with_stopped_store(context, snapshot, async |spool| {
        take(spool, snapshot).await.map_err(|error| chain(&error))
    });
    let taken = taken.await.map_err(|failure| failure.text().to_owned());
    taken.and_then(|taken| taken).map_err(|why| {
        Failure::new(
            FAILED,
            format!(
                "the setting is written, and what waits is still there: {why}; it goes at the next start of the agent"
            ),
        )
    })
}

async fn take(spool: &Spool, snapshot: &Snapshot) -> Result<u64, SpoolError> {
    let effective = &snapshot.effective;
    if !effective.upload_enabled && effective.words.keep_pending != Some(true) {
        return spool.clear(DropReason::Disabled).await;
    }
    spool.lower_to(effective.level.effective).await
}

/// Deletes everything that a stopped agent keeps, and makes its ids anew.
pub(crate) async fn erase(context: &Context, snapshot: &Snapshot) -> Result<Deleted, Failure> {
    let dir = context.layout.state_dir();
    let still = |why: String| Failure::new(FAILED, format!("not everything was deleted: {why}"));
    let deleted = if peek(&dir).is_some() {
        let renewed = with_stopped_store(context, snapshot, async |spool| {
            spool.renew().await.map_err(|error| chain(&error))
        });
        renewed.await?.map_err(still)?
    } else {
        act_as_owner(&dir).map_err(|error| still(chain(&error)))?;
        0
    };
    for path in context.layout.memories() {
        remove(&path).map_err(|error| still(chain(&error)))?;
    }
    Journal::clear_stopped(&dir).map_err(|error| still(chain(&error)))?;
    Ok(Deleted { deleted, install_id: peek(&dir).map(|peek| peek.install_id) })
}

/// Opens the store of a stopped agent as the agent would, does something with it, and closes it.
pub(crate) async fn with_stopped_store<T>(
    context: &Context,
    snapshot: &Snapshot,
    work: impl AsyncFnOnce(&Spool) -> Result<T, String>,
) -> Result<Result<T, String>, Failure> {
    let dir = context.layout.state_dir();
    let failed = |why: String| Failure::new(FAILED, why);
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
    let done = work(&spool).await;
    spool.close().await.map_err(|error| failed(chain(&error)))?;
    Ok(done)
}
