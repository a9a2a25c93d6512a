//! Records as a sheet, for reading in a table: one line a record, one a point of a metric.
//!
//! ```text
//! seq,level,kind,name,time,boot_id,value,unit,attributes     attributes and structured values as JSON
//! ```
//!
//! # Invariants
//! - RFC 4180: fields with a comma, a quote or a line break stand in quotes, quotes are doubled.
//! - No field begins as a formula would: a table would carry it out.
//!
//! On failure: the output's error.

use std::io::{self, Write};

use candor_otlp::{Origin, decode_frame, frame_len, json};
use serde_json::Value;

use crate::command::export::Batch;

const HEAD: &[u8] = b"seq,level,kind,name,time,boot_id,value,unit,attributes\r\n";

/// A sheet being written.
pub(crate) struct Sheet<W> {
    out: W,
    is_begun: bool,
}

impl<W: Write> Sheet<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self { out, is_begun: false }
    }

    /// Adds the records of a batch.
    pub(crate) fn batch(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        self.begin()?;
        let (mut rest, mut seq) = (batch.frames, batch.first_seq);
        let boot = Origin::read(batch.boot).boot;
        while let Some(length) = frame_len(batch.kind, rest) {
            let record = decode_frame(batch.kind, &rest[..length]).map_err(io::Error::other)?;
            self.record(&Value::Object(json::to_json(&record)), (seq, boot))?;
            rest = &rest[length..];
            seq += 1;
        }
        Ok(())
    }

    fn record(&mut self, record: &Value, (seq, boot): (u64, &str)) -> io::Result<()> {
        let Some(points) = record["points"].as_array() else {
            return self.line(record, (seq, boot), (&record["body"], &record["attributes"]));
        };
        points.iter().try_for_each(|point| {
            self.line(record, (seq, boot), (&point["value"], &point["attributes"]))
        })
    }

    fn line(
        &mut self,
        record: &Value,
        (seq, boot): (u64, &str),
        (value, attributes): (&Value, &Value),
    ) -> io::Result<()> {
        // What waits from a program has more than the boot in its scope.
        let boot = boot.lines().next().unwrap_or_default();
        let fields = [
            seq.to_string(),
            plain(&record["level"]),
            plain(&record["kind"]),
            plain(&record["name"]),
            plain(&record["time"]),
            boot.to_owned(),
            plain(value),
            plain(&record["unit"]),
            plain(attributes),
        ];
        let line = fields.map(|field| quoted(&field)).join(",");
        write!(self.out, "{line}\r\n")
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_begun, true) { Ok(()) } else { self.out.write_all(HEAD) }
    }

    /// The output, with the head at least.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.begin()?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn quoted(field: &str) -> String {
    let is_number = field.parse::<f64>().is_ok();
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let field = if is_formula { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_have_a_line_and_metrics_one_a_point() {
        let mut sheet = Sheet::new(Vec::new());
        sheet.begin().unwrap();
        let event = json!({ "name": "candor.x", "level": 1, "kind": "log",
                            "time": "2026-01-02T03:04:05Z", "attributes": { "a": "b, \"c\"" } });
        sheet.record(&event, (7, "boot\nmore")).unwrap();
        let metric = json!({ "name": "system.x", "level": 2, "kind": "metric", "time": null, "unit": "By",
                             "attributes": {}, "points": [
                                 { "value": -4, "attributes": { "state": "used" } },
                                 { "value": { "count": 2 }, "attributes": {} }] });
        sheet.record(&metric, (8, "boot")).unwrap();
        let text = String::from_utf8(sheet.finish().unwrap()).unwrap();
        let lines: Vec<_> = text.split("\r\n").collect();
        assert_eq!(
            lines[1],
            r#"7,1,log,candor.x,2026-01-02T03:04:05Z,boot,,,"{""a"":""b, \""c\""""}""#
        );
        assert_eq!(lines[2], r#"8,2,metric,system.x,,boot,-4,By,"{""state"":""used""}""#);
        assert_eq!(lines[3], r#"8,2,metric,system.x,,boot,"{""count"":2}",By,{}"#);
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn nothing_is_a_formula() {
        for text in ["=1+1", "@x", "+cmd", "-cmd", "\tx"] {
            assert!(quoted(text).trim_start_matches('"').starts_with('\''), "{text}");
        }
        assert_eq!(quoted("-4.5"), "-4.5");
    }
}
