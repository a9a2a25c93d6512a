//! The operator's setting on Windows: a registry key, or a file where a root is named.
//!
//! # Invariants
//! - Values are written one by one: what belongs to a level or to upload first, then it, then what
//!   goes. A write that breaks off between never leaves a raise without its end.
//!
//! On failure: what was written before stands, and the error names the key.

use std::io;

use candor_platform::Layout;

#[path = "file.rs"]
mod file;

use super::{Change, OperatorError, Value};
use crate::keys::Key;
use crate::layer::{LayerKind, Reading};
use crate::source::file::Reader;
use crate::source::registry::{
    OPERATOR_KEY, place, read_key, remove_value, write_list, write_number, write_text,
};

use file::FileStore;

/// Where the setting is kept.
#[derive(Clone, Debug)]
pub(super) enum Store {
    File(FileStore),
    Registry,
}

impl Store {
    pub(super) fn new(layout: &Layout) -> Self {
        if layout.has_root() { Self::File(FileStore::new(layout)) } else { Self::Registry }
    }

    pub(super) fn place(&self) -> String {
        match self {
            Self::File(store) => store.place(),
            Self::Registry => place(OPERATOR_KEY),
        }
    }

    pub(super) fn hold_room(&self) {
        if let Self::File(store) = self {
            store.hold_room();
        }
    }

    pub(super) fn read(&self) -> Reading {
        match self {
            Self::File(store) => store.read(),
            Self::Registry => read_key(LayerKind::Operator, OPERATOR_KEY, Reader::Agent).reading,
        }
    }

    pub(super) fn write(&self, changes: &[Change]) -> Result<(), OperatorError> {
        match self {
            Self::File(store) => store.write(changes),
            Self::Registry => {
                let mut ordered: Vec<&Change> = changes.iter().collect();
                ordered.sort_by_key(|change| turn(change));
                let written = ordered.into_iter().try_for_each(write_one);
                let place = place(OPERATOR_KEY);
                written.map_err(|source| OperatorError::Registry { place, source })
            }
        }
    }
}

/// In which turn a change is made.
fn turn((key, value): &Change) -> u8 {
    match (key, value) {
        (_, None) => 2,
        (Key::AllowTelemetry | Key::UploadEnabled, _) => 1,
        _ => 0,
    }
}

fn write_one((key, value): &Change) -> io::Result<()> {
    match value {
        Some(Value::Number(number)) => write_number(OPERATOR_KEY, key.name(), *number),
        Some(Value::Text(text)) => write_text(OPERATOR_KEY, key.name(), text),
        Some(Value::List(items)) => write_list(OPERATOR_KEY, key.name(), items),
        None => remove_value(OPERATOR_KEY, key.name()),
    }
}
