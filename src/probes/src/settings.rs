//! What the probes are told from outside. The service makes it of policy and of the installation's
//! secret; previews and tests use the default.
//!
//! # Invariants
//! - No probe keeps a secret: it gets the function that makes ids, and nothing else.
//! - The default never gives a value back as its own id.
//!
//! Nothing here fails.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes the keyed id of a value (second) among the values of a domain (first).
pub type Pseudonym = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// What probes are told. A clone shares the switch.
#[derive(Clone)]
pub struct Settings {
    /// `LimitDiagnosticLogCollection`: no log records, at whatever level.
    pub limit_logs: Switch,
    /// How what must be joined but not read becomes an id.
    pub pseudonym: Pseudonym,
    /// The file in which the forecast keeps how file systems filled, over a restart; `None` keeps
    /// it in memory only. A level below 2 removes it.
    pub forecast_file: Option<PathBuf>,
    /// The file that says how far crashes were told, over a restart; `None`: a look at the present,
    /// which tells those of the last minutes. A level below 1 removes it.
    pub crashes_file: Option<PathBuf>,
}

/// A setting that policy may change while the probes run.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// Turns it.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Release);
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Logs allowed, and ids under a key that is random for these settings: good for a look, of no use
/// beside another one.
impl Default for Settings {
    fn default() -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        let id = move |domain: &str, value: &str| {
            let half = |key: &RandomState| format!("{:016x}", key.hash_one((domain, value)));
            keys.each_ref().map(half).concat()
        };
        Self {
            limit_logs: Switch::default(),
            pseudonym: Arc::new(id),
            forecast_file: None,
            crashes_file: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("limit_logs", &self.limit_logs).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_by_default_are_stable_within_and_unrelated_between_settings() {
        let (one, other) = (Settings::default(), Settings::default());
        let id = (one.pseudonym)("remote-address", "192.0.2.7");
        assert_eq!(id.len(), 32);
        assert_eq!(id, (one.pseudonym)("remote-address", "192.0.2.7"));
        assert_ne!(id, (one.pseudonym)("container", "192.0.2.7"));
        assert_ne!(id, (other.pseudonym)("remote-address", "192.0.2.7"));
    }

    #[test]
    fn a_clone_sees_the_switch_turn() {
        let settings = Settings::default();
        let clone = settings.clone();
        settings.limit_logs.set(true);
        assert!(clone.limit_logs.is_on());
    }
}
