//! The parts of the service: each can say what is wrong with it, and be mended.
//!
//! # Invariants
//! - A part that is mended is as the package would have made it.
//! - An edited unit is kept beside the mended one; drop-ins are the administrator's and stay.
//! - Links are not followed where something is given to another owner.
//!
//! On failure: a sentence; the other parts are examined all the same.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown};
use std::path::{Path, PathBuf};

use super::{accounts, command, fed, word};

pub(super) const UNIT: &str = "candor.service";
pub(super) const UNIT_TEXT: &str =
    include_str!("../../../../../../packaging/systemd/candor.service");
const ACCOUNTS: &str = include_str!("../../../../../../packaging/sysusers.d/candor.conf");
const SUDOERS: &str = include_str!("../../../../../../packaging/sudoers.d/candor");
const CONFIGURATION: &str = include_str!("../../../../../../packaging/config/agent.toml");

/// The program of the unit.
pub(super) const PROGRAM: &str = "/usr/sbin/agentd";
const AGENT: &str = "candor";
const OWN_PLACE: &str = "etc/systemd/system";
const VENDOR_PLACES: [&str; 3] =
    ["usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// Something that must be as it is described.
#[derive(Debug)]
pub(super) enum Part {
    /// The program: there, and changeable by root alone.
    Program(PathBuf),
    /// The user with its group, and the operators' group.
    Accounts,
    /// The unit's text.
    Unit,
    /// A directory with its owner and mode, made where it is missing.
    Directory { path: PathBuf, is_agents: bool, mode: u32 },
    /// A file of root's that others may not write; not made where it is missing.
    RootsFile { path: PathBuf, mode: u32 },
    /// All that lies in the state directory is the agent's.
    State(PathBuf),
    /// systemd knows the unit as it stands on the disk.
    Known,
    /// The unit starts with the host.
    Enabled,
    /// The unit runs.
    Running,
}

/// Every part, in the order in which they need each other.
pub(super) fn parts(root: &Path) -> Vec<Part> {
    let directory =
        |path: &str, is_agents, mode| Part::Directory { path: root.join(path), is_agents, mode };
    let file = |path: PathBuf, mode| Part::RootsFile { path, mode };
    let mut parts = vec![
        Part::Program(root.join(PROGRAM.trim_start_matches('/'))),
        Part::Accounts,
        Part::Unit,
        directory("etc/candor", false, 0o755),
        directory("etc/candor/policy.d", false, 0o755),
        directory("var/lib/candor", true, 0o700),
        Part::State(root.join("var/lib/candor")),
        file(root.join("etc/candor/agent.toml"), 0o644),
        file(root.join("etc/sudoers.d/candor"), 0o440),
    ];
    for place in ["etc/candor/policy.d", "etc/candor/providers.d"] {
        let files = fs::read_dir(root.join(place)).into_iter().flatten().flatten();
        parts.extend(files.map(|entry| file(entry.path(), 0o644)));
    }
    parts.extend([Part::Known, Part::Enabled, Part::Running]);
    parts
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(path) | Self::Directory { path, .. } | Self::RootsFile { path, .. } => {
                path.display().fmt(f)
            }
            Self::State(path) => write!(f, "{}/*", path.display()),
            Self::Accounts => f.write_str("user and groups"),
            Self::Unit | Self::Known | Self::Enabled | Self::Running => f.write_str(UNIT),
        }
    }
}

impl Part {
    /// What is wrong with it.
    pub(super) fn examine(&self, root: &Path) -> Option<String> {
        match self {
            Self::Program(path) => examine_program(path),
            Self::Accounts => examine_accounts(root),
            Self::Unit => examine_unit(root),
            Self::Directory { path, is_agents, mode } => {
                let facts = match fs::symlink_metadata(path) {
                    Ok(facts) if facts.is_dir() => facts,
                    Ok(_) => return Some("is no directory".to_owned()),
                    Err(_) => return Some("is missing".to_owned()),
                };
                misfit(&facts, owner(root, *is_agents), *mode, 0o7777)
            }
            Self::RootsFile { path, mode } => {
                let facts = fs::symlink_metadata(path).ok()?;
                // Stricter is good; a link leads to what its owner keeps elsewhere.
                if facts.is_symlink() { None } else { misfit(&facts, Some((0, 0)), *mode, 0o022) }
            }
            Self::State(path) => {
                let stranger = strangers(path, owner(root, true)?).into_iter().next()?;
                Some(format!("{} does not belong to {AGENT}", stranger.display()))
            }
            Self::Known => (property("NeedDaemonReload") == "yes")
                .then(|| "was changed, and systemd has not read it again".to_owned()),
            Self::Enabled => disabled(&word("is-enabled")),
            Self::Running => not_running(&word("is-active")),
        }
    }

    /// Makes it as it must be; what was done.
    pub(super) fn mend(&self, root: &Path) -> Result<String, String> {
        match self {
            Self::Program(path) => own(path, (0, 0), 0o755)
                .map(|()| "given to root: make sure that it is what the package holds".to_owned()),
            Self::Accounts => fed("systemd-sysusers", &["-"], ACCOUNTS)
                .map(|_| "made what was missing".to_owned()),
            Self::Unit => mend_unit(root),
            Self::Directory { path, is_agents, mode } => {
                let owner = owner(root, *is_agents).ok_or("there is no user candor")?;
                fs::create_dir_all(path).map_err(|error| format!("cannot make it: {error}"))?;
                own(path, owner, *mode).map(|()| "made it so".to_owned())
            }
            Self::RootsFile { path, mode } => own(path, (0, 0), *mode)
                .map(|()| "given to root: read it, whoever could write it may have".to_owned()),
            Self::State(path) => {
                let owner = owner(root, true).ok_or("there is no user candor")?;
                for stranger in strangers(path, owner) {
                    lchown(&stranger, Some(owner.0), Some(owner.1)).map_err(|error| {
                        format!("cannot give {} away: {error}", stranger.display())
                    })?;
                }
                Ok(format!("given to {AGENT}"))
            }
            Self::Known => {
                command("systemctl", &["daemon-reload"]).map(|_| "read again".to_owned())
            }
            Self::Enabled => {
                command("systemctl", &["enable", UNIT]).map(|_| "starts with the host".to_owned())
            }
            Self::Running => {
                // A unit that used up its restarts does not start before that is forgotten.
                let _ = command("systemctl", &["reset-failed", UNIT]);
                command("systemctl", &["start", UNIT]).map(|_| "started".to_owned())
            }
        }
    }
}

fn owner(root: &Path, is_agents: bool) -> Option<(u32, u32)> {
    if is_agents { accounts::user(root, AGENT) } else { Some((0, 0)) }
}

/// What is wrong with owner and mode; only the bits of `counts` count.
fn misfit(
    facts: &fs::Metadata,
    owner: Option<(u32, u32)>,
    mode: u32,
    counts: u32,
) -> Option<String> {
    let (uid, found) = (facts.uid(), facts.mode() & 0o7777);
    // Without the user nothing can belong to him; that is a finding of its own.
    let (expected, _) = owner?;
    if uid != expected {
        let name = if expected == 0 { "root" } else { AGENT };
        return Some(format!("belongs to uid {uid} and not to {name}"));
    }
    (found & counts != mode & counts).then(|| format!("has mode {found:04o} and not {mode:04o}"))
}

fn own(path: &Path, (uid, gid): (u32, u32), mode: u32) -> Result<(), String> {
    let refused = |error: std::io::Error| format!("cannot change it: {error}");
    if fs::symlink_metadata(path).map_err(refused)?.is_symlink() {
        return Err("it is a link: replace it".to_owned());
    }
    chown(path, Some(uid), Some(gid)).map_err(refused)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(refused)
}

/// What lies below `path`, itself left out, and belongs to somebody else. Links are not followed.
fn strangers(path: &Path, (uid, _): (u32, u32)) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(facts) = entry.metadata() else { continue };
            if facts.uid() != uid {
                found.push(entry.path());
            }
            if facts.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    found
}

fn examine_program(path: &Path) -> Option<String> {
    let Ok(facts) = fs::metadata(path) else { return Some("is missing".to_owned()) };
    if !facts.is_file() || facts.mode() & 0o111 == 0 {
        return Some("is no program".to_owned());
    }
    misfit(&facts, Some((0, 0)), 0o755, 0o022)
}

fn examine_accounts(root: &Path) -> Option<String> {
    let mut missing = Vec::new();
    if accounts::user(root, AGENT).is_none() {
        missing.push("the user candor");
    }
    for (group, name) in
        [(AGENT, "the group candor"), ("candor-operators", "the group candor-operators")]
    {
        if accounts::group(root, group).is_none() {
            missing.push(name);
        }
    }
    (!missing.is_empty()).then(|| format!("{} missing", missing.join(", ")))
}

/// The unit file that systemd loads: the administrator's own before a package's.
pub(super) fn loaded_unit(root: &Path) -> Option<PathBuf> {
    let own = root.join(OWN_PLACE).join(UNIT);
    if fs::symlink_metadata(&own).is_ok() { Some(own) } else { vendor_unit(root) }
}

/// The unit file of a package.
pub(super) fn vendor_unit(root: &Path) -> Option<PathBuf> {
    VENDOR_PLACES.iter().map(|place| root.join(place).join(UNIT)).find(|path| path.exists())
}

fn examine_unit(root: &Path) -> Option<String> {
    let Some(path) = loaded_unit(root) else { return Some("the unit is missing".to_owned()) };
    let shown = path.display();
    if path.is_symlink()
        && fs::canonicalize(&path).is_ok_and(|target| target == Path::new("/dev/null"))
    {
        return Some(format!("is masked by {shown}"));
    }
    match fs::read_to_string(&path) {
        Ok(text) if text == UNIT_TEXT => {
            misfit(&fs::metadata(&path).ok()?, Some((0, 0)), 0o644, 0o022)
        }
        Ok(_) => Some(format!(
            "was edited in {shown}; a drop-in survives an upgrade: systemctl edit {UNIT}"
        )),
        Err(error) => Some(format!("cannot read {shown}: {error}")),
    }
}

/// Writes the unit where it is loaded from; an edited one is kept beside it under another name.
fn mend_unit(root: &Path) -> Result<String, String> {
    let path = loaded_unit(root).unwrap_or_else(|| root.join(OWN_PLACE).join(UNIT));
    let mut how = "written".to_owned();
    if path.is_symlink() {
        fs::remove_file(&path)
            .map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
    } else if path.exists() {
        let saved = path.with_extension("service.saved");
        fs::rename(&path, &saved)
            .map_err(|error| format!("cannot keep the edited unit: {error}"))?;
        how = format!("written; the edited one is {}", saved.display());
    }
    // Where the administrator's own is gone, a package's may hold again.
    let path = vendor_unit(root).unwrap_or(path);
    write(&path, UNIT_TEXT, 0o644)?;
    command("systemctl", &["daemon-reload"])?;
    if word("is-active") == "active" {
        command("systemctl", &["restart", UNIT])?;
    }
    Ok(how)
}

/// Configuration and operators' rights: made once, the administrator's from then on.
pub(super) fn write_optional(root: &Path) -> Result<(), String> {
    let configuration = root.join("etc/candor/agent.toml");
    let sudoers = root.join("etc/sudoers.d/candor");
    fs::create_dir_all(root.join("etc/candor/policy.d"))
        .map_err(|error| format!("cannot make /etc/candor/policy.d: {error}"))?;
    if !configuration.exists() {
        write(&configuration, CONFIGURATION, 0o644)?;
    }
    // Without sudo there is nobody to read it.
    if !sudoers.exists() && root.join("etc/sudoers.d").is_dir() {
        write(&sudoers, SUDOERS, 0o440)?;
    }
    Ok(())
}

/// Removes what [`mend_unit`] and [`write_optional`] wrote, but for the configuration.
pub(super) fn remove_written(root: &Path) -> Result<(), String> {
    for path in [root.join(OWN_PLACE).join(UNIT), root.join("etc/sudoers.d/candor")] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(format!("cannot remove {}: {error}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    candor_platform::write_atomic(path, text.as_bytes(), mode)
        .map_err(|error| crate::failure::chain(&error))
}

fn property(name: &str) -> String {
    command("systemctl", &["show", UNIT, "--property", name, "--value"])
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn disabled(word: &str) -> Option<String> {
    (word != "enabled").then(|| format!("does not start with the host ({word})"))
}

fn not_running(word: &str) -> Option<String> {
    let runs = matches!(word, "active" | "reloading" | "activating");
    (!runs).then(|| format!("does not run ({word}); journalctl -u {UNIT} says why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host's files, owned by whoever runs the tests; `candor` is that user, too.
    fn host() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let facts = fs::metadata(dir.path()).unwrap();
        for place in ["etc/candor/policy.d", "var/lib/candor", "usr/sbin", "usr/lib/systemd/system"]
        {
            fs::create_dir_all(dir.path().join(place)).unwrap();
        }
        let passwd = format!("candor:x:{}:{}::/:/x\n", facts.uid(), facts.gid());
        fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        let groups = format!("candor:x:{}:\ncandor-operators:x:5:\n", facts.gid());
        fs::write(dir.path().join("etc/group"), groups).unwrap();
        fs::write(dir.path().join("usr/lib/systemd/system").join(UNIT), UNIT_TEXT).unwrap();
        let private = dir.path().join("var/lib/candor");
        fs::set_permissions(private, Permissions::from_mode(0o700)).unwrap();
        dir
    }

    fn problem(root: &Path, what: &str) -> Option<String> {
        let part = parts(root).into_iter().find(|part| part.to_string().ends_with(what)).unwrap();
        part.examine(root)
    }

    #[test]
    fn a_missing_user_or_group_is_named() {
        let host = host();
        assert_eq!(examine_accounts(host.path()), None);
        fs::write(host.path().join("etc/passwd"), "").unwrap();
        fs::write(host.path().join("etc/group"), "candor:x:5:\n").unwrap();
        let problem = examine_accounts(host.path()).unwrap();
        assert_eq!(problem, "the user candor, the group candor-operators missing");
    }

    #[test]
    fn a_directory_that_is_missing_or_has_another_mode_is_found_and_mended() {
        let host = host();
        let state = host.path().join("var/lib/candor");
        assert_eq!(problem(host.path(), "var/lib/candor"), None);
        fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(problem(host.path(), "lib/candor").unwrap(), "has mode 0755 and not 0700");
        fs::remove_dir(&state).unwrap();
        assert_eq!(problem(host.path(), "lib/candor").unwrap(), "is missing");
        let directory = Part::Directory { path: state, is_agents: true, mode: 0o700 };
        directory.mend(host.path()).unwrap();
        assert_eq!(directory.examine(host.path()), None);
    }

    #[test]
    fn an_edited_a_masked_and_a_missing_unit_are_found() {
        let host = host();
        assert_eq!(examine_unit(host.path()), None);
        let own = host.path().join(OWN_PLACE);
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join(UNIT), UNIT_TEXT.replace("NoNewPrivileges=yes", "")).unwrap();
        assert!(examine_unit(host.path()).unwrap().starts_with("was edited in "));
        fs::remove_file(own.join(UNIT)).unwrap();
        std::os::unix::fs::symlink("/dev/null", own.join(UNIT)).unwrap();
        assert!(examine_unit(host.path()).unwrap().starts_with("is masked by "));
        fs::remove_file(own.join(UNIT)).unwrap();
        fs::remove_file(vendor_unit(host.path()).unwrap()).unwrap();
        assert_eq!(examine_unit(host.path()).unwrap(), "the unit is missing");
    }

    #[test]
    fn what_others_may_write_and_what_others_own_is_found_and_mended() {
        let host = host();
        let policy = host.path().join("etc/candor/policy.d/10-org.toml");
        fs::write(&policy, "").unwrap();
        fs::set_permissions(&policy, Permissions::from_mode(0o666)).unwrap();
        if fs::metadata(&policy).unwrap().uid() != 0 {
            eprintln!("skipped: only root can own root's files");
            return;
        }
        assert_eq!(problem(host.path(), "10-org.toml").unwrap(), "has mode 0666 and not 0644");
        fs::set_permissions(&policy, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(problem(host.path(), "10-org.toml"), None, "stricter is good");
        chown(&policy, Some(4321), None).unwrap();
        assert_eq!(
            problem(host.path(), "10-org.toml").unwrap(),
            "belongs to uid 4321 and not to root"
        );
        let part = Part::RootsFile { path: policy, mode: 0o644 };
        part.mend(host.path()).unwrap();
        assert_eq!(part.examine(host.path()), None);
        let deep = host.path().join("var/lib/candor/a/b");
        fs::create_dir_all(&deep).unwrap();
        lchown(&deep, Some(4321), None).unwrap();
        let state = Part::State(host.path().join("var/lib/candor"));
        assert!(state.examine(host.path()).unwrap().contains("a/b does not belong to candor"));
        state.mend(host.path()).unwrap();
        assert_eq!(state.examine(host.path()), None);
    }

    #[test]
    fn a_link_is_not_followed_when_something_is_given_away() {
        let host = host();
        let (target, link) = (host.path().join("target"), host.path().join("link"));
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(own(&link, (0, 0), 0o644).unwrap_err().contains("link"));
    }

    #[test]
    fn configuration_and_rights_are_written_once_and_removed_without_the_configuration() {
        let host = host();
        fs::create_dir_all(host.path().join("etc/sudoers.d")).unwrap();
        write_optional(host.path()).unwrap();
        let (toml, sudoers) =
            (host.path().join("etc/candor/agent.toml"), host.path().join("etc/sudoers.d/candor"));
        assert_eq!(fs::metadata(&sudoers).unwrap().mode() & 0o777, 0o440);
        fs::write(&toml, "mine").unwrap();
        write_optional(host.path()).unwrap();
        assert_eq!(fs::read_to_string(&toml).unwrap(), "mine");
        remove_written(host.path()).unwrap();
        assert!(toml.exists() && !sudoers.exists());
    }

    #[test]
    fn the_default_configuration_is_good_and_names_no_endpoint() {
        let config = candor_policy::Config::parse(CONFIGURATION, "agent.toml").unwrap();
        assert_eq!(config.words, candor_policy::Words::default());
    }

    #[test]
    fn systemds_words_are_understood() {
        assert_eq!((disabled("enabled"), not_running("active")), (None, None));
        assert!(disabled("disabled").is_some() && disabled("masked").is_some());
        assert!(not_running("failed").is_some() && not_running("inactive").is_some());
    }
}
