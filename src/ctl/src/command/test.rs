//! `test`: everything that a delivery needs, tried in its order; each with PASS or FAIL, and what to do.
//!
//! It works without the daemon, by the policy that this user can read. While telemetry is off it is the
//! one command that connects all the same, because its owner says so: that is written on the audit trail
//! before, and whoever may not write there may not do it.

use std::cell::Cell;
use std::time::SystemTime;

use candor_control::protocol::Status;
use candor_platform::{create_private_dir, free_bytes, total_bytes};
use candor_policy::Snapshot;
use candor_policy::trail::{Author, Trail, act};
use candor_upload::trial::{Step, Trial, clock, trial};
use candor_upload::{Destination, Reason, Timing, Trouble};
use serde_json::{Value, json};

use crate::command::pins::{certificates, facts};
use crate::command::status::bytes;
use crate::context::Context;
use crate::failure::{FAILED, Failure, NOT_PERMITTED, chain};
use crate::paint::{Paint, Tone};
use crate::progress::lasting;
use crate::shown::Shown;
use crate::table::Table;

/// A name and what came of it; `None` where it was not tried.
type Check = (&'static str, Option<Step>);

pub(crate) async fn run(context: &Context) -> Result<Shown, Failure> {
    let snapshot = context.readable_snapshot()?;
    let destination = Destination::of(&snapshot.effective, &snapshot.config.upload);
    if let (Some(destination), false) = (&destination, snapshot.effective.upload_enabled) {
        audit(context, destination)?;
    }
    let status = Context::unless_no_daemon(context.client().status().await)?;
    let mut checks = vec![
        ("policy", Some(policy(&snapshot))),
        ("store", Some(store(context, &snapshot, status.as_ref()))),
        ("clock", Some(clock(SystemTime::now()))),
    ];
    let tried = match &destination {
        Some(destination) => attempt(context, destination).await,
        None => Trial::default(),
    };
    let nowhere = || Err(Trouble::new(Reason::NoEndpoint, "no EventsEndpoint is set"));
    // Where agent.toml is not understood, nobody knows whether it names one.
    let is_known = destination.is_some() || snapshot.config_error.is_some();
    let endpoint = if is_known { tried.endpoint } else { Some(nowhere()) };
    checks.extend([("dns", tried.dns), ("tcp", tried.tcp), ("tls", tried.tls)]);
    checks.extend([("pin", tried.pin), ("endpoint", endpoint)]);
    let report = tried.report.as_ref().zip(destination.as_ref());
    let certificates = report.map(|(report, destination)| certificates(report, destination));
    let mut shown = json(&checks);
    if let Some((report, _)) = report {
        shown["presented"] = report.presented.iter().map(facts).collect();
        shown["would_match"] = report.verified.iter().map(ToString::to_string).collect();
    }
    let is_good = checks.iter().all(|(_, step)| !matches!(step, Some(Err(_))));
    let mut text = text(&checks, Paint::of_stdout());
    text.push_str(&certificates.filter(|_| !is_good).unwrap_or_default());
    Ok(Shown::new(text, &shown).with_exit_code(if is_good { 0 } else { FAILED }))
}

async fn attempt(context: &Context, destination: &Destination) -> Trial {
    let step = Cell::new("dns");
    let timing = Timing::default();
    let work = trial(destination, &timing, |name| step.set(name));
    lasting(context, work, async || format!("testing {}", step.get())).await
}

/// Writes down that its owner lets this host connect although telemetry is off.
fn audit(context: &Context, destination: &Destination) -> Result<(), Failure> {
    let path = context.layout.audit_trail();
    let entry = act(
        "test",
        &destination.endpoint.to_string(),
        &Author::this_process(Some("agentctl test while telemetry is off".to_owned())),
        SystemTime::now(),
    );
    let state_dir = context.layout.state_dir();
    let made = if state_dir.is_dir() { Ok(()) } else { create_private_dir(&state_dir) };
    made.and_then(|()| Trail::at(&path).append(&entry)).map_err(|error| {
        let message = format!(
            "telemetry is off: only an administrator may connect, and it is written down: {}",
            chain(&error)
        );
        Failure::new(NOT_PERMITTED, message)
    })
}

fn policy(snapshot: &Snapshot) -> Step {
    let effective = &snapshot.effective;
    if let Some(error) = &snapshot.config_error {
        let remedy = "mend agent.toml; `agentctl check` says file, line and what to change";
        return Err(Trouble::new(Reason::Policy, chain(error)).with_remedy(remedy));
    }
    if let Some(why) = &effective.hold {
        return Err(Trouble::new(Reason::Policy, why.clone()));
    }
    let upload = if effective.upload_enabled {
        "telemetry is on".to_owned()
    } else {
        format!("telemetry is off: {}", effective.upload_reason)
    };
    Ok(format!("level {} by {}; {upload}", effective.level.effective, effective.level.source))
}

/// What the daemon says of its store; without one, whether there is room for it.
fn store(context: &Context, snapshot: &Snapshot, status: Option<&Status>) -> Step {
    let dir = context.layout.state_dir();
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(&dir);
    let free = free_bytes(there).unwrap_or(u64::MAX);
    let five_percent = total_bytes(there).map_or(u64::MAX, |total| total / 20);
    let least = snapshot.config.spool.min_free.unwrap_or_else(|| five_percent.min(128 << 20));
    if free < least {
        let detail =
            format!("{} has {} free, {} at least", there.display(), bytes(free), bytes(least));
        let remedy = "make room on that file system, or lower spool.min_free";
        return Err(Trouble::new(Reason::Store, detail).with_remedy(remedy));
    }
    let Some(status) = status else {
        return Ok(format!(
            "no daemon runs; {} free for {}",
            bytes(free),
            context.layout.state_dir().display()
        ));
    };
    match &status.upload.reason {
        Some(reason) if reason.starts_with(Reason::Store.word()) => {
            Err(Trouble::new(Reason::Store, reason.clone()))
        }
        _ => Ok(format!(
            "{} of {}, {} records wait, {} free",
            bytes(status.spool.bytes),
            bytes(status.spool.max_bytes),
            status.events.pending,
            bytes(free)
        )),
    }
}

fn text(checks: &[Check], paint: Paint) -> String {
    let mut table = Table::default();
    for (name, step) in checks {
        match step {
            Some(Ok(found)) => table.row([&paint.text(Tone::Good, "PASS"), *name, found]),
            Some(Err(trouble)) => {
                table.row([&paint.text(Tone::Bad, "FAIL"), *name, &trouble.to_string()]);
                table.row(["", "", &format!("to do: {}", trouble.remedy)]);
            }
            None => table.row([&paint.text(Tone::Faint, "-"), *name, "not tried"]),
        }
    }
    table.text()
}

fn json(checks: &[Check]) -> Value {
    let check = |(name, step): &Check| match step {
        Some(Ok(found)) => json!({ "name": name, "result": "pass", "detail": found }),
        Some(Err(trouble)) => json!({
            "name": name, "result": "fail", "detail": trouble.detail,
            "reason": trouble.reason.word(), "remedy": trouble.remedy,
        }),
        None => json!({ "name": name, "result": "not_tried" }),
    };
    let is_good = checks.iter().all(|(_, step)| !matches!(step, Some(Err(_))));
    json!({ "pass": is_good, "checks": checks.iter().map(check).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_shown_with_its_remedy_and_what_was_not_tried_is_said() {
        let failed = Trouble::new(Reason::Connection, "nobody").with_remedy("start it");
        let checks = [("dns", Some(Ok("a: 1".into()))), ("tcp", Some(Err(failed))), ("tls", None)];
        let text = text(&checks, Paint::PLAIN);
        for line in
            ["PASS  dns  a: 1", "FAIL  tcp  connection: nobody", "to do: start it", "not tried"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
        let json = json(&checks);
        assert_eq!(
            (&json["pass"], &json["checks"][1]["remedy"]),
            (&json!(false), &json!("start it"))
        );
        assert_eq!(json["checks"][2]["result"], "not_tried");
    }
}
