//! A local program's events on the control endpoint: what `agentctl emit` sends with `POST /v1/emit`,
//! and what became of them.
//!
//! # Invariants
//! - A record that the answer calls accepted is on the disk.
//!
//! On failure: what was refused is told one by one, with the reason.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Refusal;

/// Most records of one request; a body has 64 KiB at most anyway.
const MAX_RECORDS: usize = 512;

/// `POST /v1/emit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmitRequest {
    /// What the program calls itself; its provider's name where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The events, oldest first.
    pub records: Vec<EmitRecord>,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmitRecord {
    /// Its name; the provider is the one whose manifest declares it.
    pub event: String,
    /// Its fields.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// When it happened, RFC 3339; now where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The trace that it belongs to, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The span that it belongs to, 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
}

/// What became of the events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Emitted {
    /// How many are on the disk.
    pub accepted: u64,
    /// Those that are not, in the order of the request.
    pub refused: Vec<EmitRefusal>,
    /// Seconds after which those that came too fast may be sent again; null where none did.
    pub retry_after_seconds: Option<f64>,
}

/// An event that was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmitRefusal {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The reason's word, such as `unknown_event`, `level` or `off`.
    pub reason: String,
    /// What happened, in a sentence.
    pub message: String,
}

impl EmitRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let request: Self = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request(format!("the body is no request: {error}")))?;
        match request.records.len() {
            0 => Err(Refusal::bad_request("field `records` is empty")),
            count if count > MAX_RECORDS => {
                let text =
                    format!("field `records` has {count} records: send {MAX_RECORDS} at most");
                Err(Refusal::bad_request(text))
            }
            _ => Ok(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_and_a_mistyped_one_is_refused() {
        let text = r#"{"records":[{"event":"cli.command","attributes":{"success":true}}]}"#;
        let request = EmitRequest::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        for body in ["", "{}", r#"{"records":[]}"#, r#"{"records":[{"evnt":"x"}]}"#] {
            assert!(EmitRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
        let many = EmitRequest { records: vec![EmitRecord::default(); 513], service: None };
        let body = serde_json::to_vec(&many).unwrap();
        assert!(EmitRequest::parse(&body).unwrap_err().message.contains("512 at most"));
    }
}
