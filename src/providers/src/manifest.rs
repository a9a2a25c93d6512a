//! One manifest: what a provider is called, how it is recognised, and what it may tell.
//!
//! ```text
//! name = "backup"                      the provider
//! peer = { group = [120] }             who may speak as it
//! service_name = ["backup*"]           and how it must call itself
//! [[event]]                            what it may tell
//! name = "backup.run"
//! fields.duration = { type = "double", class = "performance", doc = "…" }
//! ```
//!
//! # Invariants
//! - A [`Manifest`] exists only checked (`manifest/read.rs`): no event at level 0, no text field
//!   without format that is not *diagnostic text*, nothing that recognises everybody but `application`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use candor_model::{Class, Kind, Level};

use crate::Format;

mod read;
#[cfg(test)]
mod schema;
mod words;

pub use read::read;

/// A provider's manifest.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The provider: lower-case letters, digits and dashes; the file is called so too.
    pub name: String,
    /// What it is, in a sentence for the owner of the host.
    pub doc: String,
    /// Who may speak as it.
    pub peer: Peers,
    /// What its `service.name` must be; empty: whatever it says.
    #[serde(default)]
    pub service_name: Names,
    /// What its instrumentation scope must be called; empty: whatever it says.
    #[serde(default)]
    pub scope: Names,
    /// SHA-256, in hexadecimal, of the bearer token that it must show.
    #[serde(default)]
    pub token_sha256: Option<String>,
    /// How much it may send.
    #[serde(default)]
    pub rate: Rate,
    /// How its user opts out.
    #[serde(default)]
    pub opt_out: OptOut,
    /// Words that make a key in a map sensitive, besides those that always do.
    #[serde(default)]
    pub sensitive: Vec<String>,
    /// Whether GUIDs in its texts are replaced by `<id>`.
    #[serde(default)]
    pub hide_ids: bool,
    /// Whether it takes any event and field, as text to be scrubbed at level 3. Only `application` may.
    #[serde(default)]
    pub any_event: bool,
    /// What it may tell.
    #[serde(default, rename = "event")]
    pub events: Vec<Event>,
}

/// Names, each exact or, with a `*` at its end, what names begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Names(pub Vec<String>);

impl Names {
    /// Whether a name is meant; where no name is stated, every one is, and none too.
    #[must_use]
    pub fn admit(&self, name: Option<&str>) -> bool {
        self.0.is_empty() || name.is_some_and(|name| self.0.iter().any(|one| matches(one, name)))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// Who may speak as a provider.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Peers {
    /// `"any"`: every local program, over TCP too. `"agent"`: nobody but the agent, with what it
    /// fetches itself; only `prometheus` says so.
    Word(PeerWord),
    /// A process of which the system tells all that is stated here.
    These(These),
}

/// Who may speak as a provider, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PeerWord {
    /// Every local program, over TCP too.
    Any,
    /// The agent itself.
    Agent,
}

/// Facts of the process at the other end. Of each list one must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct These {
    /// User ids.
    #[serde(default)]
    pub uid: Vec<u32>,
    /// Group ids; its own or one that it belongs to.
    #[serde(default)]
    pub gid: Vec<u32>,
    /// Paths of executables, as the system knows them.
    #[serde(default)]
    pub executable: Vec<PathBuf>,
}

/// Most records a second; ten seconds' worth may come at once.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// Of one process; on TCP of all together.
    pub peer: f64,
    /// Of one user.
    pub user: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { peer: 1_000.0, user: 4_000.0 }
    }
}

/// How a program's user opts out. `agentctl emit` and `candor-client` look at all of it before
/// they send; the agent looks at the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OptOut {
    /// Attributes of the record: it is refused when one has one of these values.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Environment variables with the values that mean no.
    pub environment: BTreeMap<String, Vec<String>>,
    /// Keys of the program's own configuration files.
    pub files: Vec<OptOutFile>,
    /// Flags of the program that mean no.
    pub flags: Vec<String>,
}

/// A key of a program's own configuration file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OptOutFile {
    /// The file; `~/` is the home directory of who runs the program.
    pub path: String,
    /// The key as `section.key` of an INI or TOML file, or a path of keys in a JSON file.
    pub key: String,
    /// The values that mean no.
    pub values: Vec<String>,
}

/// One event, metric or span of a provider.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its name: exact, or with a `*` at its end what names begin with.
    pub name: String,
    /// Which OTLP signal it is.
    #[serde(default = "words::log", deserialize_with = "words::kind")]
    #[cfg_attr(test, schemars(with = "words::KindWord"))]
    pub kind: Kind,
    /// The lowest level at which it may be sent, 1 to 3.
    #[serde(deserialize_with = "words::level")]
    #[cfg_attr(test, schemars(with = "u8", range(min = 1, max = 3)))]
    pub level: Level,
    /// Why it is collected.
    pub purpose: String,
    /// The published description.
    pub doc: String,
    /// How much of it passes, from 0 to 1: by trace where the record has a trace id.
    #[serde(default = "words::all")]
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub sample: f64,
    /// Most bytes of one record.
    #[serde(default = "words::max_bytes")]
    pub max_bytes: usize,
    /// Its fields: attributes of the record, of each point, of a span's events and links; `body` is the body of a log record.
    #[serde(default)]
    pub fields: BTreeMap<String, Field>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// What kind of fact it is.
    #[serde(deserialize_with = "words::class")]
    #[cfg_attr(test, schemars(with = "words::ClassWord"))]
    pub class: Class,
    /// The published description.
    pub doc: String,
    /// The lowest level at which it may be sent; its event's where none is stated.
    #[serde(default, deserialize_with = "words::some_level")]
    #[cfg_attr(test, schemars(with = "Option<u8>", range(min = 1, max = 3)))]
    pub level: Option<Level>,
    /// The shape that a text must have.
    #[serde(default)]
    pub format: Option<Format>,
    /// The words that a text may be.
    #[serde(default)]
    pub words: Vec<String>,
    /// Whether its value is always replaced by `***`: only that it was there is told.
    #[serde(default)]
    pub sensitive: bool,
    /// What a text is taken apart into: it never passes itself, its parts do, as the fields of their names.
    #[serde(default)]
    pub parse: Option<Parser>,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// Text.
    Text,
    /// A list of texts, each as the field says.
    List,
    /// Named values that the program chose, or such in JSON: sanitised by their keys, scrubbed as text.
    Map,
}

impl FieldKind {
    /// The word in a manifest.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Text => "text",
            Self::List => "list",
            Self::Map => "map",
        }
    }
}

/// A parser that this program has built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Parser {
    /// The name of a module's deployment: `tool`, `kind`, `module`, `version`, `suffix`, or the
    /// `attribution_id` of `pid-GUID`.
    ModuleDeployment,
}

impl Manifest {
    /// The lowest level at which it tells anything.
    #[must_use]
    pub fn lowest_level(&self) -> Level {
        self.events.iter().map(|event| event.level).min().unwrap_or(Level::Full)
    }

    /// The event of a kind and name; an exact name comes before what names begin with.
    #[must_use]
    pub fn event(&self, kind: Kind, name: &str) -> Option<&Event> {
        let of_kind = || self.events.iter().filter(|event| event.kind == kind);
        of_kind()
            .find(|event| event.name == name)
            .or_else(|| of_kind().find(|event| matches(&event.name, name)))
    }
}

impl Event {
    /// Whether a record of it passes or not by its names, types and formats alone: nothing is sampled,
    /// replaced or taken apart.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let is_plain = |field: &Field| {
            !field.sensitive && field.parse.is_none() && field.class != Class::DiagnosticText
        };
        self.sample >= 1.0 && self.fields.values().all(is_plain)
    }
}
