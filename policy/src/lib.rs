//! Policy: layers in, one effective policy out; the sources that read and watch them; the
//! configuration file.
//!
//! ```text
//! policy.d, registry ─┐
//! operator's setting ─┼─> Layer ─> resolve ─> Effective ─> watched by every task of the agent
//! agent.toml ─────────┤
//! remote settings ────┘  (only lower)
//! ```
//!
//! # Invariants
//! - What cannot be understood counts as level 0, never as absent.
//! - The resolution is pure; files, registry and clocks are touched by the sources alone.

mod address;
mod check;
mod config;
mod document;
mod effective;
mod explanation;
mod finding;
mod keys;
mod layer;
mod minisign;
mod operator;
mod providers;
mod raise;
pub mod receipt;
pub mod remote;
mod reserve;
mod resolve;
mod signed;
mod source;
pub mod trail;
mod watch;

pub use address::{BadHostPort, BadUrl, HostPort, Url};
pub use check::{Checked, check_all, check_file};
pub use config::{
    Compression, Config, ConfigError, IngestConfig, JournalConfig, LogConfig, LogLevel,
    SampleConfig, ScrapeConfig, SpoolConfig, UploadConfig, WindowsSetting, parse_bytes,
    parse_duration,
};
pub use document::{WordsFile, read_words};
pub use effective::{Effective, LevelDecision, Lowering, Refusal, StatedBy};
pub use explanation::{ExplainedLayer, Explanation};
pub use finding::{Finding, Findings, Severity};
pub use keys::{Key, Raw, Scope, Word, Words};
pub use layer::{Layer, LayerKind, PRECEDENCE, Reading, Weight};
pub use minisign::{BadMinisignKey, MinisignKey};
pub use operator::{FirstSettings, LevelSetting, Operator, OperatorError};
pub use providers::{ProviderFile, ProviderFiles, SwitchError, Switches};
pub use raise::{
    BadBootDeadline, BadTime, BootDeadline, Now, Until, WallDeadline, raise_of, settle,
};
pub use resolve::{resolve, would_be, would_upload};
pub use source::{ConfigReading, Snapshot, Sources, now};
pub use watch::{Watch, WatchError};
