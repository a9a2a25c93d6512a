//! Where Candor's files and its control endpoint lie: one root, and everything under it. The first
//! thing that each program makes, and handed to every room that touches the disk.
//!
//! # Invariants
//! - Every default path hangs under the root, so that a second instance or a test touches nothing
//!   else; no other room spells a path of Candor's own.
//! - The root is made absolute at once: a later change of the working directory moves nothing.
//!
//! On failure: nothing here fails; a path that does not exist is for its user to report.

use std::fmt;
use std::path::{Path, PathBuf};

#[cfg_attr(unix, path = "layout/unix.rs")]
#[cfg_attr(windows, path = "layout/windows.rs")]
mod imp;

/// The environment variable that names the root where `--root` does not.
pub const ROOT_VARIABLE: &str = "CANDOR_ROOT";

/// The paths of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    given: bool,
}

/// Where the control server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// A Windows named pipe, by its full name.
    Pipe(String),
}

impl Layout {
    /// The layout under `root`; `None` is the system's own place (`/`, or `%ProgramData%\Candor`).
    #[must_use]
    pub fn new(root: Option<&Path>) -> Self {
        let given = root.is_some();
        let root = root.map_or_else(imp::default_root, Path::to_owned);
        Self { root: std::path::absolute(&root).unwrap_or(root), given }
    }

    /// As [`Layout::new`], but without a flag the variable [`ROOT_VARIABLE`] counts, unless empty.
    #[must_use]
    pub fn resolve(flag: Option<&Path>) -> Self {
        let variable = std::env::var_os(ROOT_VARIABLE).filter(|value| !value.is_empty());
        Self::new(flag.or(variable.as_deref().map(Path::new)))
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether somebody named a root. Without one Windows keeps settings in the registry.
    #[must_use]
    pub fn has_root(&self) -> bool {
        self.given
    }

    /// `agent.toml`.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.place("etc/candor/agent.toml", "agent.toml")
    }

    /// The directory of the management policy's drop-ins. On Windows it counts only with a root:
    /// without one the policy is in the registry.
    #[must_use]
    pub fn policy_dir(&self) -> PathBuf {
        self.place("etc/candor/policy.d", "policy.d")
    }

    /// The directory of the manifests of local programs that this host's administrator added.
    #[must_use]
    pub fn providers_dir(&self) -> PathBuf {
        self.place("etc/candor/providers.d", "providers.d")
    }

    /// The directory of the manifests that came with the installation; where there is none, those
    /// that are built in count.
    #[must_use]
    pub fn shipped_providers_dir(&self) -> PathBuf {
        self.place("usr/share/candor/providers", "share/providers")
    }

    /// Which providers were switched on and off.
    #[must_use]
    pub fn provider_switches(&self) -> PathBuf {
        self.state_dir().join("providers.toml")
    }

    /// The operator's setting. On Windows it counts only with a root.
    #[must_use]
    pub fn operator_file(&self) -> PathBuf {
        self.state_dir().join("operator.toml")
    }

    /// Spool, ledger, journal, install id.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.place("var/lib/candor", "state")
    }

    /// The local audit trail: beside the spool, never in it.
    #[must_use]
    pub fn audit_trail(&self) -> PathBuf {
        self.state_dir().join("audit.log")
    }

    /// The secret behind the keyed ids.
    #[must_use]
    pub fn secret_file(&self) -> PathBuf {
        self.state_dir().join("secret")
    }

    /// How file systems filled: what the forecast is made from.
    #[must_use]
    pub fn forecast_file(&self) -> PathBuf {
        self.state_dir().join("forecast")
    }

    /// How far crashes were told.
    #[must_use]
    pub fn crashes_file(&self) -> PathBuf {
        self.state_dir().join("crashes")
    }

    /// What was learnt of this host or made for its ids, beside the store: what an owner's deletion
    /// takes with it.
    #[must_use]
    pub fn memories(&self) -> [PathBuf; 3] {
        [self.secret_file(), self.forecast_file(), self.crashes_file()]
    }

    /// Where the agent's own log rolls when `log.dir` does not say otherwise.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.place("var/log/candor", "logs")
    }

    /// The control endpoint.
    #[must_use]
    pub fn control(&self) -> Endpoint {
        if cfg!(windows) {
            Endpoint::Pipe(pipe_name(self.given.then_some(self.root.as_path())))
        } else {
            Endpoint::Unix(self.root.join("run/candor/agent.sock"))
        }
    }

    /// Where local programs send.
    #[must_use]
    pub fn otlp(&self) -> Endpoint {
        match self.control() {
            Endpoint::Unix(path) => Endpoint::Unix(path.with_file_name("otlp.sock")),
            Endpoint::Pipe(name) => Endpoint::Pipe(format!("{name}-otlp")),
        }
    }

    fn place(&self, under_a_root: &str, in_program_data: &str) -> PathBuf {
        let flat = cfg!(windows) && !self.given;
        let relative = if flat { in_program_data } else { under_a_root };
        self.root.join(relative.split('/').collect::<PathBuf>())
    }
}

/// Where the programs of this host keep what is not a user's: `%ProgramData%`.
#[cfg(windows)]
#[must_use]
pub fn program_data() -> PathBuf {
    imp::program_data_dir()
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Pipe(name) => f.write_str(name),
        }
    }
}

/// The pipe of a root. Windows' names do not tell upper from lower case, nor `/` from `\`, so
/// neither does the hash; agent and command line must come to the same name.
fn pipe_name(root: Option<&Path>) -> String {
    let Some(root) = root else { return r"\\.\pipe\candor".to_owned() };
    let text = root.to_string_lossy().to_lowercase().replace('/', r"\");
    format!(r"\\.\pipe\candor-{:016x}", fnv1a(text.trim_end_matches('\\').as_bytes()))
}

/// FNV-1a, 64 bits: the same in every build, which the standard library's hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_root_every_path_hangs_under_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path()));
        let paths = [
            layout.config_file(),
            layout.policy_dir(),
            layout.operator_file(),
            layout.providers_dir(),
            layout.shipped_providers_dir(),
            layout.provider_switches(),
            layout.state_dir(),
            layout.audit_trail(),
            layout.log_dir(),
        ];
        for path in paths {
            assert!(path.starts_with(dir.path()), "{}", path.display());
        }
        assert!(layout.has_root());
        let expected: PathBuf = ["etc", "candor", "agent.toml"].iter().collect();
        assert_eq!(layout.config_file(), dir.path().join(expected));
    }

    #[cfg(unix)]
    #[test]
    fn without_a_root_the_paths_are_those_of_the_contract() {
        let layout = Layout::new(None);
        assert!(!layout.has_root());
        assert_eq!(layout.config_file(), Path::new("/etc/candor/agent.toml"));
        assert_eq!(layout.operator_file(), Path::new("/var/lib/candor/operator.toml"));
        assert_eq!(layout.log_dir(), Path::new("/var/log/candor"));
        assert_eq!(layout.control(), Endpoint::Unix("/run/candor/agent.sock".into()));
    }

    #[cfg(windows)]
    #[test]
    fn without_a_root_the_paths_are_in_program_data() {
        let layout = Layout::new(None);
        let text = layout.state_dir().display().to_string();
        assert!(text.ends_with(r"\Candor\state"), "{text}");
        assert!(text.to_lowercase().contains("programdata"), "{text}");
        assert_eq!(layout.control(), Endpoint::Pipe(r"\\.\pipe\candor".into()));
    }

    #[test]
    fn a_relative_root_becomes_absolute() {
        assert!(Layout::new(Some(Path::new("some/root"))).root().is_absolute());
    }

    #[test]
    fn a_pipe_is_named_by_its_root_in_any_spelling() {
        let one = pipe_name(Some(Path::new(r"C:\Temp\Root")));
        assert_eq!(one, pipe_name(Some(Path::new("c:/temp/root/"))));
        assert_ne!(one, pipe_name(Some(Path::new(r"C:\Temp\Other"))));
        assert_eq!(one.len(), r"\\.\pipe\candor-".len() + 16);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c, "the published test vector");
    }
}
