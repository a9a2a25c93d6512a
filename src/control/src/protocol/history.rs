//! Who changed what, when and why: the answer of `GET /v1/history`, which is the local audit trail for a
//! reader who may not open its file.
//!
//! # Invariants
//! - Newest first, and bounded; the file has the rest.
//! - What the trail does not say is null.
//!
//! On failure: plain data, nothing fails.

use serde::{Deserialize, Serialize};

/// The latest changes: `GET /v1/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Newest first; at most 500.
    pub changes: Vec<Change>,
}

/// One line of the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When, RFC 3339.
    pub time: String,
    /// What: `level`, `upload`, `endpoint`, `pins`, `test`, `provider`, `remote` or `remote_fetch`.
    pub subject: String,
    /// The value before.
    pub from: Option<String>,
    /// The value after.
    pub to: Option<String>,
    /// The layer through which it changed.
    pub layer: Option<String>,
    /// In which role.
    pub role: Option<String>,
    /// The user id.
    pub uid: Option<u32>,
    /// The user name.
    pub user: Option<String>,
    /// The process id.
    pub pid: Option<u32>,
    /// The reason given.
    pub reason: Option<String>,
}
