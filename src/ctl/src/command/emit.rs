//! `emit`: a program's events, by a command. It runs as the program's user, so it looks at the program's
//! own opt-out before anything leaves it.
//!
//! # Invariants
//! - What was refused is said, event by event; exit 3 where the agent refused anything for good.
//! - What came too fast is sent again after the time that the agent names, so long as `--wait` says.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::time::{Duration, Instant};

use candor_client::OptOut;
use candor_control::protocol::{EmitRecord, EmitRefusal, EmitRequest, Emitted};
use candor_model::Kind;
use candor_platform::parent_arguments;
use candor_providers::{Event, FieldKind, Manifest, Registry};
use serde_json::{Map, Value, json};

use crate::cli::EmitOptions;
use crate::context::Context;
use crate::failure::{FAILED, Failure, REFUSED, USAGE};
use crate::shown::Shown;

/// What stands for standard input.
const STDIN: &str = "-";
/// Most bytes and events of one request; the agent takes 64 KiB and more events.
const MAX_BYTES: usize = 60 * 1024;
const MAX_RECORDS: usize = 256;
/// The reason's word for what may be sent again.
const RATE: &str = "rate";

pub(crate) async fn run(context: &Context, options: &EmitOptions) -> Result<Shown, Failure> {
    let registry = crate::command::providers::registry(context);
    let mut outcome = Outcome::default();
    let mut batch = Batch::default();
    for record in records(options, &registry)? {
        let record = record?;
        if let Some(why) = opted_out(&registry, &record.event) {
            outcome.silence(why);
        } else if let Some(full) = batch.push(record)? {
            send(context, options, full, &mut outcome).await?;
        }
    }
    send(context, options, batch, &mut outcome).await?;
    Ok(outcome.shown())
}

/// What is being told: one event from the command line, or one for each line of standard input.
fn records<'a>(
    options: &'a EmitOptions,
    registry: &'a Registry,
) -> Result<Box<dyn Iterator<Item = Result<EmitRecord, Failure>> + 'a>, Failure> {
    let from_input = options.event == STDIN || options.fields == [STDIN];
    if !from_input {
        return Ok(Box::new(std::iter::once(one(options, registry))));
    }
    if options.event == STDIN && !options.fields.is_empty() {
        return Err(Failure::new(
            USAGE,
            "fields come from standard input with the events: leave them out",
        ));
    }
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("agentctl: reading JSON objects, one a line");
    }
    let lines = input.lock().lines().enumerate();
    let filled = lines.filter(|(_, line)| !line.as_ref().is_ok_and(|line| line.trim().is_empty()));
    Ok(Box::new(filled.map(|(at, line)| {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::new(USAGE, format!("line {} of standard input: {error}", at + 1))
        };
        let line = line.map_err(|error| wrong(&error))?;
        if options.event == STDIN {
            return serde_json::from_str(&line).map_err(|error| wrong(&error));
        }
        let attributes = serde_json::from_str(&line).map_err(|error| wrong(&error))?;
        Ok(EmitRecord { attributes, ..bare(options) })
    })))
}

fn bare(options: &EmitOptions) -> EmitRecord {
    EmitRecord {
        event: options.event.clone(),
        attributes: Map::new(),
        time: None,
        trace_id: options.trace_id.clone(),
        span_id: options.span_id.clone(),
    }
}

/// The event of the command line.
fn one(options: &EmitOptions, registry: &Registry) -> Result<EmitRecord, Failure> {
    let mut record = bare(options);
    let event = declaring(registry, &options.event)
        .and_then(|manifest| manifest.event(Kind::Log, &options.event));
    for field in &options.fields {
        let Some((key, text)) = field.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::new(USAGE, format!("`{field}` is no field: write key=value")));
        };
        record.attributes.insert(key.to_owned(), typed(event, key, text));
    }
    Ok(record)
}

/// A value as the manifest declares it; where it does not, what it looks like.
fn typed(event: Option<&Event>, key: &str, text: &str) -> Value {
    let kind = event.and_then(|event| event.fields.get(key)).map(|field| field.kind);
    let parsed = || serde_json::from_str::<Value>(text).ok();
    let value = match kind {
        Some(FieldKind::Text) => None,
        Some(FieldKind::Bool) => parsed().filter(Value::is_boolean),
        Some(FieldKind::Int) => parsed().filter(Value::is_i64),
        Some(FieldKind::Double) => parsed().filter(Value::is_number),
        Some(FieldKind::List) => parsed().filter(Value::is_array),
        Some(FieldKind::Map) => parsed().filter(Value::is_object),
        None => parsed().filter(|value| value.is_boolean() || value.is_number()),
    };
    value.unwrap_or_else(|| text.into())
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
    records: Vec<EmitRecord>,
    bytes: usize,
}

impl Batch {
    /// Adds an event; gives the batch before it where that is full.
    fn push(&mut self, record: EmitRecord) -> Result<Option<Self>, Failure> {
        let bytes = serde_json::to_string(&record).map_or(0, |text| text.len() + 1);
        if bytes > MAX_BYTES {
            let said =
                format!("an event {} has more than {MAX_BYTES} bytes: say less", record.event);
            return Err(Failure::new(USAGE, said));
        }
        let is_full = self.bytes + bytes > MAX_BYTES || self.records.len() == MAX_RECORDS;
        let full = is_full.then(|| std::mem::take(self));
        self.bytes += bytes;
        self.records.push(record);
        Ok(full)
    }
}

/// What became of all.
#[derive(Default)]
struct Outcome {
    accepted: u64,
    refused: Vec<(String, EmitRefusal)>,
    silenced: u64,
    opted_out: Option<String>,
}

impl Outcome {
    fn silence(&mut self, why: String) {
        self.silenced += 1;
        self.opted_out = Some(why);
    }

    fn shown(self) -> Shown {
        let mut text = format!("{} accepted", self.accepted);
        // Writing to a `String` does not fail.
        if let Some(why) = &self.opted_out {
            let _ = write!(text, ", {} not sent: {why}", self.silenced);
        }
        for (event, refusal) in &self.refused {
            let _ = write!(text, "\nrefused {event}: {} ({})", refusal.message, refusal.reason);
        }
        let refused = self.refused.iter().map(|(event, refusal)| {
            json!({ "event": event, "reason": refusal.reason, "message": refusal.message })
        });
        let facts = json!({
            "accepted": self.accepted, "refused": refused.collect::<Vec<_>>(), "silenced": self.silenced,
            "opted_out": self.opted_out,
        });
        let is_late = |(_, refusal): &(String, EmitRefusal)| refusal.reason == RATE;
        let exit_code = match self.refused.iter().all(is_late) {
            _ if self.refused.is_empty() => 0,
            true => FAILED,
            false => REFUSED,
        };
        Shown::new(text, &facts).with_exit_code(exit_code)
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
    let mut records = batch.records;
    while !records.is_empty() {
        let request = EmitRequest { service: options.service.clone(), records };
        let answer = context.client().emit(&request).await?;
        outcome.accepted += answer.accepted;
        let pause = pause(&answer, end);
        let mut again = Vec::new();
        for refusal in answer.refused {
            let Some(record) = request.records.get(refusal.index) else { continue };
            if refusal.reason == RATE && pause.is_some() {
                again.push(record.clone());
            } else {
                outcome.refused.push((record.event.clone(), refusal));
            }
        }
        if let Some(pause) = pause.filter(|_| !again.is_empty()) {
            tokio::time::sleep(pause).await;
        }
        records = again;
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
    use candor_providers::SHIPPED;

    use super::*;

    #[test]
    fn a_value_is_of_the_type_that_the_manifest_declares() {
        let (_, text) = SHIPPED.iter().find(|(name, _)| *name == "cli").unwrap();
        let manifest = candor_providers::read(text, "cli").unwrap();
        let event = manifest.event(Kind::Log, "cli.command");
        for (key, text, expected) in [
            ("success", "true", json!(true)),
            ("success", "yes", json!("yes")),
            ("sku", "2", json!("2")),
            ("parameters", r#"{"a":1}"#, json!({ "a": 1 })),
            ("unknown", "2.5", json!(2.5)),
            ("unknown", "[1]", json!("[1]")),
        ] {
            assert_eq!(typed(event, key, text), expected, "{key}={text}");
        }
    }

    #[test]
    fn a_batch_is_full_by_its_events_and_by_its_bytes() {
        let record = |text: &str| EmitRecord {
            attributes: Map::from_iter([("a".to_owned(), text.into())]),
            ..EmitRecord::default()
        };
        let mut batch = Batch::default();
        let full = (0..=MAX_RECORDS).filter_map(|_| batch.push(record("x")).unwrap()).count();
        assert_eq!((full, batch.records.len()), (1, 1));
        let half = "x".repeat(MAX_BYTES / 2);
        let full = [batch.push(record(&half)).unwrap(), batch.push(record(&half)).unwrap()];
        assert_eq!(full.map(|batch| batch.map(|batch| batch.records.len())), [None, Some(2)]);
        assert!(batch.push(record(&"x".repeat(MAX_BYTES))).is_err());
    }

    #[test]
    fn what_was_refused_for_good_decides_the_exit_code() {
        let outcome = |reasons: &[&str]| {
            let refusal = |reason: &&str| {
                let reason = (*reason).to_owned();
                ("e".to_owned(), EmitRefusal { reason, ..EmitRefusal::default() })
            };
            let refused = reasons.iter().map(refusal).collect();
            Outcome { refused, ..Outcome::default() }.shown().exit_code
        };
        assert_eq!(
            (outcome(&[]), outcome(&["rate"]), outcome(&["rate", "level"])),
            (0, FAILED, REFUSED)
        );
    }
}
