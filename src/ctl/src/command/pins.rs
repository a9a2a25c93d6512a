//! `pins`: which hold, which a certificate has, and whether the endpoint's match.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use candor_policy::Snapshot;
use candor_upload::pins::{Computed, Report, compute, test};
use candor_upload::{Destination, Timing};
use serde_json::{Value, json};

use crate::cli::PinsAction;
use crate::context::Context;
use crate::failure::{FAILED, Failure, USAGE, chain};
use crate::shown::Shown;
use crate::table::Table;

pub(crate) async fn run(context: &Context, action: PinsAction) -> Result<Shown, Failure> {
    match action {
        PinsAction::Show => Ok(show(&context.readable_snapshot()?)),
        PinsAction::Compute { pem } => computed(&pem),
        PinsAction::Test { url } => tested(context, url.as_deref()).await,
    }
}

fn show(snapshot: &Snapshot) -> Shown {
    let pins: Vec<String> =
        snapshot.effective.certificate_pins.iter().map(ToString::to_string).collect();
    let text = match pins.len() {
        0 => "no pins: set CertificatePins, two at least".to_owned(),
        1 => format!("{}\none pin alone is a hold: add that of a backup key", pins[0]),
        _ => pins.join("\n"),
    };
    Shown::new(text, &json!({ "pins": pins }))
}

fn computed(pem: &Path) -> Result<Shown, Failure> {
    let place = pem.display();
    let bytes = fs::read(pem).map_err(|error| Failure::system(&format!("read {place}"), error))?;
    let computed = compute(&bytes)
        .map_err(|error| Failure::new(FAILED, format!("{place}: {}", chain(&error))))?;
    let mut table = Table::default();
    for one in &computed {
        table.row([one.pin.to_string(), one.subject.clone().unwrap_or_default(), until(one)]);
    }
    Ok(Shown::new(table.text(), &json!({ "pins": computed.iter().map(facts).collect::<Vec<_>>() })))
}

fn until(computed: &Computed) -> String {
    computed.not_after.as_ref().map(|time| format!("until {time}")).unwrap_or_default()
}

pub(crate) fn facts(computed: &Computed) -> Value {
    json!({ "pin": computed.pin.to_string(), "subject": computed.subject, "not_after": computed.not_after })
}

async fn tested(context: &Context, url: Option<&str>) -> Result<Shown, Failure> {
    let snapshot = context.readable_snapshot()?;
    let effective = &snapshot.effective;
    let mut destination = Destination::of(effective, &snapshot.config.upload);
    if let Some(url) = url {
        let endpoint = url.parse().map_err(|error| Failure::new(USAGE, chain(&error)))?;
        destination = Some(Destination::to(endpoint, effective, &snapshot.config.upload));
    }
    let Some(destination) = destination else {
        return Err(Failure::new(
            FAILED,
            "no endpoint: set EventsEndpoint in agent.toml, or name a URL",
        ));
    };
    let report = test(&destination, &Timing::default()).await;
    let exit_code = if report.trouble.is_some() { FAILED } else { 0 };
    Ok(Shown::new(text(&report, &destination), &json(&report)).with_exit_code(exit_code))
}

fn json(report: &Report) -> Value {
    json!({
        "endpoint": report.endpoint,
        "pass": report.trouble.is_none(),
        "presented": report.presented.iter().map(facts).collect::<Vec<_>>(),
        "would_match": report.verified.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "reason": report.trouble.as_ref().map(|trouble| trouble.reason.word()),
        "detail": report.trouble.as_ref().map(|trouble| trouble.detail.clone()),
        "remedy": report.trouble.as_ref().map(|trouble| trouble.remedy.clone()),
    })
}

fn text(report: &Report, destination: &Destination) -> String {
    let mut text = String::new();
    match &report.trouble {
        None => {
            let _ =
                writeln!(text, "PASS {}: a pinned key is on the verified path", report.endpoint);
        }
        Some(trouble) => {
            let _ = writeln!(
                text,
                "FAIL {}: {}: {}",
                report.endpoint,
                trouble.reason.word(),
                trouble.detail
            );
            let _ = writeln!(text, "to do: {}", trouble.remedy);
        }
    }
    text.push_str(&certificates(report, destination));
    text
}

/// What the server presented, and which pins would match where none did.
pub(crate) fn certificates(report: &Report, destination: &Destination) -> String {
    let mut text = String::new();
    if !report.presented.is_empty() {
        let _ = writeln!(text, "the server presented:");
        let mut table = Table::default();
        for one in &report.presented {
            let mark = if destination.pins.contains(&one.pin) { "pinned" } else { "" };
            table.row([
                format!("  {}", one.pin),
                one.subject.clone().unwrap_or_default(),
                until(one),
                mark.to_owned(),
            ]);
        }
        text.push_str(&table.text());
    }
    if report.trouble.is_some() && !report.verified.is_empty() {
        let _ = writeln!(text, "a pin for any of these keys would match:");
        for pin in &report.verified {
            let _ = writeln!(text, "  {pin}");
        }
    }
    text
}
