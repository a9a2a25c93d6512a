//! The answers besides the status: what `agentctl explain`, `stats` and the changing commands
//! print with `--json`.
//!
//! # Invariants
//! - The JSON of [`Explanation`] is the contract's.
//! - An answer to a change says what holds now, not what was asked for.
//!
//! On failure: plain data, nothing fails.

use serde::{Deserialize, Serialize};

use super::{EventCounts, LevelStatus};

/// Every layer and who won: `GET /v1/explain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The level that was asked for, 0 to 3.
    pub requested: u8,
    /// The level that holds, 0 to 3.
    pub effective: u8,
    /// Every place, strongest first.
    pub layers: Vec<ExplainedLayer>,
    /// The layer that decided.
    pub winner: String,
    /// Why, in a sentence.
    pub reason: String,
    /// When remote settings were last refused and why, unless some were taken since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_settings: Option<RefusedSettings>,
}

/// Remote settings that were fetched and do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedSettings {
    /// When, RFC 3339.
    pub time: String,
    /// Why.
    pub reason: String,
}

/// One place of an explanation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedLayer {
    /// The layer's word.
    pub layer: String,
    /// The file or registry key.
    pub place: String,
    /// The level it states; null where it states none.
    pub value: Option<u8>,
    /// What became of it.
    pub verdict: String,
}

/// The ledger with what each reason means: `GET /v1/stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// The ledger.
    pub events: EventCounts,
    /// Every reason for a drop, those that never happened included.
    pub reasons: Vec<ReasonCount>,
}

/// One reason for a drop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// Its word.
    pub reason: String,
    /// How many records it took.
    pub count: u64,
    /// What happened.
    pub meaning: String,
    /// What to do.
    pub remedy: String,
}

/// The level after `POST /v1/level`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelChanged {
    /// What holds now.
    #[serde(flatten)]
    pub level: LevelStatus,
    /// Waiting records above the new level that were purged.
    pub withdrawn: u64,
}

/// The upload after `POST /v1/enable` and `/v1/disable`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadChanged {
    /// Whether it is enabled now.
    pub enabled: bool,
    /// Whether the request changed that.
    pub changed: bool,
    /// Waiting records that were dropped (`disabled`).
    pub dropped: u64,
}

/// What `POST /v1/flush` came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushDone {
    /// Whether nothing that waited at the request waits any more; without `wait` always false.
    pub complete: bool,
    /// Records acknowledged since the request.
    pub uploaded: u64,
    /// Records that wait now.
    pub pending: u64,
    /// The upload's state now: `ok`, `backoff`, `hold` or `off`.
    pub state: String,
    /// Why, where the state is not `ok`.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What `POST /v1/reload` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The level that holds now.
    pub level: LevelStatus,
    /// What could not be used, each with what to change.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_has_the_contracts_names() {
        let text = r#"{"requested":2,"effective":0,"layers":[{"layer":"policy","place":"p","value":null,"verdict":"v"}],"winner":"policy","reason":"r"}"#;
        let told: Explanation = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&told).unwrap(), text);
    }

    #[test]
    fn a_changed_level_reads_like_a_level() {
        let changed = LevelChanged { withdrawn: 4, ..LevelChanged::default() };
        let json = serde_json::to_value(&changed).unwrap();
        assert!(json.get("effective").is_some() && json.get("level").is_none(), "{json}");
        assert_eq!(serde_json::from_value::<LevelChanged>(json).unwrap(), changed);
    }
}
