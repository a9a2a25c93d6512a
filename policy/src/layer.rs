//! One place of one layer, and what was read there: the input of the resolution.
//!
//! Sources make these; `resolve.rs` turns a list of them into one effective policy. The management
//! policy has one [`Layer`] for each drop-in, in lexical order.
//!
//! # Invariants
//! - Only a place that does not exist is [`Reading::Absent`]. Whatever else keeps it from being
//!   understood is one of the readings that count as level 0.

use std::sync::Arc;

use crate::keys::Words;
use crate::remote::Remote;

/// Which layer, strongest first in the order of [`PRECEDENCE`].
pub use candor_model::events::agent::Layer as LayerKind;

/// The layers that can state a value, strongest first. The built-in default follows them; remote
/// settings only lower.
pub const PRECEDENCE: [LayerKind; 5] = [
    LayerKind::Policy,
    LayerKind::Operator,
    LayerKind::WindowsSetting,
    LayerKind::Configuration,
    LayerKind::Remote,
];

/// How much a place counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// What it states decides, by its rank.
    Full,
    /// Its levels only lower, nothing else of its words counts (`windows_setting = "ceiling"`, remote
    /// settings).
    Ceiling,
    /// It is shown and does not count (`windows_setting = "ignore"`, remote settings that are switched
    /// off).
    Nothing,
}

/// What was read at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The place does not exist.
    Absent,
    /// It was understood.
    Read {
        /// What it states.
        words: Box<Words>,
        /// What it says besides, without effect: unknown keys, keys that do not count there.
        remarks: Vec<String>,
    },
    /// It was read and is not understood: where, what, what to change.
    Malformed(String),
    /// It exists and could not be read, or may be written by others: why, what to change.
    Unreadable(String),
    /// It exists and the caller may not read it. Only a command without a daemon reads this.
    NotReadableByYou(String),
}

impl Reading {
    /// A reading of words alone.
    #[must_use]
    pub fn of(words: Words) -> Self {
        Self::Read { words: Box::new(words), remarks: Vec::new() }
    }

    /// The words, where it was understood.
    #[must_use]
    pub fn words(&self) -> Option<&Words> {
        match self {
            Self::Read { words, .. } => Some(words),
            _ => None,
        }
    }

    /// Why it is not understood, if it is not.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Absent | Self::Read { .. } => None,
            Self::Malformed(why) | Self::Unreadable(why) | Self::NotReadableByYou(why) => Some(why),
        }
    }
}

/// One place of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The layer it belongs to.
    pub kind: LayerKind,
    /// The whole path of the file or the registry key.
    pub place: String,
    /// Its short name, such as `policy.d/10-org.toml`.
    pub source: String,
    /// What was read.
    pub reading: Reading,
    /// How much it counts.
    pub weight: Weight,
    /// What remote settings lower, where this is theirs and counts.
    pub remote: Option<Arc<Remote>>,
}

impl Layer {
    /// A place that counts fully and has the same short name.
    #[must_use]
    pub fn new(kind: LayerKind, place: &str, reading: Reading) -> Self {
        let (place, source) = (place.to_owned(), place.to_owned());
        Self { kind, place, source, reading, weight: Weight::Full, remote: None }
    }

    /// The same place under a short name.
    #[must_use]
    pub fn called(mut self, source: &str) -> Self {
        source.clone_into(&mut self.source);
        self
    }

    /// The words that count with full weight.
    pub(crate) fn full_words(&self) -> Option<&Words> {
        self.reading.words().filter(|_| self.weight == Weight::Full)
    }
}
