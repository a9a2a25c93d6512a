//! The journal, read through `journalctl`: its file format is systemd's own affair.
//!
//! # Invariants
//! - Only the fields of [`FIELDS`] are asked for: no command lines, no users, no host names.
//! - The first look begins when it is made; each later one after the last record that was seen.
//! - At most [`MAX_LINES`] records a look: of more, the newest.
//!
//! A record of another form is left out; a journal that does not answer in time is an error.

use std::path::PathBuf;
use std::time::Duration;

use candor_model::UnixNanos;
use serde_json::Value;

use super::Line;
use crate::linux::child;
use crate::{Host, ProbeError};

const DEADLINE: Duration = Duration::from_secs(4);
const MAX_LINES: &str = "2000";
const FIELDS: &str =
    "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT,_TRANSPORT,_PID";

/// Where the last look ended.
#[derive(Debug, Default)]
pub(super) struct Journal {
    cursor: Option<String>,
    /// When the first look was made, while no record has been seen.
    begun: Option<UnixNanos>,
}

impl Journal {
    /// The program, where this host has a journal.
    pub(super) fn program(host: &Host) -> Option<PathBuf> {
        let places = ["run/log/journal", "var/log/journal"];
        let has_journal = places.iter().any(|place| !host.names(&host.path(place)).is_empty());
        has_journal.then(|| child::find(host, "journalctl")).flatten()
    }

    /// What was logged since the last look, or since `first` at the first one.
    pub(super) fn read(
        &mut self,
        program: &PathBuf,
        first: UnixNanos,
    ) -> Result<Vec<Line>, ProbeError> {
        let first = *self.begun.get_or_insert(first);
        let since = match &self.cursor {
            Some(cursor) => format!("--after-cursor={cursor}"),
            None => format!("--since=@{}", first.0 / 1_000_000_000),
        };
        let arguments =
            ["-o", "json", "-p", "warning", "-q", "--no-pager", "-n", MAX_LINES, FIELDS, &since];
        let output = child::run(program, &arguments, DEADLINE)?;
        if output.code != Some(0) {
            // The cursor's record may be gone for good; the next look begins anew.
            *self = Self::default();
            let source = std::io::Error::other("journalctl failed");
            return Err(ProbeError::Read { path: program.clone(), source });
        }
        let text = String::from_utf8_lossy(&output.text);
        Ok(self.lines(&text))
    }

    fn lines(&mut self, text: &str) -> Vec<Line> {
        let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut lines = Vec::new();
        for record in records {
            if let Some(cursor) = word(&record, "__CURSOR") {
                self.cursor = Some(cursor.to_owned());
            }
            let is_own =
                word(&record, "_PID").is_some_and(|pid| pid == std::process::id().to_string());
            lines.extend(line(&record).filter(|_| !is_own));
        }
        lines
    }
}

fn word<'a>(record: &'a Value, key: &str) -> Option<&'a str> {
    record.get(key)?.as_str()
}

fn line(record: &Value) -> Option<Line> {
    let micros: u64 = word(record, "__REALTIME_TIMESTAMP")?.parse().ok()?;
    Some(Line {
        source: source(record),
        severity: word(record, "PRIORITY")?.parse().ok()?,
        time: UnixNanos(micros.checked_mul(1000)?),
        message: message(record.get("MESSAGE")?)?,
    })
}

/// The unit without its instance, which may name a user; else who called itself what.
fn source(record: &Value) -> String {
    if word(record, "_TRANSPORT") == Some("kernel") {
        return "kernel".to_owned();
    }
    let unit = word(record, "_SYSTEMD_UNIT").map(|unit| match unit.split_once('@') {
        Some((name, _)) => format!("{name}@"),
        None => unit.strip_suffix(".service").unwrap_or(unit).to_owned(),
    });
    let unit = unit.filter(|unit| unit.strip_suffix(".scope").is_none());
    let name = unit.or_else(|| word(record, "SYSLOG_IDENTIFIER").map(str::to_owned));
    name.unwrap_or_else(|| "user".to_owned())
}

/// Text, or its bytes where it is no printable text.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
            let bytes: Option<Vec<u8>> = bytes.iter().map(byte).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Value {
        json!({
            "__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1699345259000001", "PRIORITY": "3", "_TRANSPORT": "stdout",
            "_SYSTEMD_UNIT": "nginx.service", "SYSLOG_IDENTIFIER": "nginx", "_PID": "0", "MESSAGE": "bad gateway"
        })
    }

    #[test]
    fn a_record_is_read_and_the_cursor_moves_past_every_record() {
        let mut journal = Journal::default();
        let mut own = record();
        own["_PID"] = std::process::id().to_string().into();
        own["__CURSOR"] = "s=2".into();
        let lines = journal.lines(&format!("{}\nno json\n{own}\n", record()));
        let expected = Line {
            source: "nginx".to_owned(),
            severity: 3,
            time: UnixNanos(1_699_345_259_000_001_000),
            message: "bad gateway".to_owned(),
        };
        assert_eq!((lines.as_slice(), journal.cursor.as_deref()), (&[expected][..], Some("s=2")));
    }

    #[test]
    fn a_source_is_a_unit_without_instance_else_its_own_name() {
        let of = |unit: Value, transport: &str| {
            let mut record = record();
            record["_SYSTEMD_UNIT"] = unit;
            record["_TRANSPORT"] = transport.into();
            source(&record)
        };
        assert_eq!(of("user@1000.service".into(), "journal"), "user@");
        assert_eq!(of("session-3.scope".into(), "syslog"), "nginx");
        assert_eq!(of(Value::Null, "syslog"), "nginx");
        assert_eq!(of(Value::Null, "kernel"), "kernel");
    }

    #[test]
    fn bytes_are_a_message_too_and_other_forms_are_left_out() {
        assert_eq!(message(&json!([104, 105, 255])).as_deref(), Some("hi\u{fffd}"));
        assert_eq!(
            (message(&json!(null)), message(&json!([300])), message(&json!(["a"]))),
            (None, None, None)
        );
        for key in ["__REALTIME_TIMESTAMP", "PRIORITY", "MESSAGE"] {
            let mut record = record();
            record[key] = json!({});
            assert_eq!(line(&record), None, "{key}");
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "logs/journal::lines",
            Says::Derived("bytes are characters, microseconds are nanoseconds"),
            &[
                "{\"__CURSOR\":\"s=1\",\"__REALTIME_TIMESTAMP\":\"1800000000000000\",\"PRIORITY\":\"3\",\"MESSAGE\":\"x\",\"_SYSTEMD_UNIT\":\"user@1000.service\"}\n{\"__REALTIME_TIMESTAMP\":\"1\",\"PRIORITY\":\"4\",\"MESSAGE\":[104,105],\"_PID\":\"7\"}\n",
            ],
            |text| Journal::default().lines(text),
        );
    }
}
