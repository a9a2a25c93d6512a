//! `completion`: a shell's script, from the same definitions as the help. Man pages are made from them,
//! too, but when the project is packaged: `tests/docs.rs`.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::shown::Shown;

pub(crate) fn run(shell: Shell) -> Shown {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "agentctl", &mut script);
    Shown { text: String::from_utf8_lossy(&script).into_owned(), ..Shown::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            assert!(run(shell).text.contains("set-level"), "{shell}");
        }
    }
}
