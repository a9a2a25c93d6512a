//! The operator's setting as a file: `operator.toml` in the state directory.
//!
//! On failure: the old file stands. On a full disk the reserve (`reserve.rs`) goes first.

use std::path::PathBuf;

use candor_platform::{Layout, create_private_dir, write_atomic};

use crate::layer::Reading;
use crate::operator::text::edit;
use crate::operator::{Change, OperatorError};
use crate::reserve::{self, with_room};
use crate::source::file::{Reader, read_operator, read_trusted};

/// Readable by all who may enter the directory, which is private: root's `agentctl` may have
/// written it for an agent of another user.
const MODE: u32 = 0o644;

/// Where the setting is kept.
#[derive(Clone, Debug)]
pub(in crate::operator) struct FileStore {
    dir: PathBuf,
    file: PathBuf,
}

#[cfg(not(windows))]
pub(super) use FileStore as Store;

impl FileStore {
    pub(in crate::operator) fn new(layout: &Layout) -> Self {
        Self { dir: layout.state_dir(), file: layout.operator_file() }
    }

    pub(in crate::operator) fn place(&self) -> String {
        self.file.display().to_string()
    }

    pub(in crate::operator) fn read(&self) -> Reading {
        read_operator(&self.file, Reader::Agent).reading
    }

    pub(in crate::operator) fn write(&self, changes: &[Change]) -> Result<(), OperatorError> {
        let failed = |source| OperatorError::Write { source };
        // What cannot be read is replaced whole; whether it may be, the caller has decided.
        let bytes = read_trusted(&self.file, Reader::Agent).ok().flatten().unwrap_or_default();
        let text = edit(&String::from_utf8(bytes).unwrap_or_default(), changes);
        if !self.dir.is_dir() {
            create_private_dir(&self.dir).map_err(failed)?;
        }
        with_room(&self.dir, || write_atomic(&self.file, text.as_bytes(), MODE)).map_err(failed)
    }

    pub(in crate::operator) fn hold_room(&self) {
        reserve::hold(&self.dir);
    }
}
