//! `candor.agent.settings`, and the resource that heads every request: the effective policy and this
//! installation as the receiver may see them.
//!
//! # Invariants
//! - Of the endpoint only the host is told; of the pins only their number.

use candor_model::events::agent::Settings;
use candor_otlp::Resource;
use candor_policy::Effective;

use crate::catalog;

/// The event for the policy that holds now. The version is this build's.
#[must_use]
pub fn settings_event(effective: &Effective) -> Settings {
    Settings {
        level: Some(effective.level.effective.number().into()),
        level_source: Some(effective.level.layer),
        upload_enabled: Some(effective.upload_enabled),
        endpoint_host: effective.events_endpoint.as_ref().map(|url| url.host().to_owned()),
        pins: u32::try_from(effective.certificate_pins.len()).ok(),
        agent_version: env!("CARGO_PKG_VERSION"),
        catalog_hash: Some(catalog::hash().to_owned()),
    }
}

/// What is said once of the sender; the id is absent where there is none yet.
#[must_use]
pub fn resource(effective: &Effective, install_id: Option<String>) -> Resource {
    let mut resource = Resource::here(install_id, env!("CARGO_PKG_VERSION"));
    if effective.allow_device_name {
        resource.host_name = candor_platform::host_name();
    }
    resource
}

#[cfg(test)]
mod tests {
    use candor_model::events::agent::Layer;
    use candor_policy::resolve;

    use super::*;

    #[test]
    fn the_event_tells_the_host_of_the_endpoint_and_no_more() {
        let mut effective = resolve(&[]);
        effective.events_endpoint = Some("https://t.example.org:8443/secret/path".parse().unwrap());
        let settings = settings_event(&effective);
        assert_eq!(settings.endpoint_host.as_deref(), Some("t.example.org"));
        assert_eq!((settings.level, settings.level_source), (Some(2), Some(Layer::Default)));
        assert_eq!((settings.upload_enabled, settings.pins), (Some(true), Some(0)));
        assert_eq!(settings.catalog_hash.as_deref(), Some(catalog::hash()));
    }
}
