//! `agentctl`: reads the command line, carries out one command, and turns its outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    candor_ctl::main()
}
