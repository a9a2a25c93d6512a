//! Who sends: what the system says of the connection, and what the program says of itself.
//!
//! # Invariants
//! - What the system says decides; what a program says of itself only chooses among the manifests
//!   that its connection may use.
//!
//! On failure: what the system does not tell is absent, and a manifest that asks for it does not match.

use std::path::PathBuf;

/// How a program reached the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over a unix socket, or the control endpoint: the system names the process.
    Socket {
        /// Its user id; Windows has none.
        uid: Option<u32>,
        /// Its group ids, the first being its own.
        gids: Vec<u32>,
        /// Its process id.
        pid: Option<u32>,
        /// Its executable, where somebody asks for it and the system tells.
        executable: Option<PathBuf>,
    },
    /// Over TCP on loopback: nobody tells who it is.
    Loopback,
    /// Not at all: the agent fetched it itself.
    Agent,
}

/// The program at the other end of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// How it came.
    pub transport: Transport,
    /// The bearer token that it showed.
    pub token: Option<String>,
}

impl Caller {
    /// A program on loopback that showed nothing.
    #[must_use]
    pub const fn loopback() -> Self {
        Self { transport: Transport::Loopback, token: None }
    }

    /// The agent, with what it fetched itself.
    #[must_use]
    pub const fn agent() -> Self {
        Self { transport: Transport::Agent, token: None }
    }

    /// Its user id, where the system tells.
    #[must_use]
    pub const fn uid(&self) -> Option<u32> {
        match self.transport {
            Transport::Socket { uid, .. } => uid,
            Transport::Loopback | Transport::Agent => None,
        }
    }

    /// Its process id, where the system tells.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        match self.transport {
            Transport::Socket { pid, .. } => pid,
            Transport::Loopback | Transport::Agent => None,
        }
    }
}

/// What a program says of itself with a batch of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    /// `service.name` of the resource.
    pub service_name: Option<&'a str>,
    /// The name of the instrumentation scope.
    pub scope: Option<&'a str>,
}
