//! What the page can ask: parsed from the path once, so that nothing else can be asked.
//!
//! # Invariants
//! - No question changes anything.
//! - A query is passed on as it came, bounded; the daemon reads it.
//!
//! On failure: `None`, there is no such page.

/// The longest query.
const MAX_QUERY: usize = 2048;

/// A question of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The page is still open.
    Beat,
    /// How the agent is.
    Status,
    /// Which level holds and why.
    Explain,
    /// The ledger, reason by reason.
    Stats,
    /// The changes of level, upload, endpoint and pins.
    History,
    /// A page of events, by this query.
    Events(String),
    /// One event in full, by its sequence number.
    Event(u64),
    /// A page of requests that left, by this query.
    Journal(String),
    /// The exact bytes of one request, by its number.
    Body(u64),
    /// What left by day, by this query.
    Volume(String),
    /// Every event and field that can ever leave.
    Catalog,
    /// What each level would tell of this host now.
    Preview,
}

impl Question {
    /// The question of a path and its query.
    pub(crate) fn parse(path: &str, query: &str) -> Option<Self> {
        let query = || (query.len() <= MAX_QUERY).then(|| query.to_owned());
        Some(match path.strip_prefix("/api/")? {
            "beat" => Self::Beat,
            "status" => Self::Status,
            "explain" => Self::Explain,
            "stats" => Self::Stats,
            "history" => Self::History,
            "events" => Self::Events(query()?),
            "journal" => Self::Journal(query()?),
            "volume" => Self::Volume(query()?),
            "catalog" => Self::Catalog,
            "preview" => Self::Preview,
            other => return Self::numbered(other),
        })
    }

    fn numbered(path: &str) -> Option<Self> {
        if let Some(seq) = path.strip_prefix("events/") {
            return number(seq).map(Self::Event);
        }
        let body = path.strip_prefix("journal/")?.strip_suffix("/body")?;
        number(body).map(Self::Body)
    }
}

/// A number of digits alone: no sign, no blank.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_question_or_none() {
        let asks = |path: &str| Question::parse(path, "limit=5");
        assert_eq!(asks("/api/status"), Some(Question::Status));
        assert_eq!(asks("/api/events"), Some(Question::Events("limit=5".into())));
        assert_eq!(asks("/api/events/17"), Some(Question::Event(17)));
        assert_eq!(asks("/api/journal/3/body"), Some(Question::Body(3)));
        for path in [
            "/api/level",
            "/api/enable",
            "/api/flush",
            "/v1/status",
            "/api/events/",
            "/api/events/+1",
            "/api/events/1/../../level",
            "/api/events/99999999999999999999",
            "/api/journal/3",
            "/api/journal/x/body",
            "/api/",
        ] {
            assert_eq!(asks(path), None, "{path}");
        }
        assert_eq!(Question::parse("/api/events", &"x".repeat(MAX_QUERY + 1)), None);
    }
}
