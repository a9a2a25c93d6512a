//! Windows: nothing is listened to; the probes look with every report.

use candor_model::Level;

use crate::{Changes, Host};

/// No source.
#[derive(Debug)]
pub(super) struct Sources;

impl Sources {
    pub(super) fn open(_host: &Host, _level: Level) -> Self {
        Self
    }

    pub(super) async fn sign(&self) {
        std::future::pending::<()>().await;
    }

    #[expect(clippy::unused_self, reason = "the same signature as on Linux")]
    pub(super) fn take(&mut self) -> Changes {
        Changes::default()
    }
}
