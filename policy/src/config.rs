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
mod scrape;
mod section;

pub use bytes::parse_bytes;
pub use duration::parse_duration;
pub use scrape::ScrapeConfig;

use section::{Section, choice, unknown};

use crate::address::Url;
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
    /// Tried in this order where `EventsEndpoint` cannot be reached; the same pins and roots count.
    pub fallback_endpoints: Vec<Url>,
}

impl UploadConfig {
    /// The interval where none is stated.
    pub const INTERVAL: Duration = Duration::from_mins(15);

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
            max_age: Duration::from_hours(30 * 24),
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
        Self { max_bytes: 16 << 20, max_age: Duration::from_hours(7 * 24) }
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
    /// Exporters that the agent asks for metrics.
    pub scrapes: Vec<ScrapeConfig>,
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
            if entry.name == "scrape" {
                scrape::read(self, &entry, findings);
                continue;
            }
            let Some((name, read)) = TABLES.iter().find(|(name, _)| *name == entry.name) else {
                findings.error(&entry.name_span, entry.name, unknown(entry.name, &known_keys()));
                continue;
            };
            let Some(inner) = entry.value.as_table() else {
                findings.error(&entry.value_span, name, format!("is no table: write [{name}]"));
                continue;
            };
            let mut section = Section::new(name, inner, findings);
            read(self, &mut section);
            section.finish();
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
    Key::ALL
        .iter()
        .map(|key| key.name())
        .chain(tables)
        .chain(["windows_setting", "scrape"])
        .collect()
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
    upload.fallback_endpoints = section.urls("fallback_endpoints").unwrap_or_default();
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
    journal.max_bytes = section.bytes_or_none("max_bytes").unwrap_or(journal.max_bytes);
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

#[cfg(test)]
mod tests {
    use candor_model::Level;

    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let error = Config::parse(text, "agent.toml").unwrap_err();
        error.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_empty_file_has_the_defaults_of_the_contract() {
        let config = Config::parse("", "agent.toml").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.words, Words::default());
        assert_eq!((config.upload.interval, UploadConfig::INTERVAL.as_secs()), (None, 900));
        assert_eq!(config.upload.compression, Compression::Zstd);
        assert_eq!(Level::ALL.map(|l| config.upload.day_limit(l) >> 20), [10, 10, 10, 50]);
        assert_eq!(config.sample.interval, Duration::from_secs(10));
        assert_eq!((config.spool.max_bytes, config.spool.max_age.as_secs()), (64 << 20, 2_592_000));
        assert_eq!((config.spool.min_free, config.spool.keep_without_endpoint), (None, false));
        assert_eq!(
            (config.journal.max_bytes, config.journal.max_age.as_secs()),
            (16 << 20, 604_800)
        );
        assert_eq!(config.ingest, IngestConfig { socket: false, otlp_http: None });
        assert_eq!(config.scrapes, []);
        assert_eq!(config.log, LogConfig { level: LogLevel::Info, dir: None });
        assert_eq!(config.windows_setting, WindowsSetting::Follow);
    }

    #[test]
    fn every_key_of_the_contract_is_understood() {
        let pin = |letter| format!("sha256/{}=", String::from(letter).repeat(43));
        let text = format!(
            r#"
AllowTelemetry  = 1
EventsEndpoint  = "https://telemetry.example.org"
CertificatePins = ["{}", "{}"]
windows_setting = "ceiling"

[upload]
ca_file = "/etc/candor/ca.pem"
client_cert = "/etc/candor/client.pem"
client_key = "/etc/candor/client.key"
interval = "100ms"
compression = "gzip"
max_bytes_per_day = "1GiB"
allow_single_pin = true
fallback_endpoints = ["https://b.example.org", "https://[::1]:8443/otlp"]

[sample]
interval = "1s"

[spool]
max_bytes = "1MiB"
max_age = "1d"
min_free = 4096
keep_without_endpoint = true

[journal]
max_bytes = "1MiB"
max_age = "1h"

[ingest]
socket = true
otlp_http = "127.0.0.1:4318"

[[scrape]]
name = "node"
url = "http://127.0.0.1:9100/metrics"
interval = "30s"
metrics = ["node_load1", "node_cpu_*"]
labels = ["cpu", "mode"]
level = 2

[[scrape]]
name = "shop"
url = "http://localhost:9400"
metrics = ["up"]

[log]
level = "trace"
dir = "/var/log/candor"
"#,
            pin('A'),
            pin('E')
        );
        let config = Config::parse(&text, "agent.toml").unwrap();
        assert_eq!(config.words.allow_telemetry, Some(Level::Basic));
        assert_eq!(config.words.certificate_pins.unwrap().len(), 2);
        assert_eq!(config.windows_setting, WindowsSetting::Ceiling);
        let upload = &config.upload;
        assert_eq!(upload.ca_file.as_deref(), Some(Path::new("/etc/candor/ca.pem")));
        assert_eq!(upload.interval, Some(Duration::from_millis(100)));
        assert_eq!((upload.compression, upload.allow_single_pin), (Compression::Gzip, true));
        assert_eq!(upload.day_limit(Level::Basic), 1 << 30);
        let fallbacks: Vec<_> = upload.fallback_endpoints.iter().map(Url::to_string).collect();
        assert_eq!(fallbacks, ["https://b.example.org", "https://[::1]:8443/otlp"]);
        assert_eq!(config.sample.interval, Duration::from_secs(1));
        assert_eq!((config.spool.min_free, config.spool.keep_without_endpoint), (Some(4096), true));
        assert_eq!(config.journal.max_age, Duration::from_hours(1));
        assert_eq!(config.ingest.otlp_http.unwrap().port(), 4318);
        assert_eq!(config.log.level, LogLevel::Trace);
        let [node, shop] = &config.scrapes[..] else { unreachable!("two exporters") };
        assert_eq!((node.level, node.interval.as_secs()), (Level::Enhanced, 30));
        assert_eq!((node.address.port(), node.path.as_str()), (9100, "/metrics"));
        assert_eq!((shop.level, shop.interval), (Level::Full, ScrapeConfig::INTERVAL));
        assert_eq!(
            (shop.address.to_string(), shop.path.as_str()),
            ("127.0.0.1:9400".into(), "/metrics")
        );
    }

    #[test]
    fn each_error_has_file_line_column_key_and_what_to_change() {
        let text = r#"AllowTelemetry = 5
EventsEndpoint = "http://plain.example.org"
Endpoint = "https://x"
windows_setting = "folow"
spool = 5

[upload]
interval = "5"
client_cert = "c.pem"
compresion = "zstd"
fallback_endpoints = ["https://a.example.org", "http://plain.example.org"]

[sample]
interval = "10ms"

[ingest]
otlp_http = "0.0.0.0:4318"

[journal]
max_bytes = "16 MiB"
max_age = 7

[log]
level = "loud"

[[scrape]]
name = "node"
url = "http://192.0.2.1:9100/metrics"
metrics = ["up", "*"]
label = ["x"]

[[scrape]]
name = "node"
metrics = []
level = 0
"#;
        assert_eq!(
            errors(text),
            [
                "agent.toml:1:18: AllowTelemetry: 5 is not a number from 0 to 3: write a number from 0 to 3",
                "agent.toml:2:18: EventsEndpoint: `http://plain.example.org` is no https URL: write https://HOST: write an https URL such as \"https://telemetry.example.org\"",
                "agent.toml:3:1: Endpoint: is an unknown key: remove it",
                "agent.toml:4:19: windows_setting: \"folow\" is unknown: write one of \"follow\", \"ceiling\", \"ignore\"",
                "agent.toml:5:9: spool: is no table: write [spool]",
                "agent.toml:8:12: upload.interval: \"5\" is no duration: write a number and ms, s, m, h or d, such as \"15m\"",
                "agent.toml:9:1: upload.client_cert: needs client_key beside it: state both or none",
                "agent.toml:10:1: upload.compresion: is an unknown key: write compression, or remove it",
                "agent.toml:11:22: upload.fallback_endpoints: `http://plain.example.org` is no https URL: write https://HOST: write a list of https URLs such as [\"https://telemetry.example.org\"]",
                "agent.toml:14:12: sample.interval: \"10ms\" is too short: write at least 100ms",
                "agent.toml:17:13: ingest.otlp_http: \"0.0.0.0:4318\" is no loopback address: write one such as \"127.0.0.1:4318\"",
                "agent.toml:20:13: journal.max_bytes: \"16 MiB\" is no size: write a number and B, KiB, MiB or GiB, such as \"64MiB\"",
                "agent.toml:21:11: journal.max_age: 7 is no duration: write a text such as \"15m\"",
                "agent.toml:24:9: log.level: \"loud\" is unknown: write one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
                "agent.toml:28:7: scrape.url: \"http://192.0.2.1:9100/metrics\" is no URL on loopback: write one such as \"http://127.0.0.1:9100/metrics\"",
                "agent.toml:29:11: scrape.metrics: \"*\" is no name that can enter: write letters, digits, _ and :",
                "agent.toml:30:1: scrape.label: is an unknown key: write labels, or remove it",
                "agent.toml:32:1: scrape: lacks url: state it",
                "agent.toml:34:11: scrape.metrics: is empty: list the metrics that may enter",
                "agent.toml:35:9: scrape.level: 0 is no level of a provider: write 1, 2 or 3",
            ]
        );
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let found = errors("AllowTelemetry = 1\n[upload\n");
        assert!(found[0].starts_with("agent.toml:2:8: "), "{found:?}");
    }

    #[test]
    fn a_lock_in_a_configuration_is_remarked_and_does_not_count() {
        let config = Config::parse("LockLevel = 1\n", "agent.toml").unwrap();
        assert_eq!(config.words.lock_level, None);
        assert_eq!(
            config.remarks[0].to_string(),
            "agent.toml:1:1: LockLevel: has no effect here: it counts only in management policy"
        );
    }

    #[test]
    fn a_file_that_is_missing_is_none_and_one_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.toml");
        assert_eq!(Config::load(&file), Ok(None));
        std::fs::create_dir(&file).unwrap();
        let error = Config::load(&file).unwrap_err().to_string();
        assert!(error.contains("agent.toml: cannot be read"), "{error}");
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, b"\xff").unwrap();
        assert!(Config::load(&file).unwrap_err().to_string().contains("not UTF-8"));
    }
}
