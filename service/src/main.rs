//! `agentd`: reads its options, sets up its log, runs the agent, and turns the outcome into an exit code.

use std::process::ExitCode;

use candor_service::options::{Action, Options, Run};
use candor_service::{Failure, host};
use clap::Parser as _;

fn main() -> ExitCode {
    candor_platform::tune_allocator();
    // Before the first thread: after `disable` no lookup may go on for long.
    candor_platform::bound_name_lookups();
    // Before the first thread: the probes wake a right for the moment that they need it.
    candor_platform::lower_privileges();
    let outcome = match Options::parse().action {
        Action::Run(run) => host::console::run(&run),
        Action::Service(run) => service(&run),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("agentd: {}", chain(&failure));
            ExitCode::from(failure.exit_code())
        }
    }
}

#[cfg(windows)]
fn service(run: &Run) -> Result<(), Failure> {
    host::windows::run(run)
}

#[cfg(not(windows))]
fn service(_run: &Run) -> Result<(), Failure> {
    Err(Failure::NoServiceManager)
}

/// The whole chain of causes, printed once, here at the edge.
fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
