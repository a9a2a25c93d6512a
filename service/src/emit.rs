//! Events that a local program brings to the control endpoint, one by one: read, judged and kept as what
//! comes over OTLP.
//!
//! # Invariants
//! - Who calls is the system's word: user, groups and executable of the process at the other end.
//! - A request is read whole before anything of it is kept; an event that cannot be read costs itself.
//!
//! On failure: a refusal that says what to change; nothing was kept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candor_control::protocol::{EmitRecord, EmitRefusal, EmitRequest, Emitted, Refusal};
use candor_ingest::{Desk, Terms};
use candor_model::{Given, Provided, UnixNanos, Value};
use candor_otlp::TraceIds;
use candor_platform::Peer;
use candor_providers::{Caller, Transport};
use jiff::Timestamp;
use serde_json::Value as Json;

/// Deepest nesting of a field.
const MAX_DEPTH: usize = 8;

/// Keeps events, as far as manifest and level admit them.
///
/// # Errors
/// The request is wrong, or nothing can be kept now.
pub(crate) async fn emit(
    desk: &Desk,
    terms: &Terms,
    (peer, request): (&Peer, EmitRequest),
) -> Result<Emitted, Refusal> {
    let now = SystemTime::now();
    let EmitRequest { service, records } = request;
    let (mut events, mut places, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let count = records.len();
    for (index, record) in records.into_iter().enumerate() {
        match event(record, now) {
            Ok(event) => {
                events.push(event);
                places.push(index);
            }
            Err(problem) => refused.push(refusal(index, MALFORMED, &problem)),
        }
    }
    let caller = caller(peer, terms.registry.wants_executables());
    let outcome = desk.emit(&caller, terms, (service.as_deref(), events)).await;
    let outcome = outcome.map_err(|not_kept| {
        let refusal = Refusal::failed(not_kept.to_string());
        match not_kept.retry_after {
            Some(wait) => refusal.remedy(format!("try again in {} s", wait.as_secs().max(1))),
            None => refusal,
        }
    })?;
    refused.extend(places.into_iter().zip(&outcome.verdicts).filter_map(|(index, reason)| {
        let reason = (*reason)?;
        Some(refusal(index, reason.word(), reason.meaning()))
    }));
    refused.sort_by_key(|refusal| refusal.index);
    Ok(Emitted {
        accepted: (count - refused.len()) as u64,
        refused,
        retry_after_seconds: outcome.retry_after.as_ref().map(Duration::as_secs_f64),
    })
}

/// Nothing is kept at all.
pub(crate) fn nothing(request: &EmitRequest, reason: &str, message: &str) -> Emitted {
    let refused = (0..request.records.len()).map(|index| refusal(index, reason, message));
    Emitted { refused: refused.collect(), ..Emitted::default() }
}

fn refusal(index: usize, reason: &str, message: &str) -> EmitRefusal {
    EmitRefusal { index, reason: reason.to_owned(), message: message.to_owned() }
}

fn caller(peer: &Peer, wants_executable: bool) -> Caller {
    let executable = peer.pid.filter(|_| wants_executable).and_then(candor_platform::executable_of);
    let gids = peer.pid.map(candor_platform::groups_of).unwrap_or_default();
    let transport = Transport::Socket { uid: peer.uid, gids, pid: peer.pid, executable };
    Caller { transport, token: None }
}

/// The event, or what is wrong with it.
fn event(record: EmitRecord, now: SystemTime) -> Result<Provided, String> {
    let wrong = |field: &str, problem: &str| format!("field `{field}` {problem}");
    let time = match &record.time {
        Some(text) => {
            time(text).ok_or_else(|| wrong("time", "is no time: write one as RFC 3339 has it"))?
        }
        None => nanos(now.duration_since(UNIX_EPOCH).unwrap_or_default()),
    };
    let ids: TraceIds = (
        id(record.trace_id.as_deref()).map_err(|()| wrong("trace_id", "must be 32 hex digits"))?,
        id(record.span_id.as_deref()).map_err(|()| wrong("span_id", "must be 16 hex digits"))?,
    );
    let fields = record
        .attributes
        .into_iter()
        .filter_map(|(key, value)| Some(Given::new(key.into(), field(value, 0)?)));
    Ok(candor_otlp::event(record.event, fields.collect(), time, ids))
}

fn time(text: &str) -> Option<UnixNanos> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok().map(UnixNanos)
}

fn nanos(since: Duration) -> UnixNanos {
    UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// An id in hexadecimal.
fn id<const N: usize>(text: Option<&str>) -> Result<Option<[u8; N]>, ()> {
    let Some(text) = text else { return Ok(None) };
    if text.len() != 2 * N || !text.is_ascii() {
        return Err(());
    }
    let mut id = [0; N];
    for (n, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).map_err(|_| ())?;
    }
    Ok(Some(id))
}

/// A JSON value as a field has it; null is absent, what is too deep becomes its type's name.
fn field(value: Json, depth: usize) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Double(number.as_f64()?),
        },
        Json::String(text) => Value::from(text),
        Json::Array(_) if depth >= MAX_DEPTH => Value::from("array"),
        Json::Object(_) if depth >= MAX_DEPTH => Value::from("object"),
        Json::Array(items) => {
            Value::List(items.into_iter().filter_map(|item| field(item, depth + 1)).collect())
        }
        Json::Object(pairs) => {
            let pairs = pairs.into_iter();
            let pairs =
                pairs.filter_map(|(key, value)| Some((key.into(), field(value, depth + 1)?)));
            Value::Map(pairs.collect())
        }
    })
}

/// The reason's word for an event that cannot be read.
const MALFORMED: &str = "malformed";
/// Why nothing is kept while telemetry is off.
pub(crate) const OFF: (&str, &str) = ("off", "telemetry is off on this host: nothing was kept");
/// Why nothing is kept while there is nobody to keep it for.
pub(crate) const NOBODY: (&str, &str) =
    ("no_endpoint", "no endpoint is set on this host: nothing was kept");

#[cfg(test)]
mod tests {
    use candor_providers::Reason;
    use serde_json::json;

    use super::*;

    fn read(record: Json) -> Result<Provided, String> {
        event(serde_json::from_value(record).unwrap(), UNIX_EPOCH)
    }

    #[test]
    fn an_event_is_read_with_its_time_its_trace_and_its_fields() {
        let trace = "5b8efff798038103d269b633813fc60c";
        let event = read(json!({
            "event": "cli.command", "time": "1970-01-01T00:00:01Z", "trace_id": trace,
            "attributes": {"n": 3, "x": 0.5, "none": null, "deep": {"a": [true]}},
        }))
        .unwrap();
        assert_eq!((event.name.as_str(), event.trace_id.unwrap()[0]), ("cli.command", 0x5b));
        let keys: Vec<_> = event.sets[0].iter().map(|given| given.key.as_ref()).collect();
        assert_eq!(keys, ["deep", "n", "x"]);
        let list = Value::List(vec![Value::Bool(true)]);
        assert_eq!(event.sets[0][0].value, Value::Map(vec![("a".into(), list)]));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (field, value) in [
            ("time", "yesterday"),
            ("trace_id", "xyz"),
            ("span_id", "00"),
            ("span_id", "é000000000000000"),
        ] {
            let problem = read(json!({"event": "e", field: value})).unwrap_err();
            assert!(problem.contains(field), "{problem}");
        }
    }

    #[test]
    fn what_is_too_deep_becomes_its_types_name() {
        let mut deep = json!(1);
        for _ in 0..20 {
            deep = json!({ "a": deep });
        }
        let value = format!("{:?}", field(deep, 0).unwrap());
        assert_eq!((value.matches("Map").count(), value.contains("object")), (8, true));
    }

    #[test]
    fn while_off_every_record_is_refused_by_name() {
        let request = EmitRequest { records: vec![EmitRecord::default(); 2], service: None };
        let emitted = nothing(&request, OFF.0, OFF.1);
        assert_eq!((emitted.accepted, emitted.refused.len()), (0, 2));
        assert_eq!(emitted.refused[1].index, 1);
        assert!(Reason::ALL.iter().all(|reason| ![OFF.0, MALFORMED].contains(&reason.word())));
    }
}
