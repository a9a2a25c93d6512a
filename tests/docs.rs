//! Documents that are made from definitions, compared with them. `CANDOR_WRITE_DOCS=1` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use candor_model::Level;
use candor_pipeline::catalog::{Format, render};
use candor_policy::{Key, Scope};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

fn document(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn compare(path: &str, made: &str) {
    let file = document(path);
    if env::var_os("CANDOR_WRITE_DOCS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, made).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == made,
        "{path} is not what its definition says: CANDOR_WRITE_DOCS=1 cargo test -p candor-tests --test docs"
    );
}

#[test]
fn the_events_are_published_as_they_are_defined() {
    compare("docs/events.md", &render(Level::Full, Format::Markdown));
}

#[test]
fn the_policy_words_are_published_as_they_are_defined() {
    let mut table = String::from("| word | value | meaning | counts in |\n|---|---|---|---|\n");
    for key in Key::ALL.iter().filter(|key| key.scope() != Scope::Operator) {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            key.name(),
            key.type_name(),
            key.meaning(),
            key.scope().place()
        );
    }
    let text = fs::read_to_string(document("docs/configuration.md")).unwrap();
    let (before, rest) = text.split_once("<!-- words").unwrap();
    let (marker, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of words -->").unwrap();
    compare(
        "docs/configuration.md",
        &format!("{before}<!-- words{marker}-->\n{table}<!-- end of words -->{after}"),
    );
}

#[test]
fn every_program_has_its_man_pages() {
    let mut pages = Vec::new();
    for program in [
        candor_service::options::Options::command(),
        candor_ctl::cli::Cli::command(),
        candor_collector::cli::Cli::command(),
    ] {
        page(program.disable_help_subcommand(true), "", &mut pages);
    }
    for (name, text) in &pages {
        compare(&format!("packaging/man/{name}"), text);
    }
    let kept = fs::read_dir(document("packaging/man")).unwrap().count();
    assert_eq!(kept, pages.len(), "packaging/man holds a page of a command that is gone");
}

/// A page for a command and for each of its subcommands: `agentctl-pins-test.1`; daemons stand in section 8.
fn page(command: Command, above: &str, pages: &mut Vec<(String, String)>) {
    let name = if above.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{above}-{}", command.get_name())
    };
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        page(subcommand.clone(), &name, pages);
    }
    let section = if name.starts_with("agentd") { "8" } else { "1" };
    let mut text = Vec::new();
    Man::new(command.name(name.clone())).section(section).render(&mut text).unwrap();
    pages.push((format!("{name}.{section}"), String::from_utf8(text).unwrap()));
}
