//! What happened, for a person: what the agent says, and what the collector holds.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::stage::Stage;

/// The agent's last word and the collector's count.
pub(crate) struct Summary {
    status: Value,
    received: [u64; 4],
    host: String,
}

impl Summary {
    /// Asks both.
    pub(crate) fn take(stage: &Stage) -> Result<Self> {
        let status = stage.status()?;
        let records = stage.records()?;
        let mut received = [0; 4];
        for record in &records {
            let level = record["level"].as_u64().and_then(|level| usize::try_from(level).ok());
            let slot = level
                .and_then(|level| received.get_mut(level))
                .context("a record without a level")?;
            *slot += 1;
        }
        Ok(Self { host: host(&records), status, received })
    }

    /// The agent's last `status --json`.
    pub(crate) const fn status(&self) -> &Value {
        &self.status
    }

    /// Prints it; `kept` is what still runs.
    ///
    /// # Errors
    /// When the collector does not hold what the agent says it uploaded.
    pub(crate) fn print(&self, kept: Option<&Stage>) -> Result<()> {
        println!("{}", self.text());
        match kept {
            Some(stage) => println!("{}", stage.advice()),
            None => println!(
                "next      cargo try --keep, then look with agentctl; README.md says what is sent and how to stop it"
            ),
        }
        let uploaded = self.count("uploaded");
        let received: u64 = self.received.iter().sum();
        ensure!(
            received == uploaded,
            "the agent uploaded {uploaded} records and the collector holds {received}"
        );
        Ok(())
    }

    fn count(&self, key: &str) -> u64 {
        self.status["events"][key].as_u64().unwrap_or_default()
    }

    fn text(&self) -> String {
        let status = &self.status;
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<9} {value}");
        };
        line("host", &self.host);
        let level = &status["level"];
        line(
            "level",
            &format!(
                "{} ({}), {}",
                level["effective"],
                word(&level["name"]),
                word(&level["reason"])
            ),
        );
        let by_level = |level: usize| format!("level {level}: {}", self.received[level]);
        line("received", &(0..4).map(by_level).collect::<Vec<_>>().join(", "));
        line(
            "ledger",
            &format!(
                "{} generated = {} uploaded + {} dropped + {} pending",
                self.count("generated"),
                self.count("uploaded"),
                self.count("dropped"),
                self.count("pending")
            ),
        );
        line("wire", &format!("{} bytes of request bodies", status["cost"]["bytes_uploaded"]));
        line(
            "upload",
            &format!(
                "{}, last at {}",
                word(&status["upload"]["state"]),
                word(&status["upload"]["last_success"])
            ),
        );
        text.trim_end().to_owned()
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// The operating system and processor, as they arrived at the collector.
fn host(records: &[Value]) -> String {
    let attribute = |event: &str, key: &str| {
        let record = records.iter().find(|record| record["name"] == event)?;
        match &record["attributes"][key] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let os = [
        attribute("candor.security.posture", "os.name"),
        attribute("candor.security.posture", "os.version"),
    ];
    let os = os.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let processor = attribute("candor.device.processor", "model");
    let memory = attribute("candor.device.memory", "usable")
        .and_then(|bytes| bytes.parse::<u64>().ok())
        .map(|bytes| format!("{} MiB", bytes >> 20));
    [Some(os), processor, memory]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" · ")
}
