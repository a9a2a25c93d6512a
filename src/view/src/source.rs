//! Whom the pages ask: the seam between this room and `agentctl`, which knows the daemon.
//!
//! # Invariants
//! - An answer is passed on as it came: the page understands it, not the server.
//!
//! On failure: a [`Refused`], which the page shows with its remedy.

use std::future::Future;

use crate::Question;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its media type: JSON, or bytes that left.
    pub content_type: String,
    /// Its body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// JSON.
    #[must_use]
    pub fn json(text: impl Into<Vec<u8>>) -> Self {
        Self { content_type: "application/json".to_owned(), bytes: text.into() }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status that says it.
    pub status: u16,
    /// For programs, such as `not_permitted`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Policy closed the viewer: after this answer it ends.
    pub is_final: bool,
}

impl Refused {
    /// A refusal without a remedy that leaves the viewer open.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { status, code, message, remedy: None, is_final: false }
    }
}

/// Answers questions.
pub trait Source {
    /// Answers one. It may take as long as the daemon does.
    fn ask(&self, question: Question) -> impl Future<Output = Result<Answer, Refused>>;
}
