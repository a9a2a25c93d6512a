//! What the daemon says instead of an answer: a code for programs, a message and a remedy for
//! people. Made by the service and by the server, read by the client.
//!
//! ```text
//! {"error":{"code":"not_permitted","message":"…","remedy":"…"}}
//! ```
//!
//! # Invariants
//! - Every code has one HTTP status and one exit code of `agentctl`.
//!
//! On failure: this is the failure.

use serde::{Deserialize, Serialize};

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The peer's role does not suffice.
    NotPermitted,
    /// A stronger layer forbids it.
    RefusedByPolicy,
    /// The request cannot be understood.
    BadRequest,
    /// There is no such thing.
    NotFound,
    /// It was tried and did not work.
    Failed,
}

impl Code {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotPermitted => 403,
            Self::NotFound => 404,
            Self::RefusedByPolicy => 409,
            Self::Failed => 500,
        }
    }

    /// The exit code of `agentctl`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::RefusedByPolicy => 3,
            Self::NotPermitted => 4,
            Self::BadRequest | Self::NotFound | Self::Failed => 1,
        }
    }
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    pub(crate) error: Refusal,
}

impl Refusal {
    /// A refusal without a remedy.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: None }
    }

    /// The same with what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// It was tried and did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::Failed, message)
    }

    /// A stronger layer forbids it.
    pub fn refused_by_policy(message: impl Into<String>) -> Self {
        Self::new(Code::RefusedByPolicy, message)
    }

    /// The request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_looks_as_documented() {
        let error = Refusal::refused_by_policy("policy sets level 1").remedy("ask your admin");
        let json = serde_json::to_string(&ErrorBody { error }).unwrap();
        assert_eq!(
            json,
            r#"{"error":{"code":"refused_by_policy","message":"policy sets level 1","remedy":"ask your admin"}}"#
        );
    }
}
