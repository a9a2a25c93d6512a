//! Completions and man pages, from the same definitions as the help.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::generate;
use clap_mangen::Man;

use crate::cli::{Cli, Generated};
use crate::failure::Failure;
use crate::shown::Shown;

pub(crate) fn run(what: &Generated) -> Result<Shown, Failure> {
    match what {
        Generated::Completion { shell } => {
            let mut script = Vec::new();
            generate(*shell, &mut Cli::command(), "agentctl", &mut script);
            let text = String::from_utf8_lossy(&script).into_owned();
            Ok(Shown { text, ..Shown::default() })
        }
        Generated::Man { dir } => {
            let mut names = Vec::new();
            pages(Cli::command().disable_help_subcommand(true), "", dir, &mut names).map_err(
                |error| Failure::system(&format!("write man pages to {}", dir.display()), error),
            )?;
            Ok(Shown::new(names.join("\n"), &names))
        }
    }
}

/// A page for a command and for each of its subcommands: `agentctl-pins-test.1`.
fn pages(
    command: clap::Command,
    above: &str,
    dir: &Path,
    names: &mut Vec<String>,
) -> std::io::Result<()> {
    let name = if above.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{above}-{}", command.get_name())
    };
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        pages(subcommand.clone(), &name, dir, names)?;
    }
    let mut page = Vec::new();
    Man::new(command.name(name.clone())).render(&mut page)?;
    fs::create_dir_all(dir)?;
    let file = format!("{name}.1");
    fs::write(dir.join(&file), page)?;
    names.push(file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_gets_a_man_page_and_every_shell_a_completion() {
        let dir = tempfile::tempdir().unwrap();
        let shown = run(&Generated::Man { dir: dir.path().to_owned() }).unwrap();
        for page in ["agentctl.1", "agentctl-set-level.1", "agentctl-pins-test.1"] {
            assert!(shown.text.lines().any(|line| line == page), "{}", shown.text);
            assert!(fs::read_to_string(dir.path().join(page)).unwrap().contains(".TH"));
        }
        for shell in [
            clap_complete::Shell::Bash,
            clap_complete::Shell::Zsh,
            clap_complete::Shell::Fish,
            clap_complete::Shell::PowerShell,
        ] {
            assert!(run(&Generated::Completion { shell }).unwrap().text.contains("set-level"));
        }
    }
}
