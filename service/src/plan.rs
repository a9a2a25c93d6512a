//! From a policy snapshot to what each part of the engine does: the one place where configuration is
//! translated, so that no part reads it for itself.

use std::sync::Arc;

use candor_model::Level;
use candor_model::events::agent::Settings;
use candor_otlp::Resource;
use candor_pipeline::settings_event;
use candor_policy::{Effective, Snapshot, UploadConfig};
use candor_probes::Intervals;
use candor_upload::{Destination, Reason, Trouble, UploadSettings};

/// What the collecting task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Collecting {
    pub(crate) level: Level,
    pub(crate) intervals: Intervals,
    /// Whether there is somebody to collect for.
    pub(crate) has_receiver: bool,
}

/// What the whole engine does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) collecting: Collecting,
    /// No log records, at whatever level.
    pub(crate) limit_logs: bool,
    pub(crate) upload: Arc<UploadSettings>,
    pub(crate) settings: Settings,
}

impl Plan {
    /// The plan of a snapshot, for this installation.
    pub(crate) fn of(snapshot: &Snapshot, install_id: &str) -> Self {
        let (effective, config) = (&snapshot.effective, &snapshot.config);
        let interval = config.upload.interval.unwrap_or(UploadConfig::INTERVAL);
        let has_receiver =
            effective.events_endpoint.is_some() || config.spool.keep_without_endpoint;
        Self {
            collecting: Collecting {
                level: effective.level.effective,
                intervals: Intervals { sample: config.sample.interval, report: interval },
                has_receiver,
            },
            limit_logs: effective.words.limit_diagnostic_log_collection == Some(true),
            upload: Arc::new(UploadSettings {
                enabled: effective.upload_enabled,
                ceiling: effective.level.effective,
                hold: effective.hold.as_ref().map(|why| Trouble::new(Reason::Policy, why.clone())),
                destination: Destination::of(effective, &config.upload),
                interval,
                resource: resource(effective, install_id).into(),
                max_bytes_per_day: Some(config.upload.day_limit(effective.level.effective)),
            }),
            settings: settings_event(effective),
        }
    }
}

fn resource(effective: &Effective, install_id: &str) -> Vec<u8> {
    let mut resource = Resource::here(Some(install_id.to_owned()), env!("CARGO_PKG_VERSION"));
    if effective.allow_device_name {
        resource.host_name = candor_platform::host_name();
    }
    resource.encode()
}
