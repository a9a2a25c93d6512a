//! `agentctl`, the command line of the administrator and of the curious user.
//!
//! ```text
//! cli (clap) -> command/NAME -> control client, or the same code as the daemon where none is needed
//!                    |
//!                    +-> Shown: the text for people and the JSON with the same facts
//! ```
//!
//! # Invariants
//! - The daemon's store is never opened here: a running daemon is asked, so that there is one truth.
//! - Every command gives the same facts as text and as JSON.
//! - Exit codes are the contract's: 0 done, 1 failed, 2 usage, 3 refused by policy, 4 not permitted,
//!   69 the daemon does not answer, 78 bad configuration.

pub mod cli;
mod command;
mod context;
mod failure;
mod paint;
mod progress;
mod shown;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::shown::print;

/// Runs the command of this process's command line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&Failure::system("start", error)),
    };
    match runtime.block_on(command::run(cli)) {
        Ok(shown) => {
            print(&shown, json);
            ExitCode::from(shown.exit_code)
        }
        Err(failure) => complain(&failure),
    }
}

fn complain(failure: &Failure) -> ExitCode {
    eprintln!("agentctl: {}", failure.text());
    ExitCode::from(failure.exit_code())
}
