//! `events`: every record and what became of it. The daemon puts it together; without one this does, from what
//! the stopped agent left.
//!
//! # Invariants
//! - With `--json` each record is one object a line, as `preview` prints it, with its number and its state.
//! - Reading changes nothing; a store that a daemon has open is refused.

use std::time::{Duration, SystemTime};

use candor_chronicle::{Sources, Waiting};
use candor_control::protocol::{Event, EventDetail, EventPage, EventsRequest};
use candor_journal::Reader;
use candor_model::Level;
use candor_pipeline::rfc3339;
use candor_spool::{Offline, OfflineError};
use serde_json::Value;

use crate::cli::EventsOptions;
use crate::command::providers::registry;
use crate::command::spool::unusable;
use crate::context::Context;
use crate::failure::{FAILED, Failure, USAGE, chain};
use crate::shown::{Shown, print};
use crate::table::Table;

/// How long one page of a stopped agent's records may be looked for.
const BUDGET: Duration = Duration::from_secs(5);
/// How often new ones are asked for.
const REFRESH: Duration = Duration::from_secs(1);

pub(crate) async fn run(context: &Context, options: &EventsOptions) -> Result<Shown, Failure> {
    if let Some(seq) = options.seq {
        return single(context, seq).await;
    }
    let request = request(context, options)?;
    if options.follow {
        return follow(context, request, options.limit).await;
    }
    let events = collect(context, request, options.limit).await?;
    Ok(shown(&events))
}

fn request(context: &Context, options: &EventsOptions) -> Result<EventsRequest, Failure> {
    Ok(EventsRequest {
        states: options.state.clone(),
        level: options.level.map(Level::number),
        name: options.name.clone(),
        since: options.since.as_deref().map(time).transpose()?,
        until: options.until.as_deref().map(time).transpose()?,
        text: options.text.clone(),
        before: None,
        limit: None,
        full: context.json(),
    })
}

/// A time, or one so long ago.
fn time(text: &str) -> Result<String, Failure> {
    let Ok(ago) = crate::cli::duration(text) else { return Ok(text.to_owned()) };
    let time = SystemTime::now().checked_sub(ago);
    let time = time.ok_or_else(|| Failure::new(USAGE, format!("{text} ago is before all time")))?;
    Ok(rfc3339(time))
}

/// The newest ones, page by page.
async fn collect(
    context: &Context,
    mut request: EventsRequest,
    limit: usize,
) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    while events.len() < limit {
        request.limit = Some(limit - events.len());
        let page = page(context, &request).await?;
        events.extend(page.events);
        request.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    Ok(events)
}

/// One page, from the daemon or from what a stopped agent left.
async fn page(context: &Context, request: &EventsRequest) -> Result<EventPage, Failure> {
    match Context::unless_no_daemon(context.client().events(request).await)? {
        Some(page) => Ok(page),
        None => offline(context, |sources| candor_chronicle::events(sources, request, BUDGET)),
    }
}

fn offline<T>(
    context: &Context,
    ask: impl FnOnce(Sources<'_>) -> Result<T, candor_chronicle::ChronicleError>,
) -> Result<T, Failure> {
    let dir = context.layout.state_dir();
    let failed = |error: &dyn std::error::Error| Failure::new(FAILED, chain(error));
    let mut store = match Offline::open(&dir) {
        Ok(store) => Some(store),
        Err(OfflineError::Absent { .. }) => None,
        Err(error) => return Err(unusable(&error)),
    };
    let journal = Reader::open(&dir).map_err(|error| failed(&error))?;
    let waiting = store.as_mut().map(|store| store as &mut dyn Waiting);
    ask(Sources { waiting, journal: &journal, flying: (Vec::new(), None) })
        .map_err(|error| failed(&error))
}

/// Prints what there is, and then what comes.
async fn follow(context: &Context, request: EventsRequest, limit: usize) -> Result<Shown, Failure> {
    let mut last = 0;
    let mut events = collect(context, request.clone(), limit).await?;
    loop {
        last = events.iter().map(|event| event.seq).max().unwrap_or(last);
        events.reverse();
        if !events.is_empty() {
            print(&shown(&events), context.json());
        }
        tokio::time::sleep(REFRESH).await;
        events = newer(context, request.clone(), last).await?;
    }
}

/// Those above a number, newest first.
async fn newer(
    context: &Context,
    mut request: EventsRequest,
    last: u64,
) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    loop {
        let page = page(context, &request).await?;
        let reached = page.events.iter().any(|event| event.seq <= last);
        events.extend(page.events.into_iter().filter(|event| event.seq > last));
        request.before = page.next;
        if reached || page.next.is_none_or(|next| next <= last) {
            return Ok(events);
        }
    }
}

fn shown(events: &[Event]) -> Shown {
    let json = events.iter().map(|event| serde_json::to_value(event).unwrap_or_default());
    Shown { text: text(events), json: json.collect(), exit_code: 0 }
}

fn text(events: &[Event]) -> String {
    let mut table = Table::default();
    table.row(["SEQ", "STATE", "LEVEL", "KIND", "NAME", "TIME", "WHY"]);
    for event in events {
        let seq = match (event.first, event.count) {
            (Some(first), Some(count)) if count > 1 => {
                format!("{count} of {first}-{}", event.seq)
            }
            _ => event.seq.to_string(),
        };
        let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let level = event.level.map_or_else(|| "-".to_owned(), |level| level.to_string());
        let why = [&event.reason, &event.answer].into_iter().flatten();
        let why = why.filter(|text| *text != "HTTP 200").cloned().collect::<Vec<_>>().join(": ");
        let state = event.state.clone();
        table.row([
            seq,
            state,
            level,
            told(&event.kind),
            told(&event.name),
            told(&event.time),
            why,
        ]);
    }
    table.text()
}

async fn single(context: &Context, seq: u64) -> Result<Shown, Failure> {
    let told = Context::unless_no_daemon(context.client().event(seq).await)?;
    let detail = if told.is_some() {
        told
    } else {
        let known = registry(context);
        offline(context, |sources| candor_chronicle::event(sources, seq, &known))?
    };
    let unknown = || Failure::new(FAILED, format!("nothing is known of record {seq} (any more)"));
    let detail = detail.ok_or_else(unknown)?;
    Ok(Shown::new(detail_text(&detail), &detail))
}

fn detail_text(detail: &EventDetail) -> String {
    let event = &detail.event;
    let mut lines = vec![text(std::slice::from_ref(event)).trim_end().to_owned()];
    lines.extend(event.request.map(|entry| format!("left with entry {entry} of the journal")));
    lines.extend(detail.provider.as_ref().map(|name| format!("told by {name}")));
    for field in &detail.fields {
        let value = match &field.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(format!("\n{} = {value}", field.name));
        let level = field.level.map(|level| format!("level {level}"));
        let facts: Vec<String> = [level, field.class.clone()].into_iter().flatten().collect();
        if !facts.is_empty() {
            lines.push(format!("  {}", facts.join(", ")));
        }
        lines.extend(field.text.as_ref().map(|words| format!("  {words}")));
    }
    let purpose = detail.fields.iter().find_map(|field| field.purpose.as_ref());
    lines.extend(purpose.map(|purpose| format!("\ncollected for: {purpose}")));
    let bytes = detail.bytes.as_ref();
    lines.extend(bytes.map(|bytes| format!("bytes (protobuf, base64): {bytes}")));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_drops_is_one_line_and_an_ordinary_success_says_nothing() {
        let sent = Event {
            seq: 9,
            name: Some("candor.device.machine".into()),
            level: Some(1),
            state: "sent".into(),
            answer: Some("HTTP 200".into()),
            ..Event::default()
        };
        let gone = Event {
            seq: 8,
            first: Some(5),
            count: Some(4),
            state: "dropped".into(),
            reason: Some("spool_full".into()),
            ..Event::default()
        };
        let text = text(&[sent, gone]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("9 ") && !lines[1].contains("HTTP"), "{text}");
        assert!(lines[2].contains("4 of 5-8") && lines[2].ends_with("spool_full"), "{text}");
    }

    #[test]
    fn a_duration_is_a_time_so_long_ago() {
        assert_eq!(time("2026-11-20T08:00:00Z").unwrap(), "2026-11-20T08:00:00Z");
        let ago: String = time("24h").unwrap();
        assert!(ago.ends_with('Z') && ago.starts_with("20"), "{ago}");
    }
}
