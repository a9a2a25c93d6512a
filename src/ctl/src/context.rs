//! What every command starts from: where the agent's files lie, and how to ask the daemon.

use std::path::Path;

use candor_control::{Client, ClientError};
use candor_platform::Layout;
use candor_policy::{Snapshot, Sources};

use crate::cli::Global;
use crate::failure::{Failure, NOT_PERMITTED};

/// The instance that a command is about.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) layout: Layout,
    global: Global,
}

impl Context {
    /// The instance of these flags.
    pub(crate) fn new(global: Global) -> Self {
        Self { layout: Layout::resolve(global.root.as_deref()), global }
    }

    /// Whether JSON is wanted.
    pub(crate) const fn json(&self) -> bool {
        self.global.json
    }

    /// The file of `--config`.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.global.config.as_deref()
    }

    /// Asks the daemon.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.layout)
    }

    /// What the daemon says, or `None` where none runs.
    pub(crate) fn unless_no_daemon<T>(
        answer: Result<T, ClientError>,
    ) -> Result<Option<T>, Failure> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_no_daemon() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads every layer as this user.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Sources::new(&self.layout, self.config()).for_caller().load()
    }

    /// The same, where a guess would be wrong: what this user may not read is refused.
    pub(crate) fn readable_snapshot(&self) -> Result<Snapshot, Failure> {
        let snapshot = self.snapshot();
        match snapshot.effective.not_readable.as_slice() {
            [] => Ok(snapshot),
            places => Err(Failure::new(
                NOT_PERMITTED,
                format!("not readable by you: {}", places.join(", ")),
            )),
        }
    }
}
