//! `preview`: what would be sent at a level. It is made by the code that sends, here in this process;
//! nothing is kept and nothing leaves.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candor_control::protocol::{EventCounts, SinceRenewal, Status};
use candor_model::events::agent::{Dropped, Health};
use candor_model::{Draft, DropReason, Kind, Level};
use candor_otlp::{Part, decode_body, json, request_body, seal};
use candor_pipeline::{AgentFacts, preview, resource, settings_event};
use candor_policy::Snapshot;
use candor_probes::Host;
use serde_json::{Value, json as object};

use crate::cli::{PreviewFormat, PreviewOptions};
use crate::context::Context;
use crate::failure::{FAILED, Failure, chain};
use crate::shown::Shown;
use crate::table::Table;

mod difference;
mod installation;

use difference::difference;
use installation::Installation;

pub(crate) async fn run(context: &Context, options: &PreviewOptions) -> Result<Shown, Failure> {
    let snapshot = context.snapshot();
    let status = context.client().status().await.ok();
    let installation = Installation::of(&context.layout);
    let host = options.host_root.as_deref().map_or_else(Host::live, Host::new);
    if let Some([lower, higher]) = options.diff.as_deref() {
        let side = async |level: &Level| {
            let facts = facts(&installation, &snapshot, status.as_ref(), *level);
            let drafts = preview(host.clone(), *level, facts).await;
            records(&drafts, PreviewFormat::Json).map(|shown| shown.json)
        };
        let shown = difference(&side(lower).await?, &side(higher).await?);
        say(&installation);
        return Ok(shown);
    }
    let level = options.level.map_or_else(|| holds(context, status.as_ref()), Ok)?;
    let facts = facts(&installation, &snapshot, status.as_ref(), level);
    let drafts = preview(host, level, facts).await;
    say(&installation);
    match options.format {
        PreviewFormat::Otlp => Ok(bodies(&drafts, &snapshot, status.as_ref())),
        format => records(&drafts, format),
    }
}

/// All that would be sent at level 3, for the viewer: one object a record.
pub(crate) async fn at_full(context: &Context) -> Result<Vec<Value>, Failure> {
    all(context, Host::live(), Some(Level::Full)).await
}

/// What would be sent of a host at the level that holds, for a bundle: one object a record.
pub(crate) async fn as_it_holds(context: &Context, host: Host) -> Result<Vec<Value>, Failure> {
    all(context, host, None).await
}

async fn all(context: &Context, host: Host, level: Option<Level>) -> Result<Vec<Value>, Failure> {
    let status = context.client().status().await.ok();
    let level = level.map_or_else(|| holds(context, status.as_ref()), Ok)?;
    let installation = Installation::of(&context.layout);
    let facts = facts(&installation, &context.snapshot(), status.as_ref(), level);
    let drafts = preview(host, level, facts).await;
    Ok(records(&drafts, PreviewFormat::Json)?.json)
}

/// Says what must be known of what is shown; not among it, which is for programs too.
fn say(installation: &Installation) {
    if let Some(note) = installation.note() {
        eprintln!("agentctl: {note}");
    }
}

/// The level that holds: the daemon's word, where one runs.
fn holds(context: &Context, status: Option<&Status>) -> Result<Level, Failure> {
    match status {
        Some(status) => effective(status),
        None => Ok(context.readable_snapshot()?.effective.level.effective),
    }
}

/// The level that holds where a daemon runs.
fn effective(status: &Status) -> Result<Level, Failure> {
    let number = status.level.effective;
    Level::from_number(number.into()).ok_or_else(|| {
        Failure::new(FAILED, format!("the agent names a level {number}: update agentctl"))
    })
}

/// What the agent would say of itself: at this level, and with the numbers of the daemon that runs. Of
/// settings that this user may not read nothing is said.
fn facts(
    installation: &Installation,
    snapshot: &Snapshot,
    status: Option<&Status>,
    level: Level,
) -> AgentFacts {
    let mut settings = settings_event(&snapshot.effective);
    settings.level = Some(level.number().into());
    AgentFacts {
        settings: snapshot.effective.not_readable.is_empty().then_some(settings),
        health: Some(health(status)),
        probes: installation.probe_settings(snapshot),
        boot: installation.boot(status),
        off: snapshot.effective.lowering.off.clone(),
    }
}

/// Without a daemon nobody knows these numbers: they are absent.
fn health(status: Option<&Status>) -> Health {
    let Some(status) = status else { return Health::default() };
    let told = told(&status.events);
    let dropped = DropReason::ALL.into_iter().filter_map(|reason| {
        let count = *told.dropped_by_reason.get(reason.word())?;
        (count > 0).then_some(Dropped { reason: reason.word(), count })
    });
    Health {
        generated: Some(told.generated),
        uploaded: Some(told.uploaded),
        dropped: Some(told.dropped),
        pending: Some(status.events.pending),
        percent_uploaded: told.percent_uploaded,
        percent_dropped: told.percent_dropped,
        dropped_by_reason: dropped.collect(),
        last_upload: status.upload.last_success.clone(),
        failed_probes: Vec::new(),
        rss_bytes: status.cost.rss_bytes,
        cpu_ms: Some(status.cost.cpu_ms),
        bytes_uploaded: Some(status.cost.bytes_uploaded),
    }
}

/// The sums that a receiver is told: those since the ids were renewed, where they were.
fn told(events: &EventCounts) -> SinceRenewal {
    events.since_renewal.clone().unwrap_or_else(|| SinceRenewal {
        generated: events.generated,
        uploaded: events.uploaded,
        dropped: events.dropped,
        percent_uploaded: events.percent_uploaded,
        percent_dropped: events.percent_dropped,
        dropped_by_reason: events.dropped_by_reason.clone(),
    })
}

fn records(drafts: &[Draft], format: PreviewFormat) -> Result<Shown, Failure> {
    let mut objects = Vec::new();
    for draft in drafts {
        let record = decode_body(draft.kind, &draft.body)
            .map_err(|error| Failure::new(FAILED, chain(&error)))?;
        objects.push(Value::Object(json::to_json(&record)));
    }
    let text = if format == PreviewFormat::Json {
        objects.iter().fold(String::new(), |text, object| text + &object.to_string() + "\n")
    } else {
        table(&objects)
    };
    Ok(Shown { text, json: objects, exit_code: 0 })
}

fn table(objects: &[Value]) -> String {
    let mut table = Table::default();
    table.row(["LEVEL", "KIND", "NAME", "FACTS"]);
    for object in objects {
        let word = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        table.row([object["level"].to_string(), word("kind"), word("name"), facts_of(object)]);
    }
    table.text()
}

/// The facts of a record in one line.
fn facts_of(object: &Value) -> String {
    const WIDTH: usize = 160;
    let line = match object["points"].as_array() {
        Some(points) => {
            let shown = points.iter().map(|point| {
                let attributes = pairs(&point["attributes"]);
                let value = plain(&point["value"]);
                if attributes.is_empty() { value } else { format!("{value} [{attributes}]") }
            });
            format!(
                "{}: {}",
                object["unit"].as_str().unwrap_or_default(),
                shown.collect::<Vec<_>>().join(", ")
            )
        }
        None => pairs(&object["attributes"]),
    };
    if line.chars().count() <= WIDTH {
        line
    } else {
        line.chars().take(WIDTH - 1).chain(['…']).collect()
    }
}

fn pairs(object: &Value) -> String {
    let Some(map) = object.as_object() else { return String::new() };
    map.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(" ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The requests, byte for byte but for ids, times and sequence numbers, which begin at 1 here.
fn bodies(drafts: &[Draft], snapshot: &Snapshot, status: Option<&Status>) -> Shown {
    let install_id = status.and_then(|status| status.install_id.clone());
    let resource = resource(&snapshot.effective, install_id).encode();
    let mut rows: BTreeMap<(Kind, &str), Vec<u8>> = BTreeMap::new();
    for (draft, seq) in drafts.iter().zip(1..) {
        seal(draft.kind, &draft.body, seq, rows.entry((draft.kind, &draft.boot)).or_default());
    }
    let request = |((kind, boot), row): (&(Kind, &str), &Vec<u8>)| {
        let body = request_body(*kind, &resource, &[Part { boot, rows: &[row] }]);
        let path = match kind {
            Kind::Log => "/v1/logs",
            Kind::Metric => "/v1/metrics",
            Kind::Span => "/v1/traces",
        };
        object!({ "path": path, "content_type": "application/x-protobuf", "body_base64": STANDARD.encode(body) })
    };
    let requests: Vec<Value> = rows.iter().map(request).collect();
    let text =
        requests.iter().fold(String::new(), |text, request| text + &request.to_string() + "\n");
    Shown { text, json: requests, exit_code: 0 }
}
