//! The registry: every provider that this host knows, which are on, and who is who.
//!
//! Made anew from the files whenever one changes; what runs on (counts, rate limits) is taken over
//! from the one before.
//!
//! # Invariants
//! - A shipped provider is off until it is switched on; one whose manifest the administrator added
//!   is on until it is switched off. While the switches cannot be understood, all are off.
//! - A manifest that the administrator added stands in place of a shipped one of its name, also
//!   when it cannot be understood: then that provider is off.
//! - `application`, which takes anything, is asked last.
//!
//! On failure: a manifest with findings is a provider that is off and says why.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use candor_model::Kind;
use candor_policy::{Finding, ProviderFile, ProviderFiles, ScrapeConfig};
use sha2::{Digest as _, Sha256};

use crate::manifest::read;
use crate::rate::Limiter;
use crate::scraped::declare;
use crate::{Caller, Counts, Event, Manifest, Origin, PeerWord, Peers, Reason, SHIPPED, Transport};

/// Where a manifest comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It came with the agent.
    Shipped,
    /// The administrator added it.
    Local,
}

impl Source {
    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Local => "local",
        }
    }
}

/// One provider that the host knows, with what it has done since the agent started.
#[derive(Debug)]
pub struct Provider {
    pub(crate) manifest: Manifest,
    pub(crate) live: Arc<Live>,
    source: Source,
    is_on: bool,
}

/// What a new reading of the manifests takes over.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) counts: Counts,
    pub(crate) limiter: Mutex<Limiter>,
}

impl Provider {
    /// Its manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where its manifest comes from.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Whether it is switched on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// What it sent and what became of it.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.live.counts
    }

    /// Whether a program may speak as this provider.
    fn admits(&self, caller: &Caller) -> bool {
        let manifest = &self.manifest;
        let token = manifest.token_sha256.as_ref();
        let has_token = token.is_none_or(|digest| {
            caller.token.as_ref().is_some_and(|token| sha256(token).eq_ignore_ascii_case(digest))
        });
        has_token && admits_peer(&manifest.peer, &caller.transport)
    }
}

fn admits_peer(peers: &Peers, transport: &Transport) -> bool {
    let these = match (peers, transport) {
        (Peers::Word(PeerWord::Agent), who) => return *who == Transport::Agent,
        (_, Transport::Agent) | (Peers::These(_), Transport::Loopback) => return false,
        (Peers::Word(PeerWord::Any), _) => return true,
        (Peers::These(these), Transport::Socket { .. }) => these,
    };
    let Transport::Socket { uid, gids, executable, .. } = transport else { return false };
    let is_one =
        |list: &[u32], ids: &[u32]| list.is_empty() || ids.iter().any(|id| list.contains(id));
    let runs = |path: &Path| these.executable.iter().any(|one| one == path);
    is_one(&these.uid, uid.as_slice())
        && is_one(&these.gid, gids)
        && (these.executable.is_empty() || executable.as_deref().is_some_and(runs))
}

fn sha256(token: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(token.as_bytes());
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A manifest that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The provider, as its file is called.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// What is wrong and what to change.
    pub findings: Vec<Finding>,
}

/// All providers of this host at one moment.
#[derive(Debug, Default)]
pub struct Registry {
    providers: Vec<Provider>,
    broken: Vec<Broken>,
    strangers: Arc<Counts>,
    trouble: Option<String>,
}

impl Registry {
    /// The registry of what was read; counts and limits go on from `previous`. What is scraped completes
    /// the manifest of the provider that is the agent's own.
    #[must_use]
    pub fn new(files: &ProviderFiles, scrapes: &[ScrapeConfig], previous: Option<&Self>) -> Self {
        let mut read = Reading::default();
        match &files.shipped {
            Some(shipped) => read.files(shipped, Source::Shipped),
            None => read.built_in(),
        }
        read.files(&files.local, Source::Local);
        for (manifest, _) in read.manifests.values_mut() {
            if manifest.peer == Peers::Word(PeerWord::Agent) {
                declare(manifest, scrapes);
            }
        }
        let none = BTreeMap::new();
        let switches = files.switches.as_ref();
        let is_on = |name: &str, source| {
            let choice = switches.unwrap_or(&none).get(name).copied();
            switches.is_ok() && choice.unwrap_or(source == Source::Local)
        };
        let live = |name: &str| {
            let before = previous.and_then(|registry| registry.provider(name));
            before.map(|provider| Arc::clone(&provider.live)).unwrap_or_default()
        };
        let mut providers: Vec<Provider> = (read.manifests.into_values())
            .map(|(manifest, source)| Provider {
                live: live(&manifest.name),
                is_on: is_on(&manifest.name, source),
                manifest,
                source,
            })
            .collect();
        providers.sort_by_key(|provider| provider.manifest.any_event);
        Self {
            providers,
            broken: read.broken.into_values().collect(),
            strangers: previous.map(|registry| Arc::clone(&registry.strangers)).unwrap_or_default(),
            trouble: files.switches.clone().err(),
        }
    }

    /// Every provider, on or off; `application` last.
    #[must_use]
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// Manifests that cannot be used.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Why all providers are off, where the switches cannot be understood.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What programs sent that no provider matched.
    #[must_use]
    pub fn strangers(&self) -> &Counts {
        &self.strangers
    }

    /// The provider of a name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.manifest.name == name)
    }

    /// Whether it pays to ask the system for a caller's executable.
    #[must_use]
    pub fn wants_executables(&self) -> bool {
        let wants =
            |peers: &Peers| matches!(peers, Peers::These(these) if !these.executable.is_empty());
        self.providers.iter().any(|provider| provider.is_on && wants(&provider.manifest.peer))
    }

    /// Which provider a program speaks as. It is the caller's to count a refusal, once a record, in
    /// [`Registry::strangers`].
    ///
    /// # Errors
    /// [`Reason::UnknownProvider`].
    pub fn recognise<'a>(
        &'a self,
        caller: &Caller,
        origin: &Origin<'_>,
    ) -> Result<&'a Provider, Reason> {
        let matches = |provider: &&Provider| {
            provider.manifest.service_name.admit(origin.service_name)
                && provider.manifest.scope.admit(origin.scope)
        };
        self.on(caller).find(matches).ok_or(Reason::UnknownProvider)
    }

    /// Which provider a program speaks as that names nothing but its event, as `agentctl emit` does.
    ///
    /// # Errors
    /// [`Reason::UnknownEvent`].
    pub fn recognise_event<'a>(
        &'a self,
        caller: &Caller,
        name: &str,
    ) -> Result<&'a Provider, Reason> {
        let declares = |provider: &&Provider| {
            provider.manifest.any_event || provider.manifest.event(Kind::Log, name).is_some()
        };
        self.on(caller).find(declares).ok_or(Reason::UnknownEvent)
    }

    /// Where a record of a program that calls itself so is declared: the first manifest, on or off, that knows
    /// it; one that takes any event knows it without saying more.
    #[must_use]
    pub fn declared(
        &self,
        service_name: Option<&str>,
        kind: Kind,
        name: &str,
    ) -> Option<(&Manifest, Option<&Event>)> {
        let is_so_called = |manifest: &&Manifest| {
            // What `agentctl emit` sends is called as its provider.
            service_name == Some(manifest.name.as_str())
                || manifest.service_name.admit(service_name)
        };
        let manifests = self.providers.iter().map(Provider::manifest).filter(is_so_called);
        let mut declared = manifests.filter_map(|manifest| match manifest.event(kind, name) {
            Some(event) => Some((manifest, Some(event))),
            None => manifest.any_event.then_some((manifest, None)),
        });
        declared.next()
    }

    fn on<'a>(&'a self, caller: &Caller) -> impl Iterator<Item = &'a Provider> {
        self.providers.iter().filter(|provider| provider.is_on && provider.admits(caller))
    }
}

/// Manifests by name, while they are read.
#[derive(Default)]
struct Reading {
    manifests: BTreeMap<String, (Manifest, Source)>,
    broken: BTreeMap<String, Broken>,
}

impl Reading {
    fn built_in(&mut self) {
        for (name, text) in SHIPPED {
            self.take(name, read(text, &format!("{name}.toml")), Source::Shipped);
        }
    }

    fn files(&mut self, files: &[ProviderFile], source: Source) {
        for file in files {
            let name = Path::new(&file.file).file_stem().unwrap_or_default().to_string_lossy();
            let manifest = match &file.text {
                Ok(text) => read(text, &file.file),
                Err(why) => Err(vec![Finding::of_file(&file.file, why.clone())]),
            };
            self.take(&name, manifest, source);
        }
    }

    fn take(&mut self, name: &str, manifest: Result<Manifest, Vec<Finding>>, source: Source) {
        // A local manifest stands in place of the shipped one, whatever becomes of it.
        self.manifests.remove(name);
        self.broken.remove(name);
        let manifest = manifest.and_then(|manifest| {
            if manifest.name == name {
                return Ok(manifest);
            }
            let problem = format!(
                "is called {}: call the file {0}.toml, or the provider {name}",
                manifest.name
            );
            Err(vec![Finding::of_file(&format!("{name}.toml"), problem)])
        });
        match manifest {
            Ok(manifest) => {
                self.manifests.insert(name.to_owned(), (manifest, source));
            }
            Err(findings) => {
                let broken = Broken { name: name.to_owned(), source, findings };
                self.broken.insert(name.to_owned(), broken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Level;

    use super::*;

    fn file(name: &str, rest: &str) -> ProviderFile {
        let text = format!(
            "name = \"{name}\"\ndoc = \"x\"\n{rest}\n[[event]]\nname = \"{name}.run\"\nlevel = 2\n\
             purpose = \"x\"\ndoc = \"x\"\n"
        );
        ProviderFile { file: format!("providers.d/{name}.toml"), text: Ok(text) }
    }

    fn files(local: Vec<ProviderFile>, switches: &[(&str, bool)]) -> ProviderFiles {
        let switches = switches.iter().map(|(name, is_on)| ((*name).to_owned(), *is_on));
        ProviderFiles { shipped: None, local, switches: Ok(switches.collect()) }
    }

    fn socket(uid: u32, gids: &[u32], executable: Option<&str>) -> Caller {
        let executable = executable.map(Into::into);
        let transport =
            Transport::Socket { uid: Some(uid), gids: gids.to_vec(), pid: Some(1), executable };
        Caller { transport, token: None }
    }

    fn name_of(result: Result<&Provider, Reason>) -> Option<&str> {
        result.ok().map(|provider| provider.manifest().name.as_str())
    }

    fn service(name: &str) -> Origin<'_> {
        Origin { service_name: Some(name), scope: None }
    }

    #[test]
    fn a_program_is_recognised_by_user_group_and_executable() {
        let local = vec![
            file("by-exe", "peer = { executable = [\"/usr/bin/b\"] }"),
            file("by-group", "peer = { gid = [7] }"),
            file("by-user", "peer = { uid = [5] }"),
            file("by-user-and-exe", "peer = { uid = [6], executable = [\"/usr/bin/c\"] }"),
        ];
        let registry = Registry::new(&files(local, &[]), &[], None);
        let who = |caller: Caller| name_of(registry.recognise(&caller, &Origin::default()));
        assert_eq!(who(socket(5, &[1], None)), Some("by-user"));
        assert_eq!(who(socket(9, &[1, 7], None)), Some("by-group"));
        assert_eq!(who(socket(9, &[1], Some("/usr/bin/b"))), Some("by-exe"));
        assert_eq!(who(socket(6, &[1], Some("/usr/bin/c"))), Some("by-user-and-exe"));
        assert_eq!(who(socket(6, &[1], Some("/usr/bin/other"))), None);
        assert_eq!(who(socket(8, &[1], Some("/usr/bin/c"))), None);
        assert_eq!(who(Caller::loopback()), None, "on TCP nobody tells who it is");
        assert!(registry.wants_executables());
    }

    #[test]
    fn on_tcp_a_program_is_recognised_by_its_service_name_scope_and_token() {
        let digest = sha256("open sesame");
        let local = vec![
            file("by-name", "peer = \"any\"\nservice_name = [\"shop\", \"shop-*\"]"),
            file("by-scope", "peer = \"any\"\nscope = [\"shop.cart\"]"),
            file("by-token", &format!("peer = \"any\"\ntoken_sha256 = \"{digest}\"")),
        ];
        let registry = Registry::new(&files(local, &[]), &[], None);
        let who = |caller: &Caller, origin: &Origin<'_>| {
            name_of(registry.recognise(caller, origin)).map(str::to_owned)
        };
        let caller = Caller::loopback();
        assert_eq!(who(&caller, &service("shop-1")).as_deref(), Some("by-name"));
        assert_eq!(who(&caller, &service("shopping")), None);
        let scope = Origin { service_name: Some("x"), scope: Some("shop.cart") };
        assert_eq!(who(&caller, &scope).as_deref(), Some("by-scope"));
        let shows = |token: &str| Caller { token: Some(token.to_owned()), ..Caller::loopback() };
        assert_eq!(who(&shows("open sesame"), &service("x")).as_deref(), Some("by-token"));
        assert_eq!(who(&shows("open"), &service("x")), None);
        assert!(!registry.wants_executables());
    }

    #[test]
    fn a_shipped_provider_is_off_and_a_local_one_on_until_switched() {
        let local = vec![file("mine", "peer = { uid = [0] }")];
        let on = |registry: &Registry| {
            let on = registry.providers().iter().filter(|provider| provider.is_on());
            on.map(|provider| provider.manifest().name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(on(&Registry::new(&files(local.clone(), &[]), &[], None)), ["mine"]);
        let switches = [("mine", false), ("cli", true), ("application", true)];
        assert_eq!(
            on(&Registry::new(&files(local.clone(), &switches), &[], None)),
            ["cli", "application"]
        );
        let unclear = ProviderFiles { switches: Err("odd".into()), ..files(local, &[]) };
        let registry = Registry::new(&unclear, &[], None);
        assert_eq!((on(&registry), registry.trouble()), (vec![], Some("odd")));
    }

    #[test]
    fn application_is_asked_last_and_takes_what_nobody_declares() {
        let local = vec![file("zebra", "peer = \"any\"\nservice_name = [\"zebra\"]")];
        let registry = Registry::new(&files(local, &[("application", true)]), &[], None);
        let caller = Caller::loopback();
        assert_eq!(name_of(registry.recognise(&caller, &service("zebra"))), Some("zebra"));
        assert_eq!(name_of(registry.recognise(&caller, &service("x"))), Some("application"));
        assert_eq!(name_of(registry.recognise_event(&caller, "zebra.run")), Some("zebra"));
        assert_eq!(name_of(registry.recognise_event(&caller, "other")), Some("application"));
    }

    #[test]
    fn a_local_manifest_stands_in_place_of_a_shipped_one_also_when_it_is_broken() {
        let broken =
            ProviderFile { file: "providers.d/cli.toml".into(), text: Ok("name = ".into()) };
        let registry = Registry::new(&files(vec![broken], &[("cli", true)]), &[], None);
        assert!(registry.provider("cli").is_none());
        assert_eq!((registry.broken()[0].name.as_str(), registry.broken().len()), ("cli", 1));
        let other =
            ProviderFile { file: "providers.d/x.toml".into(), ..file("y", "peer = { uid = [0] }") };
        let registry = Registry::new(&files(vec![other], &[]), &[], None);
        let said = registry.broken()[0].findings[0].to_string();
        assert!(said.contains("is called y: call the file y.toml"), "{said}");
    }

    #[test]
    fn counts_go_on_when_the_manifests_are_read_again() {
        let read = |previous| Registry::new(&files(vec![], &[("cli", true)]), &[], previous);
        let first = read(None);
        first.provider("cli").unwrap().counts().refuse(Reason::Level);
        first.strangers().refuse(Reason::UnknownProvider);
        let second = read(Some(&first));
        assert_eq!(second.provider("cli").unwrap().counts().refused(Reason::Level), 1);
        assert_eq!(second.strangers().refused(Reason::UnknownProvider), 1);
    }

    #[test]
    fn as_prometheus_only_the_agent_speaks_and_of_what_is_listed() {
        let scrape = |metric: &str, label: &str, level| ScrapeConfig {
            name: "node".into(),
            address: ([127, 0, 0, 1], 9100).into(),
            path: "/metrics".into(),
            interval: ScrapeConfig::INTERVAL,
            metrics: vec![metric.into()],
            labels: vec![label.into()],
            level,
        };
        let scrapes = [
            scrape("node_load1", "cpu", Level::Enhanced),
            scrape("node_load1", "mode", Level::Full),
            scrape("disk_*", "disk", Level::Basic),
        ];
        let switches = [("prometheus", true), ("application", true)];
        let registry = Registry::new(&files(vec![], &switches), &scrapes, None);
        let who = |caller: &Caller| name_of(registry.recognise(caller, &service("node")));
        assert_eq!(who(&Caller::agent()), Some("prometheus"));
        assert_eq!(who(&Caller::loopback()), Some("application"));
        let manifest = registry.provider("prometheus").unwrap().manifest();
        let load = manifest.event(Kind::Metric, "node_load1").unwrap();
        assert_eq!((load.level, load.fields.len()), (Level::Full, 2));
        assert_eq!(manifest.event(Kind::Metric, "disk_used").unwrap().level, Level::Basic);
        assert!(manifest.event(Kind::Metric, "other").is_none());
        assert!(manifest.event(Kind::Log, "node_load1").is_none());
    }
}
