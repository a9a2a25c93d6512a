//! The local programs that the agent knows: the answer of `GET /v1/providers` and the switch.
//!
//! # Invariants
//! - Counts are since the agent started; a reason that never happened is not in its map.
//!
//! On failure: plain data, nothing fails.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Every provider, on or off: `GET /v1/providers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Providers {
    /// Why all of them are off, where the switches cannot be understood.
    pub trouble: Option<String>,
    /// Why programs cannot be heard where `[ingest]` says; null where they are, or where it says nowhere.
    pub ingest_trouble: Option<String>,
    /// By name; the one that takes anything last.
    pub providers: Vec<ProviderStatus>,
    /// Records of programs that no provider matched, by reason.
    pub unmatched: BTreeMap<String, u64>,
}

/// One provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// What it is; null where its manifest cannot be used.
    pub doc: Option<String>,
    /// `shipped` with the agent, or `local`: added by the administrator.
    pub source: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// The lowest level at which it tells anything; null where its manifest cannot be used.
    pub level: Option<u8>,
    /// Records that its manifest let pass.
    pub accepted: u64,
    /// Records that did not pass, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Fields that were taken away from records that passed, by reason.
    pub fields_refused: BTreeMap<String, u64>,
    /// What is wrong with its manifest, and what to change.
    pub problems: Vec<String>,
}

/// A provider after `POST /v1/providers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderChanged {
    /// Its name.
    pub name: String,
    /// Whether it is on now.
    pub enabled: bool,
    /// Whether the request changed that.
    pub changed: bool,
}
