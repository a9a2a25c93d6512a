//! `cargo try`: the whole thing on this host in one command. Builds the programs as a release has
//! them, runs a real agent at level 3 in a temporary root against a real collector on a free loopback
//! port, and says what happened.
//!
//! # Invariants
//! - Nothing outside the temporary directory is read or written by what it starts, but for the host
//!   facts that the agent's probes read.
//! - It ends only processes that it started; with `--keep` it ends none and says how to.

mod stage;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use candor_tests::{Profile, Programs};
use clap::Parser;

use crate::stage::Stage;
use crate::summary::Summary;

/// Run a real agent at level 3 and a real collector on this host, and show what was sent.
#[derive(Parser)]
#[command(name = "cargo try", bin_name = "cargo try", version)]
struct Options {
    /// How long the agent collects before the summary.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 15)]
    seconds: u64,
    /// Leave agent, collector and their files as they are, and say how to look and how to end them.
    #[arg(long)]
    keep: bool,
    /// End with one line: the agent's last `status --json`.
    #[arg(long)]
    json: bool,
    /// Use the programs in this directory instead of building them.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo try: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let programs = match &options.bin_dir {
        Some(dir) => Programs::in_dir(dir)?,
        None => Programs::build(Profile::Release).context("building the programs")?,
    };
    let mut stage = Stage::set(&programs)?;
    eprintln!("agent and collector are running under {}", stage.dir().display());
    eprintln!("collecting for {} s …", options.seconds);
    stage.play(Duration::from_secs(options.seconds))?;
    let summary = Summary::take(&stage)?;
    summary.print(options.keep.then_some(&stage))?;
    if options.json {
        println!("{}", summary.status());
    }
    if options.keep {
        stage.keep();
        return Ok(());
    }
    stage.clear()
}
