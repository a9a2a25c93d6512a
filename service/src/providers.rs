//! The local programs that this agent knows: the registry of what policy read, and how it is told and
//! switched.
//!
//! # Invariants
//! - A registry is made when somebody asks for one and the files have changed since: an agent that no
//!   program speaks to never makes one.
//! - Counts and limits go on when the manifests are read again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use candor_control::protocol::{Code, ProviderRequest, ProviderStatus, Providers as Told, Refusal};
use candor_policy::{Config, ProviderFiles, Snapshot};
use candor_providers::{Broken, Provider, Reason, Registry};

/// The registry of the files as they were read last.
#[derive(Debug, Default)]
pub(crate) struct Providers(RefCell<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    files: Arc<ProviderFiles>,
    config: Arc<Config>,
    registry: Arc<Registry>,
}

impl Providers {
    /// The registry of what the snapshot holds.
    pub(crate) fn of(&self, snapshot: &Snapshot) -> Arc<Registry> {
        let (files, config) = (&snapshot.providers, &snapshot.config);
        let mut kept = self.0.borrow_mut();
        if let Some(kept) = &*kept
            && kept.files == *files
            && kept.config.scrapes == config.scrapes
        {
            return Arc::clone(&kept.registry);
        }
        let previous = kept.as_ref().map(|kept| kept.registry.as_ref());
        let registry = Arc::new(Registry::new(files, &config.scrapes, previous));
        let (files, config) = (Arc::clone(files), Arc::clone(config));
        *kept = Some(Kept { files, config, registry: Arc::clone(&registry) });
        registry
    }
}

/// Whether the provider that a request names is on.
///
/// # Errors
/// Nobody is called so, or its manifest cannot be used.
pub(crate) fn is_on(registry: &Registry, asked: &ProviderRequest) -> Result<bool, Refusal> {
    if let Some(provider) = registry.provider(&asked.name) {
        return Ok(provider.is_on());
    }
    let is_broken = registry.broken().iter().any(|broken| broken.name == asked.name);
    let name: String = asked.name.chars().take(64).collect();
    if is_broken {
        // It is off as it is; switching it off for good must still be possible.
        return if asked.enabled {
            let refusal = Refusal::failed(format!("the manifest of {name} cannot be used"));
            Err(refusal.remedy("`agentctl check` says what to change"))
        } else {
            Ok(false)
        };
    }
    let refusal = Refusal::new(Code::NotFound, format!("there is no provider {name}"));
    Err(refusal.remedy("`agentctl providers` lists them"))
}

/// What `GET /v1/providers` answers, as far as the registry knows.
pub(crate) fn told(registry: &Registry) -> Told {
    let mut providers: Vec<ProviderStatus> = registry.providers().iter().map(status).collect();
    providers.extend(registry.broken().iter().map(broken));
    Told {
        trouble: registry.trouble().map(str::to_owned),
        ingest_trouble: None,
        providers,
        unmatched: by_reason(|reason| registry.strangers().refused(reason)),
    }
}

fn status(provider: &Provider) -> ProviderStatus {
    let (manifest, counts) = (provider.manifest(), provider.counts());
    ProviderStatus {
        name: manifest.name.clone(),
        doc: Some(manifest.doc.clone()),
        source: provider.source().word().to_owned(),
        enabled: provider.is_on(),
        level: Some(manifest.lowest_level().number()),
        accepted: counts.accepted(),
        refused: by_reason(|reason| counts.refused(reason)),
        fields_refused: by_reason(|reason| counts.fields(reason)),
        problems: Vec::new(),
    }
}

fn broken(broken: &Broken) -> ProviderStatus {
    ProviderStatus {
        name: broken.name.clone(),
        source: broken.source.word().to_owned(),
        problems: broken.findings.iter().map(ToString::to_string).collect(),
        ..ProviderStatus::default()
    }
}

fn by_reason(count: impl Fn(Reason) -> u64) -> BTreeMap<String, u64> {
    let counts = Reason::ALL.into_iter().map(|reason| (reason.word().to_owned(), count(reason)));
    counts.filter(|(_, count)| *count > 0).collect()
}
