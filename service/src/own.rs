//! What the agent says of itself, as probes like any other: its settings and its health. They read a
//! shared board that the governor and the engine keep current.
//!
//! # Invariants
//! - Settings are inventory: sent when they change and once a day.
//! - Health rides along with the report it belongs to; it never makes a request of its own.

use std::sync::{Arc, Mutex, PoisonError};

use candor_model::events::agent::{Dropped, FailedProbe, Health, Settings};
use candor_model::{Level, Record};
use candor_pipeline::rfc3339;
use candor_platform::usage;
use candor_probes::{Host, Moment, Probe, ProbeError, Rhythm};
use candor_spool::{Dropped as Drops, Spool};
use tokio::sync::watch;

use candor_upload::UploadStatus;

/// A value that the async side writes and a probe's thread reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared<T>(Arc<Mutex<T>>);

impl<T: Clone> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    pub(crate) fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    pub(crate) fn get(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `candor.agent.settings`.
pub(crate) struct SettingsProbe(pub(crate) Shared<Settings>);

impl Probe for SettingsProbe {
    fn name(&self) -> &'static str {
        "settings"
    }

    fn level(&self) -> Level {
        Level::Security
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn report(&mut self, _host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        Ok(vec![self.0.get().into()])
    }
}

/// `candor.telemetry.health`.
pub(crate) struct HealthProbe {
    pub(crate) spool: Spool,
    /// The uploader's word; another one after a panic.
    pub(crate) upload: Shared<watch::Receiver<UploadStatus>>,
    pub(crate) failed: Shared<Vec<FailedProbe>>,
}

impl Probe for HealthProbe {
    fn name(&self) -> &'static str {
        "health"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, _host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        Ok(vec![self.health().into()])
    }
}

impl HealthProbe {
    fn health(&self) -> Health {
        let ledger = self.spool.ledger();
        // The receiver knows this installation by its present id, and nothing of what was before.
        let told = ledger.since_renewal();
        let usage = usage();
        let percent = Percent::of(told.uploaded, &told.dropped);
        let dropped = told.dropped.iter().filter(|(_, count)| *count > 0);
        Health {
            generated: Some(told.generated),
            uploaded: Some(told.uploaded),
            dropped: Some(told.dropped.total()),
            pending: Some(ledger.pending),
            percent_uploaded: percent.uploaded,
            percent_dropped: percent.dropped,
            dropped_by_reason: dropped
                .map(|(reason, count)| Dropped { reason: reason.word(), count })
                .collect(),
            last_upload: ledger.last_upload.map(rfc3339),
            failed_probes: self.failed.get(),
            rss_bytes: usage.rss_bytes,
            cpu_ms: u64::try_from(usage.cpu.as_millis()).ok(),
            bytes_uploaded: Some(self.upload.get().borrow().bytes_uploaded),
        }
    }
}

/// What was decided, in percent; what the owner took back counts in neither.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percent {
    pub(crate) uploaded: Option<f64>,
    pub(crate) dropped: Option<f64>,
}

impl Percent {
    pub(crate) fn of(uploaded: u64, drops: &Drops) -> Self {
        let dropped = drops.total() - drops.by_owner();
        let decided = uploaded + dropped;
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
        let percent = |part: u64| (decided > 0).then(|| 100.0 * part as f64 / decided as f64);
        Self { uploaded: percent(uploaded), dropped: percent(dropped) }
    }
}
