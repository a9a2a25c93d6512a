//! The `candor-collector` program: reads the command line, runs it, and prints a failure with its
//! causes in one line.
//!
//! # Invariants
//! - Exit codes: 0 done, 1 failed, 2 usage (clap's).

use std::process::ExitCode;

use candor_collector::cli::Cli;
use clap::Parser as _;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("candor-collector: {error:#}");
            ExitCode::FAILURE
        }
    }
}
