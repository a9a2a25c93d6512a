//! The command line of `agentd`. The man page is made from the same definition.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The Candor agent: looks at this host, and tells what its owner's level allows.
#[derive(Debug, Parser)]
#[command(name = "agentd", version)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do. There is no default: a service never guesses how it was started.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run in the foreground until SIGTERM or ctrl-c; service managers start it like this, too.
    Run(Run),
    /// Run as a Windows service: only the service control manager starts it like this.
    Service(Run),
}

/// Options of `agentd run` and `agentd service`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Everything that the agent reads and writes hangs under this directory; else under CANDOR_ROOT, else /.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Read this file in place of etc/candor/agent.toml; the path is literal, never moved under --root.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Let the probes read DIR/proc, DIR/sys, DIR/etc … in place of the host's.
    #[arg(long, value_name = "DIR")]
    pub host_root: Option<PathBuf>,
}
