//! What the agent fetched itself, by the same way as every local program's records.
//!
//! On failure: [`NotTaken`]; nothing of the request is kept.

use candor_model::Kind;
use candor_providers::Caller;

use crate::desk::{Desk, Terms};
use crate::refusal::Refusal;
use crate::settings::Limits;
use crate::taken::Taken;

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotTaken(Refusal);

impl Desk {
    /// Judges and keeps an export request in protobuf that the agent made of what it fetched. Returns
    /// after the commit.
    ///
    /// # Errors
    /// The spool is full, or the request is larger than a program's may be.
    pub async fn bring(
        &self,
        terms: &Terms,
        kind: Kind,
        request: &[u8],
    ) -> Result<Taken, NotTaken> {
        let limits = Limits::default();
        let judged = self.judge(&Caller::agent(), terms, (kind, request), limits.records).await;
        let judged = judged.map_err(NotTaken)?;
        self.keep(judged.drafts, &limits).await.map_err(NotTaken)?;
        Ok(judged.taken)
    }
}
