//! The agent as a unit of systemd.
//!
//! # Invariants
//! - The unit, the users and the rights are those of `packaging/`: they are part of this program, so a
//!   host without the package gets the same ones.
//! - What a package put there is mended in place and never removed here.
//!
//! On failure: a sentence with what the command or the system said.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use candor_platform::Layout;

use super::{Finding, Settings};

mod accounts;
mod part;

use part::{Part, UNIT, parts};

/// What systemd is asked for when settings are read back.
const SETTINGS: [&str; 12] = [
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "MainPID",
    "NRestarts",
    "Result",
    "User",
    "WatchdogUSec",
    "NeedDaemonReload",
];

/// Whether systemd runs this host, as `sd_booted(3)` tells it.
pub(super) fn is_there() -> Result<(), String> {
    if Path::new("/run/systemd/system").is_dir() {
        return Ok(());
    }
    Err("this host does not run systemd: let its own service manager run `agentd run` as the user \
         candor, who owns /var/lib/candor and may make /run/candor"
        .to_owned())
}

pub(super) fn install() -> Result<(String, Settings), String> {
    let program = Part::Program(part::PROGRAM.into());
    if let Some(problem) = program.examine(Path::new("/")) {
        return Err(format!("{}: {problem}; put the program there first", part::PROGRAM));
    }
    part::write_optional(Path::new("/"))?;
    let findings = doctor(true);
    match findings.iter().find(|finding| finding.mended.is_none()) {
        Some(left) => Err(format!("{}: {}", left.what, left.problem)),
        None if findings.is_empty() => Ok((format!("{UNIT} was installed already"), settings()?)),
        None => Ok((format!("{UNIT} is installed, enabled and started"), settings()?)),
    }
}

pub(super) fn uninstall() -> Result<(String, Settings), String> {
    let root = Path::new("/");
    if part::vendor_unit(root).is_some() {
        return Err("a package installed the service: remove the package (apt-get remove candor, \
                    dnf remove candor); nothing was changed"
            .to_owned());
    }
    if part::loaded_unit(root).is_none() {
        return Ok((format!("{UNIT} was not installed"), settings()?));
    }
    command("systemctl", &["disable", "--now", UNIT])?;
    part::remove_written(root)?;
    command("systemctl", &["daemon-reload"])?;
    let kept = "/etc/candor, /var/lib/candor and the user candor are kept";
    Ok((format!("{UNIT} is stopped and removed; {kept}"), settings()?))
}

/// The operator's setting lies in the state directory.
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Windows")]
pub(super) fn forget(_layout: &Layout) -> Result<(), String> {
    Ok(())
}

pub(super) fn start() -> Result<(String, Settings), String> {
    command("systemctl", &["start", UNIT])?;
    Ok((format!("{UNIT} runs"), settings()?))
}

pub(super) fn stop() -> Result<(String, Settings), String> {
    command("systemctl", &["stop", UNIT])?;
    Ok((
        format!("{UNIT} is stopped; it starts again with the host, unless you disable the unit"),
        settings()?,
    ))
}

/// Examines every part, in the order in which they need each other.
pub(super) fn doctor(fix: bool) -> Vec<Finding> {
    let root = Path::new("/");
    let mut findings = Vec::new();
    for part in parts(root) {
        let Some(problem) = part.examine(root) else { continue };
        let mended = if fix {
            part.mend(root).and_then(|how| confirmed(&part, root, how))
        } else {
            Err(String::new())
        };
        let (problem, mended) = match mended {
            Ok(how) => (problem, Some(how)),
            Err(why) if why.is_empty() => (problem, None),
            Err(why) => (format!("{problem}; {why}"), None),
        };
        findings.push(Finding { what: part.to_string(), problem, mended });
    }
    findings
}

/// Mended is what is examined again and found good.
fn confirmed(part: &Part, root: &Path, how: String) -> Result<String, String> {
    match part.examine(root) {
        None => Ok(how),
        Some(problem) => Err(format!("after it was mended: {problem}")),
    }
}

fn settings() -> Result<Settings, String> {
    let properties = SETTINGS.join(",");
    let text = command("systemctl", &["show", UNIT, "--property", &properties])?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(Settings(pairs.map(|(key, value)| (key.to_owned(), value.into())).collect()))
}

/// One word that systemd says of the unit: `is-enabled`, `is-active`.
fn word(question: &str) -> String {
    let output = Command::new("systemctl").args([question, UNIT]).stdin(Stdio::null()).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// Runs a command to its end; what it printed, or why it failed.
fn command(program: &str, arguments: &[&str]) -> Result<String, String> {
    fed(program, arguments, "")
}

/// The same, with something to read.
fn fed(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let said = |error: std::io::Error| format!("cannot run {program}: {error}");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(said)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who does not read it says so by its exit code.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(said)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(format!("{program} {}: {complaint} ({})", arguments.join(" "), output.status))
}
