//! Windows: nothing is listened to; the probes look with every report.

use candor_model::Level;

use crate::{Changes, Host};

/// No source; what was told, which stays nothing.
#[derive(Debug, Default)]
pub(super) struct Sources(Changes);

impl Sources {
    pub(super) fn open(_host: &Host, _level: Level) -> Self {
        Self::default()
    }

    pub(super) async fn sign(&self) {
        if self.0.is_empty() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn take(&mut self) -> Changes {
        std::mem::take(&mut self.0)
    }
}
