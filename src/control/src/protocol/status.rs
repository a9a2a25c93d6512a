//! The answer of `GET /v1/status`, which is also what `agentctl status --json` prints.
//!
//! # Invariants
//! - Field names and nesting are the contract's; the test below holds the contract's own text.
//! - Times are RFC 3339 in UTC; durations and sizes have their unit in the name.
//!
//! On failure: plain data, nothing fails.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How the agent is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// The random id of this installation; null on a host that is off from its first start.
    pub install_id: Option<String>,
    /// What names this boot; null where the host does not tell.
    pub boot_id: Option<String>,
    /// Seconds since the agent started, suspend included.
    pub uptime_seconds: u64,
    /// The level.
    pub level: LevelStatus,
    /// The upload.
    pub upload: UploadStatus,
    /// The ledger.
    pub events: EventCounts,
    /// What waits on the disk.
    pub spool: SpoolStatus,
    /// The journal of what left.
    #[serde(default)]
    pub journal: JournalStatus,
    /// The probes, in the order in which they run.
    pub probes: Vec<ProbeStatus>,
    /// What the agent costs this host.
    pub cost: CostStatus,
    /// Why the present `agent.toml` is not used, while the last good one runs on; absent where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_error: Option<String>,
}

/// Which level holds and why; also the answer of `GET /v1/level`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelStatus {
    /// What was asked for, 0 to 3.
    pub requested: u8,
    /// What holds, 0 to 3.
    pub effective: u8,
    /// The name of what holds.
    pub name: String,
    /// The place that decided, such as `policy.d/10-org.toml`.
    pub source: String,
    /// Why, such as `AllowTelemetry = 1`.
    pub reason: String,
    /// When a level that was set for a time ends by itself, RFC 3339; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What holds after that, 0 to 3; absent where `until` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<u8>,
}

/// How the upload is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadStatus {
    /// Whether anything is collected and sent at all.
    pub enabled: bool,
    /// `ok`, `backoff`, `hold` or `off`.
    pub state: String,
    /// Why, where the state is not `ok`.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Where the data goes; null where none is set.
    pub endpoint: Option<String>,
    /// When the endpoint last acknowledged something.
    pub last_success: Option<String>,
    /// When it was last tried.
    pub last_attempt: Option<String>,
    /// When it will be tried next.
    pub next_attempt: Option<String>,
    /// Which rule decides when ordinary records go: `fixed` (`upload.interval` is set), `mains`,
    /// `battery` or `metered`; absent while telemetry is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Why that rule holds, and what follows; absent where `schedule` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_reason: Option<String>,
}

/// The ledger: `generated = uploaded + dropped + pending`, at every moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventCounts {
    /// Records that were committed here, ever.
    pub generated: u64,
    /// Records that the endpoint acknowledged.
    pub uploaded: u64,
    /// Records that will not be uploaded.
    pub dropped: u64,
    /// Records that wait, in flight included.
    pub pending: u64,
    /// `100 × uploaded / (uploaded + dropped)` without what the owner took back; null while
    /// nothing is decided.
    pub percent_uploaded: Option<f64>,
    /// Likewise for what was dropped.
    pub percent_dropped: Option<f64>,
    /// Dropped records by the word of their reason.
    pub dropped_by_reason: BTreeMap<String, u64>,
    /// Generated records by the number of their level, `"0"` to `"3"`.
    pub by_level: BTreeMap<String, u64>,
    /// What the level withheld: never generated, counted beside the ledger.
    pub withheld_by_level: u64,
    /// What was refused at the door.
    pub refused: u64,
    /// What `candor.telemetry.health` tells instead, where the owner had the ids renewed; else absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_renewal: Option<SinceRenewal>,
}

/// The ledger since the owner had the ids renewed: what a receiver is told, which knows the present id only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SinceRenewal {
    /// Records that were committed.
    pub generated: u64,
    /// Records that the endpoint acknowledged.
    pub uploaded: u64,
    /// Records that will not be uploaded.
    pub dropped: u64,
    /// As in [`EventCounts`].
    pub percent_uploaded: Option<f64>,
    /// As in [`EventCounts`].
    pub percent_dropped: Option<f64>,
    /// Dropped records by the word of their reason.
    pub dropped_by_reason: BTreeMap<String, u64>,
}

/// What waits on the disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpoolStatus {
    /// Bytes that the spool takes.
    pub bytes: u64,
    /// Its cap.
    pub max_bytes: u64,
    /// Age of the oldest record; 0 where nothing waits.
    pub oldest_seconds: u64,
    /// What a power cut would lose now.
    pub loss_bound: LossBound,
}

/// The journal of what left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Most bytes that it may take; 0 where none is kept.
    pub max_bytes: u64,
    /// Bytes that it takes; null before the first request since the agent's start.
    pub bytes: Option<u64>,
    /// Requests since the agent's start that left and could not be written down.
    pub holes: u64,
    /// Why the last request could not be written down; null where it could.
    pub trouble: Option<String>,
}

/// What was accepted and is not yet committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossBound {
    /// Records that linger.
    pub events: u64,
    /// How long the oldest of them has lingered.
    pub seconds: f64,
}

/// One probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// Its name.
    pub name: String,
    /// The lowest level at which it runs.
    pub level: u8,
    /// When it last succeeded.
    pub last_success: Option<String>,
    /// What went wrong last, if its last run failed.
    pub last_error: Option<String>,
    /// What the host did not tell in its last report, and why; absent where it told everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absence>,
    /// When it runs next; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<String>,
    /// Processor time it took since the agent started.
    pub cpu_ms: f64,
}

/// A fact that this host does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// The field, by its name in the catalog.
    pub field: String,
    /// Why, as far as it is known.
    pub reason: String,
}

/// What the agent costs since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostStatus {
    /// Resident memory now.
    pub rss_bytes: Option<u64>,
    /// Processor time.
    pub cpu_ms: u64,
    /// Context switches of all threads; null on Windows.
    pub wakeups: Option<u64>,
    /// Bytes sent to the endpoint.
    pub bytes_uploaded: u64,
    /// Times that the disk was asked to have it for certain.
    pub fsyncs: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The contract's text, with its placeholders filled in.
    const CONTRACT: &str = r#"{
      "version": "0.1.0",
      "install_id": "i", "boot_id": "b", "uptime_seconds": 12,
      "level":  { "requested": 3, "effective": 1, "name": "basic", "source": "policy.d/10-org.toml", "reason": "AllowTelemetry = 1" },
      "upload": { "enabled": true, "state": "ok", "reason": "r", "remedy": "m", "endpoint": "https://e",
                  "last_success": null, "last_attempt": "t", "next_attempt": "t" },
      "events": { "generated": 0, "uploaded": 0, "dropped": 0, "pending": 0,
                  "percent_uploaded": null, "percent_dropped": null, "dropped_by_reason": { "spool_full": 0 },
                  "by_level": { "0": 0, "1": 0, "2": 0, "3": 0 }, "withheld_by_level": 0, "refused": 0 },
      "spool":  { "bytes": 0, "max_bytes": 0, "oldest_seconds": 0, "loss_bound": { "events": 0, "seconds": 0.0 } },
      "probes": [ { "name": "drives", "level": 1, "last_success": "t", "last_error": null, "cpu_ms": 0.0 } ],
      "cost":   { "rss_bytes": 0, "cpu_ms": 0, "wakeups": 0, "bytes_uploaded": 0, "fsyncs": 0 }
    }"#;

    #[test]
    fn the_status_is_the_contracts_name_by_name() {
        let contract: Value = serde_json::from_str(CONTRACT).unwrap();
        let status: Status = serde_json::from_value(contract.clone()).unwrap();
        let mut told = serde_json::to_value(&status).unwrap();
        // What stands there beyond the contract.
        let journal = told.as_object_mut().unwrap().remove("journal").unwrap();
        assert_eq!(told, contract);
        assert_eq!(journal, serde_json::to_value(JournalStatus::default()).unwrap());
    }

    #[test]
    fn what_a_newer_daemon_adds_is_passed_over() {
        let mut newer: Value = serde_json::from_str(CONTRACT).unwrap();
        newer["level"]["colour"] = "green".into();
        newer["weather"] = Value::Null;
        let status: Status = serde_json::from_value(newer).unwrap();
        assert_eq!(status.level.effective, 1);
    }
}
