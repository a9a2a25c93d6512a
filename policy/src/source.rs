//! The sources: read every layer of this host, resolve them, and hand out one snapshot.
//!
//! On Linux, and wherever a root is named, layers are TOML files under the root; on Windows
//! without one they are registry keys. `watch.rs` reads again when something changes.
//!
//! # Invariants
//! - Every layer is read each time, whole: no state is kept between readings but the last good
//!   `agent.toml`, which a bad one does not replace.
//!
//! On failure: a layer that cannot be read is a layer that says so; nothing here fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candor_model::Level;
use candor_platform::{Clock as _, Layout, SystemClock, boot_id};

pub(crate) mod file;
pub(crate) mod notice;
#[cfg(any(windows, test))]
pub(crate) mod registry;

use file::Reader;

#[cfg(windows)]
use crate::config::WindowsSetting;
use crate::config::{Config, ConfigError};
use crate::effective::{Effective, LevelDecision, Refusal};
use crate::finding::Finding;
use crate::layer::{Layer, LayerKind, Reading, Weight};
use crate::providers::ProviderFiles;
use crate::raise::{Now, Until, raise_of, settle};
use crate::remote::{Held, Origin};
use crate::resolve::{deciding, merge, resolve, would_be, would_upload};

/// All that was read at one moment, and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What everything obeys.
    pub effective: Effective,
    /// Every place that was read.
    pub layers: Vec<Layer>,
    /// The configuration that runs: the last good one.
    pub config: Arc<Config>,
    /// Why the present `agent.toml` cannot be used, if it cannot.
    pub config_error: Option<ConfigError>,
    /// The end of the operator's raise, while one runs.
    pub raise: Option<Until>,
    /// The manifests of local programs, and which of them are switched on.
    pub providers: Arc<ProviderFiles>,
}

impl Snapshot {
    /// As [`would_be`].
    ///
    /// # Errors
    /// See there.
    pub fn would_be(&self, level: Level) -> Result<LevelDecision, Refusal> {
        would_be(&self.layers, level)
    }

    /// The place that forbids showing what this host tells, where one does.
    #[must_use]
    pub fn viewer_disabled_by(&self) -> Option<&str> {
        let stated = deciding(&self.layers, |words| words.disable_diagnostic_data_viewer);
        stated.filter(|(_, disabled)| *disabled).map(|(layer, _)| layer.source.as_str())
    }

    /// As [`would_upload`].
    ///
    /// # Errors
    /// See there.
    pub fn would_upload(&self, enabled: bool) -> Result<(), Refusal> {
        would_upload(&self.layers, enabled)
    }

    /// What the level falls back to by itself when the operator's raise ends, while one runs.
    #[must_use]
    pub fn after_raise(&self) -> Option<LevelDecision> {
        let wall = self.raise.as_ref()?.wall.time();
        // In no boot: there only the wall clock tells, and by it the time is over.
        let over = Now { wall, boot: Duration::ZERO, boot_id: None };
        let mut layers = self.layers.clone();
        for layer in layers.iter_mut().filter(|layer| layer.kind == LayerKind::Operator) {
            settle_layer(layer, &over);
        }
        Some(resolve(&layers).level)
    }

    /// Whether the operator's setting holds a raise that has ended.
    #[must_use]
    pub fn has_ended_raise(&self) -> bool {
        let words = self.layers.iter().filter(|layer| layer.kind == LayerKind::Operator);
        let mut words = words.filter_map(|layer| layer.reading.words());
        self.raise.is_none() && words.any(|words| raise_of(words).is_some())
    }

    /// How long the remote settings still count, where they have an end.
    #[must_use]
    pub(crate) fn remote_left(&self, now: SystemTime) -> Option<Duration> {
        let remote = self.layers.iter().find_map(|layer| layer.remote.as_ref())?;
        Some(remote.expires?.duration_since(now).unwrap_or_default())
    }
}

/// What became of `agent.toml`.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigReading {
    /// There is none: the defaults hold.
    Absent,
    /// It was understood.
    Read(Arc<Config>),
    /// It cannot be used.
    Bad(ConfigError),
}

/// The places of one instance.
#[derive(Clone, Debug)]
pub struct Sources {
    layout: Layout,
    config_file: PathBuf,
    config_is_named: bool,
    reader: Reader,
}

impl Sources {
    /// The sources of an instance; `config_file` where `--config` names one, which must then exist.
    #[must_use]
    pub fn new(layout: &Layout, config_file: Option<&Path>) -> Self {
        Self {
            layout: layout.clone(),
            config_file: config_file.map_or_else(|| layout.config_file(), Path::to_owned),
            config_is_named: config_file.is_some(),
            reader: Reader::Agent,
        }
    }

    /// The same for a person without a daemon: what he may not read is said to be so.
    #[must_use]
    pub fn for_caller(self) -> Self {
        Self { reader: Reader::Caller, ..self }
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// Where everything lies.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Reads everything now.
    #[must_use]
    pub fn load(&self) -> Snapshot {
        self.load_after(None, &now())
    }

    /// Reads everything; a bad `agent.toml` does not replace the one of `previous`.
    #[must_use]
    pub fn load_after(&self, previous: Option<&Snapshot>, now: &Now) -> Snapshot {
        let reading = self.read_config();
        let (reading, config_error) = match (reading, previous) {
            (ConfigReading::Bad(error), Some(previous)) => {
                (ConfigReading::Read(Arc::clone(&previous.config)), Some(error))
            }
            (ConfigReading::Bad(error), None) => (ConfigReading::Bad(error.clone()), Some(error)),
            (reading, _) => (reading, None),
        };
        let (layers, raise) = self.read_at(&reading, now);
        let config = match reading {
            ConfigReading::Read(config) => config,
            ConfigReading::Absent | ConfigReading::Bad(_) => Arc::default(),
        };
        let providers = Arc::new(ProviderFiles::read(&self.layout, self.reader));
        Snapshot { effective: resolve(&layers), layers, config, config_error, raise, providers }
    }

    /// Reads `agent.toml`.
    #[must_use]
    pub fn read_config(&self) -> ConfigReading {
        match Config::load(&self.config_file) {
            Ok(Some(config)) => ConfigReading::Read(Arc::new(config)),
            Ok(None) if self.config_is_named => {
                let file = self.config_file.display().to_string();
                let problem = "does not exist: name the file that is meant".to_owned();
                ConfigReading::Bad(ConfigError { findings: vec![Finding::of_file(&file, problem)] })
            }
            Ok(None) => ConfigReading::Absent,
            Err(error) => ConfigReading::Bad(error),
        }
    }

    /// Reads every layer, strongest first.
    #[must_use]
    pub fn read(&self, config: &ConfigReading) -> Vec<Layer> {
        self.read_at(config, &now()).0
    }

    fn read_at(&self, config: &ConfigReading, now: &Now) -> (Vec<Layer>, Option<Until>) {
        let mut layers = self.read_policy();
        let mut operator = self.read_operator();
        let raise = settle_layer(&mut operator, now);
        layers.push(operator);
        layers.extend(self.read_windows_setting(config));
        layers.push(self.configuration(config));
        layers.extend(self.read_remote(&layers, now));
        (layers, raise)
    }

    fn configuration(&self, config: &ConfigReading) -> Layer {
        let reading = match config {
            ConfigReading::Absent => Reading::Absent,
            ConfigReading::Read(config) => Reading::Read {
                words: Box::new(config.words.clone()),
                remarks: config.remarks.iter().map(Finding::within_file).collect(),
            },
            ConfigReading::Bad(_) if self.is_hidden() => {
                Reading::NotReadableByYou("the file is not readable by you".to_owned())
            }
            ConfigReading::Bad(error) => {
                let findings = error.findings.iter().map(Finding::within_file);
                Reading::Malformed(findings.collect::<Vec<_>>().join("; "))
            }
        };
        let place = self.config_file.display().to_string();
        let source = file::short_name(LayerKind::Configuration, &self.config_file);
        Layer::new(LayerKind::Configuration, &place, reading).called(&source)
    }

    /// The remote settings that are held, where the other layers want any.
    fn read_remote(&self, layers: &[Layer], now: &Now) -> Option<Layer> {
        let words = merge(layers);
        let origin = Origin::stated(&words)?;
        if Origin::of(&words).is_none() {
            let place = origin.endpoint.to_string();
            let layer = Layer::new(LayerKind::Remote, &place, Reading::Absent);
            return Some(Layer { weight: Weight::Nothing, ..layer });
        }
        Some(Held::new(&self.layout).layer(&origin, self.reader, now.wall))
    }

    /// Whether the configuration is kept from the caller, so that he cannot know what it says.
    fn is_hidden(&self) -> bool {
        let denied = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
        self.reader == Reader::Caller && std::fs::File::open(&self.config_file).is_err_and(denied)
    }

    fn read_policy(&self) -> Vec<Layer> {
        #[cfg(windows)]
        if !self.layout.has_root() {
            return vec![registry::read_key(LayerKind::Policy, registry::POLICY_KEY, self.reader)];
        }
        file::read_policy(&self.layout.policy_dir(), self.layout.root(), self.reader)
    }

    fn read_operator(&self) -> Layer {
        #[cfg(windows)]
        if !self.layout.has_root() {
            return registry::read_key(LayerKind::Operator, registry::OPERATOR_KEY, self.reader);
        }
        file::read_operator(&self.layout.operator_file(), self.reader)
    }

    #[cfg(windows)]
    fn read_windows_setting(&self, config: &ConfigReading) -> Option<Layer> {
        if self.layout.has_root() {
            return None;
        }
        let setting = match config {
            ConfigReading::Read(config) => config.windows_setting,
            ConfigReading::Absent | ConfigReading::Bad(_) => WindowsSetting::default(),
        };
        let weight = match setting {
            WindowsSetting::Follow => Weight::Full,
            WindowsSetting::Ceiling => Weight::Ceiling,
            WindowsSetting::Ignore => Weight::Nothing,
        };
        let kind = LayerKind::WindowsSetting;
        Some(Layer { weight, ..registry::read_key(kind, registry::WINDOWS_KEY, self.reader) })
    }

    #[cfg(not(windows))]
    #[expect(clippy::unused_self, reason = "the same signature as on Windows")]
    fn read_windows_setting(&self, _config: &ConfigReading) -> Option<Layer> {
        None
    }
}

/// The clocks, now.
#[must_use]
pub fn now() -> Now {
    let clock = SystemClock;
    Now { wall: clock.wall(), boot: clock.boot(), boot_id: boot_id() }
}

/// Settles a raise in the operator's layer; returns its end while it runs.
fn settle_layer(layer: &mut Layer, now: &Now) -> Option<Until> {
    let Reading::Read { words, remarks } = &mut layer.reading else { return None };
    let raise = raise_of(words).filter(|_| words.allow_telemetry.is_some());
    let (settled, said) = settle((**words).clone(), now);
    **words = settled;
    let runs = said.is_none();
    remarks.extend(said);
    raise.filter(|_| runs)
}
