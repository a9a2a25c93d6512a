//! The bodies of the changing requests, read by hand so that a mistake is answered with the name of
//! the field and what it may be.
//!
//! # Invariants
//! - An unknown field is an error: a mistyped `keep_pendin` must not drop what waits.
//! - An empty body is an object without fields.
//!
//! On failure: a [`Refusal`] of code `bad_request`.

use std::time::Duration;

use candor_model::Level;
use serde_json::{Map, Value, json};

use super::Refusal;

/// The longest `for`: a raise that is meant to last has no `for`.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// `POST /v1/level`: `{"level": 0-3 or a name, "for": "24h", "reason": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelRequest {
    /// The level asked for.
    pub level: Level,
    /// How long it shall hold; `None` is until it is changed.
    pub hold_for: Option<Duration>,
    /// Why, for the audit trail.
    pub reason: Option<String>,
}

/// `POST /v1/disable`: `{"keep_pending": false}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisableRequest {
    /// Whether what waits stays, for the next `enable`.
    pub keep_pending: bool,
}

/// `POST /v1/flush`: `{"wait": false, "stop_probes": false}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushRequest {
    /// Whether the answer waits for the upload to come to an end.
    pub wait: bool,
    /// Whether the probes stop first, for as long as the agent runs: afterwards nothing new waits.
    pub stop_probes: bool,
}

/// `POST /v1/replay`: `{"seq": 7}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    /// The dead letter's number.
    pub seq: u64,
}

/// `POST /v1/providers`: `{"name": "cli", "enabled": true}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRequest {
    /// The provider.
    pub name: String,
    /// Whether it shall be on.
    pub enabled: bool,
}

impl ProviderRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::parse(body)?;
        let name = fields.text("name")?.ok_or_else(|| wrong("name", "is missing"))?;
        let enabled = fields.take("enabled").ok_or_else(|| wrong("enabled", "is missing"))?;
        let enabled = enabled.as_bool().ok_or_else(|| wrong("enabled", "must be true or false"))?;
        fields.end()?;
        Ok(Self { name, enabled })
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "name": self.name, "enabled": self.enabled })
    }
}

impl ReplayRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::parse(body)?;
        let seq = fields.take("seq").ok_or_else(|| wrong("seq", "is missing"))?;
        let seq = seq.as_u64().ok_or_else(|| wrong("seq", "must be a whole number"))?;
        fields.end()?;
        Ok(Self { seq })
    }

    pub(crate) fn json(self) -> Value {
        json!({ "seq": self.seq })
    }
}

impl LevelRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::parse(body)?;
        let level = fields.take("level").ok_or_else(|| wrong("level", "is missing"))?;
        let request = Self {
            level: level_of(&level)?,
            hold_for: fields.text("for")?.as_deref().map(duration).transpose()?,
            reason: fields.text("reason")?,
        };
        fields.end()?;
        Ok(request)
    }

    pub(crate) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("level".into(), self.level.number().into());
        if let Some(time) = self.hold_for {
            object.insert("for".into(), format!("{}s", time.as_secs()).into());
        }
        if let Some(reason) = &self.reason {
            object.insert("reason".into(), reason.as_str().into());
        }
        Value::Object(object)
    }
}

impl DisableRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::parse(body)?;
        let keep_pending = fields.flag("keep_pending")?;
        fields.end()?;
        Ok(Self { keep_pending })
    }

    pub(crate) fn json(self) -> Value {
        json!({ "keep_pending": self.keep_pending })
    }
}

impl FlushRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::parse(body)?;
        let request = Self { wait: fields.flag("wait")?, stop_probes: fields.flag("stop_probes")? };
        fields.end()?;
        Ok(request)
    }

    pub(crate) fn json(self) -> Value {
        json!({ "wait": self.wait, "stop_probes": self.stop_probes })
    }
}

/// A request that has no fields.
pub(crate) fn parse_nothing(body: &[u8]) -> Result<(), Refusal> {
    Fields::parse(body)?.end()
}

/// The fields of a body that were not taken yet.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.trim_ascii().is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Refusal::bad_request("the body is no JSON object")),
            Err(error) => Err(Refusal::bad_request(format!("the body is no JSON: {error}"))),
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "must be text")),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    pub(super) fn end(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(wrong(name, "is no field of this request")),
        }
    }
}

fn level_of(value: &Value) -> Result<Level, Refusal> {
    let level = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64().and_then(Level::from_number),
    };
    level.ok_or_else(|| wrong("level", "must be 0-3, security, basic, enhanced or full"))
}

/// A whole number and a unit: `90s`, `30m`, `24h`, `7d`.
fn duration(text: &str) -> Result<Duration, Refusal> {
    let refuse = || wrong("for", "must be a time such as 90s, 30m, 24h or 7d, a year at most");
    let split = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(refuse)?;
    let (number, unit) = text.split_at(split);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(refuse()),
    };
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let time = number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(refuse)?;
    if time.is_zero() || time > LONGEST { Err(refuse()) } else { Ok(time) }
}

pub(super) fn wrong(field: &str, what: &str) -> Refusal {
    Refusal::bad_request(format!("field `{field}` {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> String {
        LevelRequest::parse(body.as_bytes()).unwrap_err().message
    }

    #[test]
    fn a_level_is_asked_for_by_number_or_name_and_comes_back_from_its_json() {
        let asked =
            LevelRequest::parse(br#"{"level":"basic","for":"24h","reason":"why"}"#).unwrap();
        assert_eq!(asked.level, Level::Basic);
        assert_eq!(asked.hold_for, Some(Duration::from_hours(24)));
        let again = LevelRequest::parse(asked.json().to_string().as_bytes()).unwrap();
        assert_eq!(again, asked);
        let plain = LevelRequest::parse(br#"{"level":3,"for":null}"#).unwrap();
        assert_eq!(plain, LevelRequest { level: Level::Full, hold_for: None, reason: None });
    }

    #[test]
    fn a_mistake_is_answered_with_the_field() {
        for (body, field) in [
            ("", "level"),
            ("{}", "level"),
            (r#"{"level":4}"#, "level"),
            (r#"{"level":1.5}"#, "level"),
            (r#"{"level":true}"#, "level"),
            (r#"{"level":1,"for":3}"#, "for"),
            (r#"{"level":1,"reason":[]}"#, "reason"),
            (r#"{"level":1,"levle":2}"#, "levle"),
        ] {
            assert!(message(body).contains(&format!("`{field}`")), "{body}: {}", message(body));
        }
        assert!(message("{").contains("line 1"), "{}", message("{"));
        assert!(message("[]").contains("object"));
    }

    #[test]
    fn a_time_needs_a_number_and_a_unit_and_an_end() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("7d").unwrap(), Duration::from_hours(168));
        for text in
            ["", "0s", "24", "h", "1w", "-1h", "1.5h", "1 h", "367d", "99999999999999999999d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_provider_is_switched_by_name() {
        let on = ProviderRequest { name: "cli".into(), enabled: true };
        assert_eq!(ProviderRequest::parse(on.json().to_string().as_bytes()).unwrap(), on);
        for body in
            ["", r#"{"name":"cli"}"#, r#"{"enabled":true}"#, r#"{"name":"cli","enabled":1}"#]
        {
            assert!(ProviderRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn flags_are_false_unless_said() {
        assert!(!FlushRequest::parse(b"").unwrap().wait);
        let flush = FlushRequest { wait: true, stop_probes: true };
        assert_eq!(FlushRequest::parse(flush.json().to_string().as_bytes()).unwrap(), flush);
        assert!(DisableRequest::parse(br#"{"keep_pending":1}"#).is_err());
        assert!(DisableRequest::parse(br#"{"keep_pendin":true}"#).is_err());
        let kept = DisableRequest { keep_pending: true };
        assert_eq!(DisableRequest::parse(kept.json().to_string().as_bytes()).unwrap(), kept);
        assert!(parse_nothing(b" \n").is_ok() && parse_nothing(br#"{"x":1}"#).is_err());
    }
}
