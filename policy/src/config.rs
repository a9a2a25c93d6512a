//! `agent.toml`: policy's words at the top level, the engineering in tables.
//!
//! Its words are the layer `configuration` of the resolution; the rest goes, typed and with its
//! defaults, to the rooms that it configures.
//!
//! # Invariants
//! - An unknown key is an error, and so is a value that cannot be used: a file is taken whole or
//!   not at all.
//! - Every default stands in one place, the `Default` of its table.
//!
//! # On failure
//! [`ConfigError`] carries every finding with file, line, column, key and remedy. A start with it
//! ends in exit 78; a running agent keeps the configuration that it has.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

mod bytes;
mod duration;
mod section;

pub use bytes::parse_bytes;
pub use duration::parse_duration;

use section::{Section, choice, unknown};

use crate::document::{Entry, entries, parse, raw, take_word};
use crate::finding::{Finding, Findings, Severity};
use crate::keys::{Key, Words};
use crate::layer::LayerKind;

/// Shortest interval between rounds; below it the agent would do nothing else.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// How outgoing bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard.
    #[default]
    Zstd,
    /// Gzip.
    Gzip,
    /// Not at all.
    None,
}

/// How Windows' own registry setting counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowsSetting {
    /// As a layer below the operator's setting.
    #[default]
    Follow,
    /// Only as a ceiling.
    Ceiling,
    /// Not at all.
    Ignore,
}

/// How much the agent says of its own work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And warnings.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And how.
    Debug,
    /// And every step.
    Trace,
}

/// `[upload]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadConfig {
    /// Roots to verify with; `None` = the platform's.
    pub ca_file: Option<PathBuf>,
    /// Certificate of mutual TLS; stated together with its key or not at all.
    pub client_cert: Option<PathBuf>,
    /// Key of mutual TLS.
    pub client_key: Option<PathBuf>,
    /// Interval of ordinary uploads; `None` = [`UploadConfig::INTERVAL`] and the battery schedule.
    pub interval: Option<Duration>,
    /// Compression of bodies.
    pub compression: Compression,
    /// Most bytes a day; `None` = the default of the level.
    pub max_bytes_per_day: Option<u64>,
    /// Whether one pin is enough.
    pub allow_single_pin: bool,
}

impl UploadConfig {
    /// The interval where none is stated.
    pub const INTERVAL: Duration = Duration::from_secs(15 * 60);

    /// Most bytes a day at a level: 10 MiB, at level 3 50 MiB, where none is stated.
    #[must_use]
    pub fn day_limit(&self, level: candor_model::Level) -> u64 {
        let default = if level == candor_model::Level::Full { 50 << 20 } else { 10 << 20 };
        self.max_bytes_per_day.unwrap_or(default)
    }
}

/// `[sample]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleConfig {
    /// Time between samples.
    pub interval: Duration,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10) }
    }
}

/// `[spool]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Hard cap of the store.
    pub max_bytes: u64,
    /// What is older expires.
    pub max_age: Duration,
    /// Room to leave on the file system; `None` = the lesser of 128 MiB and 5 % of it.
    pub min_free: Option<u64>,
    /// Whether records are kept while no endpoint is set.
    pub keep_without_endpoint: bool,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(30 * 86_400),
            min_free: None,
            keep_without_endpoint: false,
        }
    }
}

/// `[journal]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Most bytes of what was sent that are kept.
    pub max_bytes: u64,
    /// What is older goes.
    pub max_age: Duration,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_age: Duration::from_secs(7 * 86_400) }
    }
}

/// `[ingest]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestConfig {
    /// Whether local programs may send to the socket.
    pub socket: bool,
    /// Loopback address on which local programs may send; off when absent.
    pub otlp_http: Option<SocketAddr>,
}

/// `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// How much is logged.
    pub level: LogLevel,
    /// Directory of rolling files; `None` = journald or stderr.
    pub dir: Option<PathBuf>,
}

/// `agent.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Policy's words at the top level: the layer `configuration`.
    pub words: Words,
    /// How Windows' own registry setting counts.
    pub windows_setting: WindowsSetting,
    /// The way out.
    pub upload: UploadConfig,
    /// The rhythm of measuring.
    pub sample: SampleConfig,
    /// The store of what waits.
    pub spool: SpoolConfig,
    /// The store of what was sent.
    pub journal: JournalConfig,
    /// Local programs' way in.
    pub ingest: IngestConfig,
    /// The agent's own log.
    pub log: LogConfig,
    /// What the file says without effect, each with its place.
    pub remarks: Vec<Finding>,
}

/// A configuration file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Every finding; one about the whole file where it could not be read.
    pub findings: Vec<Finding>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.findings.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Parses a configuration. `file` is what findings call it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let mut findings = Findings::new(file, text);
        let mut config = Self::default();
        if let Some(table) = parse(text, &mut findings) {
            config.read(table.get_ref(), &mut findings);
        }
        let found = findings.into_vec();
        if found.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(ConfigError { findings: found });
        }
        config.remarks = found;
        Ok(config)
    }

    /// Loads a configuration file; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, or something is wrong with it.
    pub fn load(path: &Path) -> Result<Option<Self>, ConfigError> {
        let file = path.display().to_string();
        let whole = |problem| ConfigError { findings: vec![Finding::of_file(&file, problem)] };
        match std::fs::read(path) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes)
                    .map_err(|_| whole("has bytes that are not UTF-8: save it as UTF-8".into()))?;
                Self::parse(&text, &file).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_there(path) => Ok(None),
            Err(error) => Err(whole(format!("cannot be read ({error}): make it readable"))),
        }
    }

    fn read(&mut self, table: &DeTable<'_>, findings: &mut Findings<'_>) {
        for entry in entries(table) {
            if take_word(&entry, LayerKind::Configuration, &mut self.words, findings) {
                continue;
            }
            if entry.name == "windows_setting" {
                self.read_windows_setting(&entry, findings);
                continue;
            }
            let Some((name, read)) = TABLES.iter().find(|(name, _)| *name == entry.name) else {
                findings.error(&entry.name_span, entry.name, unknown(entry.name, &known_keys()));
                continue;
            };
            match entry.value.as_table() {
                Some(inner) => {
                    let mut section = Section::new(name, inner, findings);
                    read(self, &mut section);
                    section.finish();
                }
                None => findings.error(&entry.value_span, name, format!("is a table: write [{name}]")),
            }
        }
    }

    fn read_windows_setting(&mut self, entry: &Entry<'_>, findings: &mut Findings<'_>) {
        let choices = [
            ("follow", WindowsSetting::Follow),
            ("ceiling", WindowsSetting::Ceiling),
            ("ignore", WindowsSetting::Ignore),
        ];
        match choice(&raw(entry.value), &choices) {
            Ok(setting) => self.windows_setting = setting,
            Err(problem) => findings.error(&entry.value_span, entry.name, problem),
        }
    }
}

/// A dangling link is there: the configuration that it means cannot be read.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

type ReadTable = fn(&mut Config, &mut Section<'_, '_, '_>);

const TABLES: [(&str, ReadTable); 6] = [
    ("upload", read_upload),
    ("sample", read_sample),
    ("spool", read_spool),
    ("journal", read_journal),
    ("ingest", read_ingest),
    ("log", read_log),
];

fn known_keys() -> Vec<&'static str> {
    let tables = TABLES.iter().map(|(name, _)| *name);
    Key::ALL.iter().map(|key| key.name()).chain(tables).chain(["windows_setting"]).collect()
}

fn read_upload(config: &mut Config, section: &mut Section<'_, '_, '_>) {
    let upload = &mut config.upload;
    upload.ca_file = section.path("ca_file");
    upload.client_cert = section.path("client_cert");
    upload.client_key = section.path("client_key");
    upload.interval = section.interval("interval", SHORTEST_INTERVAL);
    let compressions =
        [("zstd", Compression::Zstd), ("gzip", Compression::Gzip), ("none", Compression::None)];
    upload.compression = section.choice("compression", &compressions).unwrap_or_default();
    upload.max_bytes_per_day = section.bytes("max_bytes_per_day");
    upload.allow_single_pin = section.switch("allow_single_pin").unwrap_or(false);
    section.both_or_none("client_cert", "client_key");
}

fn read_sample(config: &mut Config, section: &mut Section<'_, '_, '_>) {
    if let Some(interval) = section.interval("interval", SHORTEST_INTERVAL) {
        config.sample.interval = interval;
    }
}

fn read_spool(config: &mut Config, section: &mut Section<'_, '_, '_>) {
    let spool = &mut config.spool;
    spool.max_bytes = section.bytes("max_bytes").unwrap_or(spool.max_bytes);
    spool.max_age = section.duration("max_age").unwrap_or(spool.max_age);
    spool.min_free = section.bytes("min_free");
    spool.keep_without_endpoint = section.switch("keep_without_endpoint").unwrap_or(false);
}

fn read_journal(config: &mut Config, section: &mut Section<'_, '_, '_>) {
    let journal = &mut config.journal;
    journal.max_bytes = section.bytes("max_bytes").unwrap_or(journal.max_bytes);
    journal.max_age = section.duration("max_age").unwrap_or(journal.max_age);
}

fn read_ingest(config: &mut Config, section: &mut Section<'_, '_, '_>) {
    config.ingest.socket = section.switch("socket").unwrap_or(false);
    config.ingest.otlp_http = section.loopback("otlp_http");
}

fn read_log(config: &mut Config, section: &mut Section<'_, '_, '_>) {
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    config.log.level = section.choice("level", &levels).unwrap_or_default();
    config.log.dir = section.path("dir");
}
