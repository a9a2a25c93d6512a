//! Why the agent did not start, or did not go on; each with its exit code.

use candor_platform::{BindError, FileError};
use candor_policy::ConfigError;
use candor_spool::{OpenError, SpoolError};

use crate::supervisor::GaveUp;

/// What ends `agentd` with an error.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `agent.toml` cannot be understood at the start.
    #[error("bad configuration; `agentctl check` says the same without starting the agent")]
    Configuration(#[source] ConfigError),
    /// Another agent runs on this root.
    #[error(
        "another agentd{holder} runs with the state directory {dir}; stop it first, or name another --root"
    )]
    Running {
        /// The state directory.
        dir: String,
        /// ` (process N)`, where it is known.
        holder: String,
    },
    /// A directory or file that the agent needs.
    #[error("cannot prepare the agent's files")]
    Files(#[source] FileError),
    /// The watch over policy.
    #[error("cannot watch policy")]
    Watch(#[source] candor_policy::WatchError),
    /// The control endpoint.
    #[error("cannot open the control endpoint")]
    Control(#[source] BindError),
    /// The store cannot be opened; a damaged one would have been set aside.
    #[error("cannot open the spool")]
    Spool(#[source] OpenError),
    /// The store opened and then refused.
    #[error("cannot use the spool")]
    Store(#[source] SpoolError),
    /// The journal of what left cannot be removed.
    #[error("cannot delete the journal")]
    Journal(#[source] candor_journal::JournalError),
    /// The runtime or a signal handler.
    #[error("cannot set up {what}")]
    System {
        /// What.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// `agentd service` elsewhere than on Windows.
    #[error("there is no Windows service control manager here; use `agentd run`")]
    NoServiceManager,
    /// A task kept panicking.
    #[error("giving up")]
    Task(#[source] GaveUp),
}

impl Failure {
    /// 78 for a configuration that must be mended, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 78,
            _ => 1,
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
