//! `cargo bench-candor`: measured beside promised. Promises stand in `budgets.toml`; this reads them, measures
//! the release programs on this host in one run, and prints both with their ratio.
//!
//! # Invariants
//! - CPU is the agent's own process time, never the wall, so that a busy machine changes little.
//! - A number that this host cannot give is said to be missing; it is never zero.

mod budgets;
#[cfg(unix)]
mod probes;
mod process;

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
        #[cfg(not(unix))]
        What::Probes { .. } => anyhow::bail!("the cost of probes is measured on Linux only"),
    }
}
