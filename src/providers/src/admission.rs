//! The judgement of one record by its provider's manifest, in place.
//!
//! ```text
//! opt-out ─> event declared? ─> size ─> sampling ─> each field: declared, type, format
//! ```
//!
//! # Invariants
//! - After it a record holds only declared fields of the declared types and formats, each with its
//!   class and level; values under sensitive keys are `***`.
//! - What a manifest does not shape is of class *diagnostic text*: the gate scrubs it.
//! - The same record is judged the same way wherever and whenever it enters. How many may enter is
//!   asked apart, once a batch.
//!
//! On failure: a [`Reason`], counted; a field that does not fit is taken away and counted.

use std::sync::PoisonError;
use std::time::Duration;

use candor_model::{Given, Kind, Level, Value};

use crate::registry::Provider;
use crate::{Caller, Event, Reason};

mod field;
mod map;
mod plain;
mod sampling;

use field::{Judged, judge, judge_undeclared};

/// One decoded record, in the terms in which a manifest judges it.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Which OTLP signal it is.
    pub kind: Kind,
    /// The event name of a log record, the name of a metric or a span.
    pub name: &'a str,
    /// Its trace, where it belongs to one.
    pub trace_id: Option<[u8; 16]>,
    /// Its size, encoded or decoded.
    pub bytes: usize,
    /// Its attributes: one set for a log record or a span; for a metric one for each point.
    pub sets: &'a mut [Vec<Given>],
    /// The body of a log record; taken away where it is not declared.
    pub body: &'a mut Option<Value>,
}

/// How much of a batch may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// So many records, the first ones.
    pub records: u32,
    /// After what time the next one fits, where not all may.
    pub retry_after: Option<Duration>,
}

/// What the manifest says of a record that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The lowest level at which it may be sent.
    pub level: Level,
    /// Whether its name is declared. Where it is not, the name is a text of the program like any other.
    pub is_declared: bool,
}

impl Provider {
    /// How many of so many records may enter now; the others are counted as refused. `now` is of any
    /// clock that does not go back.
    pub fn grant(&self, caller: &Caller, records: u32, now: Duration) -> Granted {
        let mut limiter = self.live.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = limiter.take(&self.manifest.rate, caller, records, now);
        drop(limiter);
        self.live.counts.refuse_many(Reason::Rate, u64::from(records - granted.records));
        granted
    }

    /// Judges a record and takes away what it may not tell.
    ///
    /// # Errors
    /// Why the record does not pass; it is counted, and must not be kept.
    pub fn admit(&self, incoming: &mut Incoming<'_>) -> Result<Accepted, Reason> {
        let judged = self.judge(incoming);
        match judged {
            Ok(_) => self.live.counts.accept(),
            Err(reason) => self.live.counts.refuse(reason),
        }
        judged
    }

    fn judge(&self, incoming: &mut Incoming<'_>) -> Result<Accepted, Reason> {
        if self.is_opted_out(incoming.sets) {
            return Err(Reason::OptOut);
        }
        let event = self.manifest.event(incoming.kind, incoming.name);
        if event.is_none() && !self.manifest.any_event {
            return Err(Reason::UnknownEvent);
        }
        if event.is_some_and(|event| incoming.bytes > event.max_bytes) {
            return Err(Reason::Size);
        }
        if !event.is_none_or(|event| sampling::passes(event.sample, incoming)) {
            return Err(Reason::Sampled);
        }
        self.clean(event, incoming);
        let level = event.map_or(Level::Full, |event| event.level);
        Ok(Accepted { level, is_declared: event.is_some() })
    }

    fn is_opted_out(&self, sets: &[Vec<Given>]) -> bool {
        let attributes = &self.manifest.opt_out.attributes;
        !attributes.is_empty()
            && sets.iter().flatten().any(|given| {
                attributes.get(given.key.as_ref()).is_some_and(|no| says_no(&given.value, no))
            })
    }

    fn clean(&self, event: Option<&Event>, incoming: &mut Incoming<'_>) {
        for set in incoming.sets.iter_mut() {
            let mut judged = Vec::with_capacity(set.len());
            for given in set.drain(..) {
                let verdict = match event {
                    Some(event) => judge(&self.manifest, event, given),
                    None => judge_undeclared(&self.manifest, given),
                };
                match verdict {
                    Judged::Kept(given) => judged.push(given),
                    Judged::Parts(parts) => judged.extend(parts),
                    Judged::Gone(reason) => self.live.counts.take_field(reason),
                }
            }
            *set = judged;
        }
        if let Some(body) = incoming.body.take() {
            *incoming.body = self.body(event, body);
        }
    }

    /// What is left of a body: it is judged as the field `body`.
    fn body(&self, event: Option<&Event>, body: Value) -> Option<Value> {
        let given = Given::new("body".into(), body);
        let verdict = match event {
            Some(event) => judge(&self.manifest, event, given),
            None => judge_undeclared(&self.manifest, given),
        };
        match verdict {
            Judged::Kept(given) => Some(given.value),
            Judged::Parts(_) => None,
            Judged::Gone(reason) => {
                self.live.counts.take_field(reason);
                None
            }
        }
    }
}

/// Whether a value is one of the words that mean no, in any letter case.
fn says_no(value: &Value, words: &[String]) -> bool {
    let text = match value {
        Value::Bool(switch) => switch.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => text.trim().to_owned(),
        _ => return false,
    };
    words.iter().any(|word| word.eq_ignore_ascii_case(&text))
}

#[cfg(test)]
mod tests {
    use candor_model::Class;
    use candor_policy::{ProviderFile, ProviderFiles};

    use super::*;
    use crate::Registry;

    const GUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    const MANIFEST: &str = r#"
name = "backup"
doc = "A program that makes backups."
peer = "any"
service_name = ["backup"]
sensitive = ["vault"]
hide_ids = true
rate = { peer = 1.0, user = 1.0 }
opt_out = { attributes = { telemetry = ["off"] } }

[[event]]
name = "backup.run"
level = 1
purpose = "to test"
doc = "A run."
max_bytes = 1000

[event.fields]
ok = { type = "bool", class = "software", doc = "x" }
seconds = { type = "double", class = "performance", doc = "x", level = 2 }
mode = { type = "text", class = "software", words = ["full", "part"], doc = "x" }
target = { type = "text", class = "software", format = "name", doc = "x" }
secret = { type = "text", class = "software", sensitive = true, doc = "x" }
error = { type = "text", class = "diagnostic text", doc = "x" }
options = { type = "map", class = "diagnostic text", doc = "x" }
body = { type = "text", class = "diagnostic text", doc = "x" }

[[event]]
name = "backup.step.*"
kind = "span"
level = 3
purpose = "to test"
doc = "A step."
sample = 0.5
"#;

    fn registry(text: &str) -> Registry {
        let name = text.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
        let file = ProviderFile {
            file: format!("{}.toml", name.trim_matches('"')),
            text: Ok(text.into()),
        };
        let files = ProviderFiles { shipped: None, local: vec![file], switches: Ok([].into()) };
        let registry = Registry::new(&files, &[], None);
        assert_eq!(registry.broken(), []);
        registry
    }

    struct Record {
        kind: Kind,
        name: &'static str,
        trace_id: Option<[u8; 16]>,
        bytes: usize,
        set: Vec<Given>,
        body: Option<Value>,
    }

    impl Record {
        fn of(name: &'static str) -> Self {
            Self { kind: Kind::Log, name, trace_id: None, bytes: 100, set: Vec::new(), body: None }
        }

        fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
            self.set.push(Given::new(key.into(), value.into()));
            self
        }

        fn judge(&mut self, provider: &Provider) -> Result<Accepted, Reason> {
            let mut incoming = Incoming {
                kind: self.kind,
                name: self.name,
                trace_id: self.trace_id,
                bytes: self.bytes,
                sets: std::slice::from_mut(&mut self.set),
                body: &mut self.body,
            };
            provider.admit(&mut incoming)
        }

        fn left(&self) -> Vec<(&str, Value)> {
            self.set.iter().map(|given| (given.key.as_ref(), given.value.clone())).collect()
        }
    }

    #[test]
    fn declared_fields_pass_as_declared_and_all_others_are_counted() {
        let registry = registry(MANIFEST);
        let provider = registry.provider("backup").unwrap();
        let mut record = Record::of("backup.run")
            .with("ok", Value::Bool(true))
            .with("seconds", 5)
            .with("mode", "full")
            .with("target", "disk 1")
            .with("secret", "canary")
            .with("error", format!("no access to {GUID}"))
            .with("user", "alice");
        record.body = Some("what it said".into());
        let accepted = record.judge(provider);
        assert_eq!(accepted, Ok(Accepted { level: Level::Basic, is_declared: true }));
        let expected = [
            ("ok", Value::Bool(true)),
            ("seconds", Value::Double(5.0)),
            ("mode", "full".into()),
            ("target", "disk 1".into()),
            ("secret", "***".into()),
            ("error", "no access to <id>".into()),
        ];
        assert_eq!(record.left(), expected);
        let levels: Vec<Level> = record.set.iter().map(|given| given.level).collect();
        assert_eq!(levels[..2], [Level::Basic, Level::Enhanced]);
        assert_eq!(record.set[5].class, Class::DiagnosticText);
        assert_eq!(record.body, Some("what it said".into()));
        assert_eq!(provider.counts().accepted(), 1);
        assert_eq!(provider.counts().fields(Reason::UnknownField), 1);
    }

    #[test]
    fn a_value_of_another_type_word_or_format_is_taken_away() {
        let registry = registry(MANIFEST);
        let provider = registry.provider("backup").unwrap();
        let mut record = Record::of("backup.run")
            .with("ok", "yes")
            .with("seconds", Value::Double(f64::NAN))
            .with("mode", "none")
            .with("target", "alice@example.org")
            .with("options", "no JSON");
        record.body = Some(Value::Int(1));
        record.judge(provider).unwrap();
        assert_eq!((record.left(), &record.body), (vec![], &None));
        assert_eq!(provider.counts().fields(Reason::Type), 6);
    }

    #[test]
    fn a_map_is_cleaned_by_its_keys_at_every_depth_and_may_come_as_json() {
        let registry = registry(MANIFEST);
        let provider = registry.provider("backup").unwrap();
        let json = format!(
            r#"{{"_private": 1, "api_key": "canary", "vault": "canary", "n": null, "size": 1.5, "alice@example.org": 1,
                 "list": [{{"password": "canary", "id": "{GUID}", "myVaultName": "canary"}}]}}"#
        );
        let mut record = Record::of("backup.run").with("options", json);
        record.judge(provider).unwrap();
        let inner = Value::Map(vec![
            ("id".into(), "<id>".into()),
            ("myVaultName".into(), "***".into()),
            ("password".into(), "***".into()),
        ]);
        let expected = Value::Map(vec![
            ("api_key".into(), "***".into()),
            ("list".into(), Value::List(vec![inner])),
            ("size".into(), Value::Double(1.5)),
            ("vault".into(), "***".into()),
        ]);
        assert_eq!(record.left(), [("options", expected)]);
    }

    #[test]
    fn what_a_map_cannot_say_in_json_is_its_types_name() {
        let registry = registry(MANIFEST);
        let provider = registry.provider("backup").unwrap();
        let odd = Value::Map(vec![("ratio".into(), Value::Double(f64::NAN))]);
        let mut record = Record::of("backup.run").with("options", odd);
        record.judge(provider).unwrap();
        let expected = Value::Map(vec![("ratio".into(), "double".into())]);
        assert_eq!(record.left(), [("options", expected)]);
    }

    #[test]
    fn a_map_beyond_its_bounds_is_cut() {
        let registry = registry(MANIFEST);
        let provider = registry.provider("backup").unwrap();
        let deep = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
        let wide: Vec<String> = (0..5000).map(|n| format!(r#""k{n}":{n}"#)).collect();
        for json in [deep, format!("{{{}}}", wide.join(","))] {
            let mut record = Record::of("backup.run").with("options", json);
            record.judge(provider).unwrap();
            let left = format!("{:?}", record.left());
            assert!(
                left.matches("Int(").count() <= 512 && left.matches("Map(").count() <= 9,
                "{left}"
            );
        }
    }

    #[test]
    fn what_does_not_pass_is_refused_for_its_reason_and_counted() {
        let registry = registry(MANIFEST);
        let provider = registry.provider("backup").unwrap();
        let large = Record { bytes: 1001, ..Record::of("backup.run") };
        let metric = Record { kind: Kind::Metric, ..Record::of("backup.run") };
        for (mut record, reason) in [
            (Record::of("backup.other"), Reason::UnknownEvent),
            (metric, Reason::UnknownEvent),
            (large, Reason::Size),
            (Record::of("backup.run").with("telemetry", "OFF"), Reason::OptOut),
        ] {
            let before = provider.counts().refused(reason);
            assert_eq!(record.judge(provider), Err(reason));
            assert_eq!(provider.counts().refused(reason), before + 1);
        }
    }

    #[test]
    fn a_batch_enters_as_far_as_the_rate_allows() {
        let registry = registry(MANIFEST);
        let provider = registry.provider("backup").unwrap();
        let grant =
            |seconds| provider.grant(&Caller::loopback(), 100, Duration::from_secs(seconds));
        let expected = Granted { records: 10, retry_after: Some(Duration::from_secs(1)) };
        assert_eq!((grant(0), provider.counts().refused(Reason::Rate)), (expected, 90));
        assert_eq!(grant(2).records, 2);
    }

    #[test]
    fn a_part_of_the_traces_passes_and_each_with_all_its_spans() {
        let registry = registry(MANIFEST);
        let provider = registry.provider("backup").unwrap();
        let mut passed = 0;
        for trace in 0..=255_u8 {
            let mut trace_id = [7; 16];
            trace_id[9] = trace;
            let spans = ["backup.step.read", "backup.step.write"].map(|name| {
                let mut span =
                    Record { kind: Kind::Span, trace_id: Some(trace_id), ..Record::of(name) };
                span.judge(provider).is_ok()
            });
            assert_eq!(spans[0], spans[1]);
            passed += u32::from(spans[0]);
        }
        assert_eq!(passed, 128);
    }

    #[test]
    fn an_application_tells_anything_as_text_but_for_what_its_keys_hide() {
        let registry = registry(crate::SHIPPED[0].1);
        let provider = registry.provider("application").unwrap();
        let mut record = Record::of("anything at all")
            .with("http.method", "GET")
            .with("db.password", "canary")
            .with("_private", "canary")
            .with("alice@example.org", 1);
        let accepted = record.judge(provider);
        assert_eq!(accepted, Ok(Accepted { level: Level::Full, is_declared: false }));
        assert_eq!(record.left(), [("http.method", "GET".into()), ("db.password", "***".into())]);
        assert!(record.set.iter().all(|given| given.class == Class::DiagnosticText));
    }
}
