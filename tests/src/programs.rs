//! The three programs. Cargo says where it put them; nothing is guessed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    /// The daemon.
    pub agentd: PathBuf,
    /// The command line.
    pub agentctl: PathBuf,
    /// The receiving end.
    pub collector: PathBuf,
}

/// Which build of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As `cargo test` builds them.
    Tests,
    /// As a release has them.
    Release,
}

impl Programs {
    /// Builds them; Cargo's progress goes to stderr. Cargo finds nothing to do for
    /// [`Profile::Tests`] when `cargo test` has just built the workspace.
    ///
    /// # Errors
    /// When Cargo cannot be started or fails.
    pub fn build(profile: Profile) -> Result<Self> {
        let mut command = cargo();
        command.args(["build", "--message-format=json-render-diagnostics"]);
        match profile {
            Profile::Tests => command.args(["--workspace", "--bins"]),
            Profile::Release => command.args([
                "--release",
                "--bin",
                "agentd",
                "--bin",
                "agentctl",
                "--bin",
                "candor-collector",
            ]),
        };
        let built = built(command)?;
        Self::pick(|name| {
            built.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name)).cloned()
        })
    }

    /// Takes them from a directory.
    ///
    /// # Errors
    /// When one is not there.
    pub fn in_dir(dir: &Path) -> Result<Self> {
        Self::pick(|name| {
            let path = dir.join(format!("{name}{}", env::consts::EXE_SUFFIX));
            path.is_file().then_some(path)
        })
    }

    fn pick(find: impl Fn(&str) -> Option<PathBuf>) -> Result<Self> {
        let find = |name: &str| find(name).with_context(|| format!("there is no program {name}"));
        Ok(Self {
            agentd: find("agentd")?,
            agentctl: find("agentctl")?,
            collector: find("candor-collector")?,
        })
    }
}

/// The programs of this checkout, or those of `CANDOR_BIN_DIR` when it is set; built once a test run.
///
/// # Panics
/// When they cannot be built or found.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let found = match env::var_os("CANDOR_BIN_DIR") {
            Some(dir) => Programs::in_dir(Path::new(&dir)),
            None => Programs::build(Profile::Tests),
        };
        found.expect("the programs")
    })
}

/// An example of a crate of this checkout.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn example(package: &str, name: &str) -> PathBuf {
    let mut command = cargo();
    command.args(["build", "--message-format=json-render-diagnostics"]);
    command.args(["--package", package, "--example", name]);
    let built = built(command).and_then(|built| built.into_iter().next().context("no program"));
    built.expect("the example")
}

/// What Cargo makes when it is asked so.
fn built(mut command: Command) -> Result<Vec<PathBuf>> {
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo build ended with {}", output.status);
    let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
    Ok(messages.lines().filter_map(executable).collect())
}

/// Cargo, as a person would start it. What it tells the program that it runs, such as us, stays behind:
/// build scripts look at it, and would build half of the workspace anew.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_told =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_told) {
            command.env_remove(name);
        }
    }
    command
}

fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    message.get("executable")?.as_str().map(PathBuf::from)
}
