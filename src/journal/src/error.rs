//! Why something of the journal cannot be read, or not be cleared.

use std::io;
use std::path::PathBuf;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory could not be listed.
    #[error("cannot list the journal in {}; check its owner and its mode", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A segment could not be read.
    #[error("cannot read the journal's {}; check its owner and its mode", path.display())]
    Read {
        /// The segment.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A segment could not be written.
    #[error("cannot write the journal's {}", path.display())]
    Write {
        /// The segment, or the directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory could not be made, or is another's.
    #[error("cannot use the journal's directory")]
    Directory {
        /// What is wrong with it.
        #[source]
        source: candor_platform::FileError,
    },
    /// A segment could not be removed.
    #[error("cannot remove the journal's {}", path.display())]
    Remove {
        /// The segment.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// What stands there is not what was written.
    #[error(
        "entry {number} of the journal was changed after it was written; `agentctl audit` names all such"
    )]
    Changed {
        /// The entry.
        number: u64,
    },
}
