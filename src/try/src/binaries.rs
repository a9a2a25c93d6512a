//! The three programs as a release has them. Cargo says where it put them; nothing is guessed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Where the programs are.
pub(crate) struct Binaries {
    pub(crate) agentd: PathBuf,
    pub(crate) agentctl: PathBuf,
    pub(crate) collector: PathBuf,
}

impl Binaries {
    /// Builds them with the release profile. Cargo's progress goes to stderr.
    pub(crate) fn build() -> Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--release", "--message-format=json-render-diagnostics"])
            .args(["--bin", "agentd", "--bin", "agentctl", "--bin", "candor-collector"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(output.status.success(), "cargo build ended with {}", output.status);
        let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
        let built: Vec<PathBuf> = messages.lines().filter_map(executable).collect();
        Self::pick(|name| {
            built.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name)).cloned()
        })
    }

    /// Takes them from a directory.
    pub(crate) fn in_dir(dir: &Path) -> Result<Self> {
        Self::pick(|name| {
            let path = dir.join(format!("{name}{}", env::consts::EXE_SUFFIX));
            path.is_file().then_some(path)
        })
    }

    fn pick(find: impl Fn(&str) -> Option<PathBuf>) -> Result<Self> {
        let find = |name: &str| match find(name) {
            Some(path) => Ok(path),
            None => bail!("there is no {name}: build the workspace, or mend --bin-dir"),
        };
        Ok(Self {
            agentd: find("agentd")?,
            agentctl: find("agentctl")?,
            collector: find("candor-collector")?,
        })
    }
}

fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    message.get("executable")?.as_str().map(PathBuf::from)
}
