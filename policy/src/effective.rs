//! The effective policy: the one value that everything else in the agent obeys.
//!
//! Made by `resolve.rs`, watched by every task; plain data.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use candor_model::{Level, Pin};

use crate::address::{HostPort, Url};
use crate::explanation::Explanation;
use crate::keys::Words;
use crate::layer::LayerKind;

/// The level that holds, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelDecision {
    /// What was asked for on this host: the strongest statement below management policy, else what
    /// policy or the default says.
    pub requested: Level,
    /// What holds.
    pub effective: Level,
    /// The place that decided, such as `policy.d/10-org.toml`.
    pub source: String,
    /// The layer that decided.
    pub layer: LayerKind,
    /// Why, such as `AllowTelemetry = 1`.
    pub reason: String,
}

/// Why something that the operator asks for would not hold. Nothing is written then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({source_place})")]
pub struct Refusal {
    /// Why, such as `LockLevel = 1`.
    pub reason: String,
    /// The place that says so.
    pub source_place: String,
    /// The level that would hold instead; for upload, the level that holds.
    pub effective: Level,
}

/// What remote settings lower beside the level; nothing where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lowering {
    /// Collect nothing and send nothing: why.
    pub stop: Option<String>,
    /// Sample no more often.
    pub min_sample_interval: Option<Duration>,
    /// Upload ordinary records no more often.
    pub min_upload_interval: Option<Duration>,
    /// Events and metrics that are off, by their names in the catalog.
    pub off: Arc<BTreeSet<String>>,
    /// All of it in a line, for the audit trail.
    pub summary: Option<String>,
}

/// The layers that state what is watched for changes beside the level; the default where none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatedBy {
    /// `UploadEnabled`.
    pub upload: LayerKind,
    /// `EventsEndpoint`.
    pub endpoint: LayerKind,
    /// `CertificatePins`.
    pub pins: LayerKind,
}

/// All layers together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the vocabulary")]
pub struct Effective {
    /// The level.
    pub level: LevelDecision,
    /// Off means: nothing is collected, nothing leaves.
    pub upload_enabled: bool,
    /// Why, such as `UploadEnabled = 0`, with its place.
    pub upload_reason: String,
    /// Why upload holds for policy's sake: the management policy or the operator's setting is not
    /// understood, so that what it says about upload, proxy, endpoint or pins is unknown.
    pub hold: Option<String>,
    /// The operator cannot change the level.
    pub lock_level: bool,
    /// The operator cannot enable or disable upload.
    pub lock_upload: bool,
    /// Where data goes.
    pub events_endpoint: Option<Url>,
    /// The pins, each once, in the order stated; after them a next pin set of remote settings. How many are enough is the uploader's rule.
    pub certificate_pins: Vec<Pin>,
    /// The only way out.
    pub telemetry_proxy: Option<HostPort>,
    /// Whether the host name may be sent; never while policy is not understood.
    pub allow_device_name: bool,
    /// What remote settings lower beside the level.
    pub lowering: Lowering,
    /// Whose word upload, endpoint and pins are.
    pub stated_by: StatedBy,
    /// Every word by the same precedence, for what has no field of its own.
    pub words: Words,
    /// What places say without effect, each with its place: unknown keys and the like.
    pub remarks: Vec<String>,
    /// Places that the caller may not read: where there are any, the rest is not to be trusted.
    pub not_readable: Vec<String>,
    /// Why the level is what it is.
    pub explanation: Explanation,
}

impl Effective {
    /// Whether no log record may be collected, at whatever level (`LimitDiagnosticLogCollection`).
    #[must_use]
    pub fn limits_logs(&self) -> bool {
        self.words.limit_diagnostic_log_collection == Some(true)
    }
}
