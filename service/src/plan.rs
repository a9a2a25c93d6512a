//! From a policy snapshot to what each part of the engine does: the one place where configuration is
//! translated, so that no part reads it for itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use candor_model::Level;
use candor_model::events::agent::Settings;
use candor_pipeline::{resource, settings_event};
use candor_policy::remote::Origin;
use candor_policy::{Effective, Snapshot, UploadConfig};
use candor_probes::Intervals;
use candor_upload::{Destination, Reason, Trouble, UploadSettings};

use crate::remote::Source;

/// What to do about a stop from afar.
const UNDER_A_STOP: &str = "nothing: it ends by the settings that are fetched next, `agentctl reload` \
                            fetches them now; DisableOneSettingsDownloads = 1 ends it on this host";

/// What the collecting task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Collecting {
    pub(crate) level: Level,
    pub(crate) intervals: Intervals,
    /// Whether there is somebody to collect for, and no stop.
    pub(crate) has_receiver: bool,
}

/// What the whole engine does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) collecting: Collecting,
    /// No log records, at whatever level.
    pub(crate) limit_logs: bool,
    /// Events and metrics that are off, by name.
    pub(crate) off: Arc<BTreeSet<String>>,
    pub(crate) upload: Arc<UploadSettings>,
    /// Where remote settings come from, where they are wanted.
    pub(crate) remote: Option<Arc<Source>>,
    pub(crate) settings: Settings,
}

impl Plan {
    /// The plan of a snapshot, for this installation.
    pub(crate) fn of(snapshot: &Snapshot, install_id: &str) -> Self {
        let (effective, config) = (&snapshot.effective, &snapshot.config);
        let lowering = &effective.lowering;
        let interval = config.upload.interval.unwrap_or(UploadConfig::INTERVAL);
        let interval = interval.max(lowering.min_upload_interval.unwrap_or_default());
        let sample = config.sample.interval.max(lowering.min_sample_interval.unwrap_or_default());
        let has_receiver =
            effective.events_endpoint.is_some() || config.spool.keep_without_endpoint;
        Self {
            collecting: Collecting {
                level: effective.level.effective,
                intervals: Intervals { sample, report: interval },
                has_receiver: has_receiver && lowering.stop.is_none(),
            },
            limit_logs: effective.limits_logs(),
            upload: Arc::new(UploadSettings {
                enabled: effective.upload_enabled,
                ceiling: effective.level.effective,
                hold: hold(effective),
                destination: Destination::of(effective, &config.upload),
                fallbacks: Destination::fallbacks_of(&config.upload),
                interval,
                is_sparing: config.upload.interval.is_none(),
                resource: resource(effective, Some(install_id.to_owned())).encode().into(),
                max_bytes_per_day: Some(config.upload.day_limit(effective.level.effective)),
            }),
            off: Arc::clone(&lowering.off),
            remote: source(effective, &config.upload).map(Arc::new),
            settings: settings_event(effective),
        }
    }
}

/// Why nothing may be sent, whatever else is right.
fn hold(effective: &Effective) -> Option<Trouble> {
    let policy = effective.hold.as_ref().map(|why| Trouble::new(Reason::Policy, why.clone()));
    policy.or_else(|| {
        let stop = effective.lowering.stop.clone()?;
        Some(Trouble::new(Reason::Policy, stop).with_remedy(UNDER_A_STOP))
    })
}

/// Where remote settings come from; `None` where they are not wanted, or where it is not known what
/// policy says about the way there.
fn source(effective: &Effective, upload: &UploadConfig) -> Option<Source> {
    let origin = Origin::of(&effective.words).filter(|_| effective.hold.is_none())?;
    let endpoint = origin.endpoint.to_string().parse().ok()?;
    let destination = Destination::to(endpoint, effective, upload);
    Some(Source { origin, destination })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use candor_platform::Layout;
    use candor_policy::Sources;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// A host that samples every minute, uploads every two, and wants remote settings.
    fn snapshot() -> Snapshot {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path()));
        std::fs::create_dir_all(layout.config_file().parent().unwrap()).unwrap();
        let text = "EventsEndpoint = \"https://t.example\"\nSettingsEndpoint = \"https://s.example\"\n\
                    SettingsKeys = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]\n\
                    [sample]\ninterval = \"1m\"\n[upload]\ninterval = \"2m\"\n";
        std::fs::write(layout.config_file(), text).unwrap();
        Sources::new(&layout, None).load()
    }

    #[test]
    fn intervals_from_afar_only_lengthen_the_hosts_own() {
        let mut snapshot = snapshot();
        for (floor, sample, report) in
            [(MINUTE / 60, MINUTE, MINUTE * 2), (MINUTE * 10, MINUTE * 10, MINUTE * 10)]
        {
            snapshot.effective.lowering.min_sample_interval = Some(floor);
            snapshot.effective.lowering.min_upload_interval = Some(floor);
            let plan = Plan::of(&snapshot, "me");
            assert_eq!(plan.collecting.intervals, Intervals { sample, report });
            assert_eq!(plan.upload.interval, report);
        }
    }

    #[test]
    fn a_stop_collects_nothing_holds_the_upload_and_goes_on_asking() {
        let mut snapshot = snapshot();
        let plan = Plan::of(&snapshot, "me");
        assert!(plan.collecting.has_receiver && plan.upload.hold.is_none());
        snapshot.effective.lowering.stop = Some("version 7 says stop".to_owned());
        let plan = Plan::of(&snapshot, "me");
        assert!(!plan.collecting.has_receiver);
        let hold = plan.upload.hold.as_ref().unwrap();
        assert_eq!((hold.reason, hold.detail.as_str()), (Reason::Policy, "version 7 says stop"));
        let asked = plan.remote.unwrap();
        assert_eq!(asked.destination.endpoint.to_string(), "https://s.example");
    }

    #[test]
    fn nobody_is_asked_while_it_is_unknown_what_policy_says_about_the_way() {
        let mut snapshot = snapshot();
        snapshot.effective.hold = Some("policy.d/10-org.toml: malformed".to_owned());
        assert!(Plan::of(&snapshot, "me").remote.is_none());
    }
}
