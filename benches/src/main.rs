//! `cargo bench-candor`: measured beside promised. Promises stand in `budgets.toml`; this reads them, measures
//! the release programs on this host in one run, and prints both with their ratio.
//!
//! # Invariants
//! - CPU is the agent's own process time, never the wall, so that a busy machine changes little.
//! - A number that this host cannot give is said to be missing; it is never zero.

mod budgets;
#[cfg(unix)]
mod delivery;
#[cfg(unix)]
mod ingest;
#[cfg(unix)]
mod load;
#[cfg(unix)]
mod probes;
mod process;
#[cfg(unix)]
mod spool;
#[cfg(unix)]
mod upload;
#[cfg(unix)]
mod view;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measured beside promised.
#[derive(Parser)]
#[command(name = "candor-bench", version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// What an idle agent costs, and how fast it answers: every line of budgets.toml.
    Budgets {
        /// How long the idle agent is watched.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        seconds: u64,
        /// Fail when a promise is broken.
        #[arg(long)]
        check: bool,
    },
    /// What looking at the host costs: a sampling round beside a loop that only reads, a full
    /// inventory, level 3, and whether memory grows. Linux only.
    Probes {
        /// How many rounds memory is watched for.
        #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
        rounds: u64,
        /// Fail when a promise is broken.
        #[arg(long)]
        check: bool,
    },
    /// What the spool costs, beside a bare loop of pwrite and fdatasync of the same bytes. Linux only.
    Spool {
        /// The backlog with which it is opened.
        #[arg(long, value_name = "MIB", default_value_t = 1024)]
        backlog: u64,
        /// Where to measure; a directory on a disk, not in memory.
        #[arg(long, value_name = "DIR")]
        dir: Option<std::path::PathBuf>,
        /// Fail when a promise is broken.
        #[arg(long)]
        check: bool,
    },
    /// What delivery to a local collector over TLS costs. Linux only.
    Upload {
        /// Fail when a promise is broken.
        #[arg(long)]
        check: bool,
    },
    /// What taking in local programs' records costs, and delivering them, of the agent's process. Linux only.
    Ingest {
        /// How many records.
        #[arg(long, value_name = "NUMBER", default_value_t = 400_000)]
        records: usize,
        /// Fail when a promise is broken.
        #[arg(long)]
        check: bool,
    },
    /// How fast the viewer answers with 100,000 events in the store, and in how much memory. Linux only.
    View {
        /// Fail when a promise is broken.
        #[arg(long)]
        check: bool,
    },
    /// Opens a store that `spool` has filled: the process that `spool` starts for it.
    #[command(hide = true)]
    Open {
        /// The store's directory.
        dir: std::path::PathBuf,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("candor-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    match Options::parse().what {
        What::Budgets { seconds, check } => budgets::measure(seconds).map(|kept| kept || !check),
        #[cfg(unix)]
        What::Probes { rounds, check } => probes::measure(rounds).map(|kept| kept || !check),
        #[cfg(unix)]
        What::Spool { backlog, dir, check } => {
            delivery::spool(dir.as_deref(), backlog).map(|kept| kept || !check)
        }
        #[cfg(unix)]
        What::Upload { check } => delivery::upload().map(|kept| kept || !check),
        #[cfg(unix)]
        What::View { check } => view::measure().map(|kept| kept || !check),
        #[cfg(unix)]
        What::Ingest { records, check } => delivery::ingest(records).map(|kept| kept || !check),
        #[cfg(unix)]
        What::Open { dir } => spool::open(&dir).map(|()| true),
        #[cfg(not(unix))]
        What::Spool { .. }
        | What::Upload { .. }
        | What::View { .. }
        | What::Ingest { .. }
        | What::Open { .. } => {
            anyhow::bail!("the cost of delivery is measured on Linux only")
        }
        #[cfg(not(unix))]
        What::Probes { .. } => anyhow::bail!("the cost of probes is measured on Linux only"),
    }
}
