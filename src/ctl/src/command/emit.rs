//! `emit`: a program's events, by a command. It runs as the program's user, so it looks at the program's
//! own opt-out before anything leaves it.
//!
//! # Invariants
//! - What was refused is said, event by event, with its line where there is one: exit 2 where something
//!   was no event, 3 where the agent refused anything for good. What is right beside it is sent.
//! - What came too fast is sent again after the time that the agent names, so long as `--wait` says.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use candor_client::OptOut;
use candor_control::protocol::{EmitRecord, EmitRefusal, EmitRequest, Emitted};
use candor_model::Kind;
use candor_platform::parent_arguments;
use candor_providers::{Manifest, Registry};
use serde_json::json;

use crate::cli::EmitOptions;
use crate::context::Context;
use crate::failure::{FAILED, Failure, REFUSED, USAGE};
use crate::shown::Shown;

mod input;

use input::entries;

/// Most bytes and events of one request; the agent takes 64 KiB and more events.
const MAX_BYTES: usize = 60 * 1024;
const MAX_RECORDS: usize = 256;
/// The reason's word for what may be sent again.
const RATE: &str = "rate";
/// The reason's word for what is no event.
const MALFORMED: &str = "malformed";

pub(crate) async fn run(context: &Context, options: &EmitOptions) -> Result<Shown, Failure> {
    let registry = crate::command::providers::registry(context);
    let mut outcome = Outcome::default();
    let mut batch = Batch::default();
    for entry in entries(options, &registry)? {
        let entry = entry?;
        let record = match entry.record {
            Ok(record) => record,
            Err(problem) => {
                outcome.malformed(entry.line, None, problem);
                continue;
            }
        };
        if let Some(why) = opted_out(&registry, &record.event) {
            outcome.silence(why);
        } else if let Some(problem) = too_large(&record) {
            outcome.malformed(entry.line, Some(record.event), problem);
        } else if let Some(full) = batch.push(entry.line, record) {
            send(context, options, full, &mut outcome).await?;
        }
    }
    send(context, options, batch, &mut outcome).await?;
    Ok(outcome.shown())
}

/// The manifest that declares an event.
fn declaring<'a>(registry: &'a Registry, event: &str) -> Option<&'a Manifest> {
    let manifests = registry.providers().iter().map(candor_providers::Provider::manifest);
    manifests.into_iter().find(|one| one.any_event || one.event(Kind::Log, event).is_some())
}

/// What says that this event's program shall be silent.
fn opted_out(registry: &Registry, event: &str) -> Option<String> {
    let mut opt_out = OptOut::new();
    let mut arguments = Vec::new();
    if let Some(manifest) = declaring(registry, event) {
        let stated = &manifest.opt_out;
        for (name, no) in &stated.environment {
            opt_out = opt_out.environment(name, &words(no));
        }
        for file in &stated.files {
            opt_out = opt_out.file(&file.path, &file.key, &words(&file.values));
        }
        for flag in &stated.flags {
            opt_out = opt_out.flag(flag);
        }
        if !stated.flags.is_empty() {
            arguments = parent_arguments();
        }
    }
    opt_out.found_with(&arguments)
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Events that go together.
#[derive(Default)]
struct Batch {
    /// Each with its line on standard input.
    records: Vec<(Option<usize>, EmitRecord)>,
    bytes: usize,
}

fn size(record: &EmitRecord) -> usize {
    serde_json::to_string(record).map_or(0, |text| text.len() + 1)
}

fn too_large(record: &EmitRecord) -> Option<String> {
    (size(record) > MAX_BYTES).then(|| format!("has more than {MAX_BYTES} bytes: say less"))
}

impl Batch {
    /// Adds an event; gives the batch before it where that is full.
    fn push(&mut self, line: Option<usize>, record: EmitRecord) -> Option<Self> {
        let bytes = size(&record);
        let is_full = self.bytes + bytes > MAX_BYTES || self.records.len() == MAX_RECORDS;
        let full = is_full.then(|| std::mem::take(self));
        self.bytes += bytes;
        self.records.push((line, record));
        full
    }
}

/// An event that was not taken, or a line that is none.
struct Refused {
    line: Option<usize>,
    event: Option<String>,
    reason: String,
    message: String,
}

/// What became of all.
#[derive(Default)]
struct Outcome {
    accepted: u64,
    refused: Vec<Refused>,
    silenced: u64,
    opted_out: Option<String>,
}

impl Outcome {
    fn silence(&mut self, why: String) {
        self.silenced += 1;
        self.opted_out = Some(why);
    }

    fn malformed(&mut self, line: Option<usize>, event: Option<String>, message: String) {
        self.refused.push(Refused { line, event, reason: MALFORMED.to_owned(), message });
    }

    fn refuse(&mut self, (line, record): &(Option<usize>, EmitRecord), refusal: EmitRefusal) {
        let EmitRefusal { reason, message, .. } = refusal;
        self.refused.push(Refused {
            line: *line,
            event: Some(record.event.clone()),
            reason,
            message,
        });
    }

    fn shown(self) -> Shown {
        let mut text = format!("{} accepted", self.accepted);
        // Writing to a `String` does not fail.
        if let Some(why) = &self.opted_out {
            let _ = write!(text, ", {} not sent: {why}", self.silenced);
        }
        for Refused { line, event, reason, message } in &self.refused {
            let event = event.as_ref().map(|event| format!(" {event}")).unwrap_or_default();
            let line = line.map(|line| format!(" line {line}")).unwrap_or_default();
            let _ = write!(text, "\nrefused{line}{event}: {message} ({reason})");
        }
        let refused = self.refused.iter().map(|refused| {
            let Refused { line, event, reason, message } = refused;
            json!({ "line": line, "event": event, "reason": reason, "message": message })
        });
        let facts = json!({
            "accepted": self.accepted, "refused": refused.collect::<Vec<_>>(), "silenced": self.silenced,
            "opted_out": self.opted_out,
        });
        Shown::new(text, &facts).with_exit_code(self.exit_code())
    }

    fn exit_code(&self) -> u8 {
        let reasons = || self.refused.iter().map(|refused| refused.reason.as_str());
        if self.refused.is_empty() {
            0
        } else if reasons().any(|reason| reason == MALFORMED) {
            USAGE
        } else if reasons().all(|reason| reason == RATE) {
            FAILED
        } else {
            REFUSED
        }
    }
}

/// Sends a batch, and again what came too fast.
async fn send(
    context: &Context,
    options: &EmitOptions,
    batch: Batch,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let end = Instant::now() + options.wait;
    let mut entries = batch.records;
    while !entries.is_empty() {
        let records = entries.iter().map(|(_, record)| record.clone()).collect();
        let request = EmitRequest { service: options.service.clone(), records };
        let answer = context.client().emit(&request).await?;
        outcome.accepted += answer.accepted;
        let pause = pause(&answer, end);
        let mut again = Vec::new();
        for refusal in answer.refused {
            let Some(entry) = entries.get(refusal.index) else { continue };
            if refusal.reason == RATE && pause.is_some() {
                again.push(entry.clone());
            } else {
                outcome.refuse(entry, refusal);
            }
        }
        if let Some(pause) = pause.filter(|_| !again.is_empty()) {
            tokio::time::sleep(pause).await;
        }
        entries = again;
    }
    Ok(())
}

/// How long to wait before another try; `None` where the time is over, or there is nothing to try.
fn pause(answer: &Emitted, end: Instant) -> Option<Duration> {
    let seconds = answer.retry_after_seconds.filter(|seconds| (0.0..3600.0).contains(seconds))?;
    let pause = Duration::from_secs_f64(seconds).max(Duration::from_millis(50));
    (Instant::now() + pause <= end).then_some(pause)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_batch_is_full_by_its_events_and_by_its_bytes() {
        let record = |text: &str| EmitRecord {
            attributes: Map::from_iter([("a".to_owned(), text.into())]),
            ..EmitRecord::default()
        };
        let mut batch = Batch::default();
        let full = (0..=MAX_RECORDS).filter_map(|_| batch.push(None, record("x"))).count();
        assert_eq!((full, batch.records.len()), (1, 1));
        let half = "x".repeat(MAX_BYTES / 2);
        let full = [batch.push(None, record(&half)), batch.push(None, record(&half))];
        assert_eq!(full.map(|batch| batch.map(|batch| batch.records.len())), [None, Some(2)]);
        assert_eq!(too_large(&record(&half)), None);
        assert!(too_large(&record(&"x".repeat(MAX_BYTES))).is_some());
    }

    #[test]
    fn what_was_refused_for_good_decides_the_exit_code() {
        let outcome = |reasons: &[&str]| {
            let refusal = |reason: &&str| {
                let reason = (*reason).to_owned();
                Refused { line: None, event: None, reason, message: String::new() }
            };
            let refused = reasons.iter().map(refusal).collect();
            Outcome { refused, ..Outcome::default() }.shown().exit_code
        };
        assert_eq!(
            (outcome(&[]), outcome(&["rate"]), outcome(&["rate", "level"])),
            (0, FAILED, REFUSED)
        );
        assert_eq!(outcome(&["level", "malformed"]), USAGE);
    }
}
