//! `enable` and `disable`, and what changes without a daemon have in common.

use std::error::Error;
use std::io::ErrorKind;

use candor_control::protocol::{DisableRequest, UploadChanged};
use candor_policy::trail::{Author, Trail, changes};
use candor_policy::{Operator, OperatorError, Snapshot};

use crate::cli::DisableOptions;
use crate::command::purge::purge;
use crate::context::Context;
use crate::failure::{FAILED, Failure, NOT_PERMITTED, REFUSED, chain};
use crate::shown::Shown;

pub(crate) async fn enable(context: &Context) -> Result<Shown, Failure> {
    let changed = match Context::unless_no_daemon(context.client().enable().await)? {
        Some(changed) => changed,
        None => set_without_daemon(context, true, false).await?,
    };
    Ok(Shown::new(
        if changed.changed { "telemetry is on" } else { "telemetry was on already" },
        &changed,
    ))
}

pub(crate) async fn disable(context: &Context, options: &DisableOptions) -> Result<Shown, Failure> {
    let request = DisableRequest { keep_pending: options.keep_pending };
    let changed = match Context::unless_no_daemon(context.client().disable(request).await)? {
        Some(changed) => changed,
        None => set_without_daemon(context, false, options.keep_pending).await?,
    };
    let said = if changed.changed { "telemetry is off" } else { "telemetry was off already" };
    let gone = if changed.dropped > 0 {
        format!("; {} waiting records are gone", changed.dropped)
    } else {
        String::new()
    };
    Ok(Shown::new(format!("{said}{gone}"), &changed))
}

async fn set_without_daemon(
    context: &Context,
    enabled: bool,
    keep_pending: bool,
) -> Result<UploadChanged, Failure> {
    let before = context.readable_snapshot()?;
    if let Err(refusal) = before.would_upload(enabled) {
        return Err(Failure::new(REFUSED, format!("{refusal}; nothing was written")));
    }
    Operator::new(&context.layout)
        .set_upload(enabled, keep_pending)
        .map_err(|error| not_written(&error))?;
    let after = context.snapshot();
    record(context, &before, &after, None);
    let (was, is) = (before.effective.upload_enabled, after.effective.upload_enabled);
    let dropped = if is { 0 } else { purge(context, &after).await? };
    Ok(UploadChanged { enabled: is, changed: was != is, dropped })
}

/// Without a daemon the file system decides who may write: root, or the user who would run it.
pub(crate) fn not_written(error: &OperatorError) -> Failure {
    if !is_denied(error) {
        return Failure::new(FAILED, chain(error));
    }
    let remedy = "it takes an administrator, and no daemon runs that could be asked";
    Failure::new(NOT_PERMITTED, format!("{}; {remedy}", chain(error)))
}

/// Whether the system did not permit something.
pub(crate) fn is_denied(error: &(dyn Error + 'static)) -> bool {
    let denied = |error: &std::io::Error| error.kind() == ErrorKind::PermissionDenied;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(denied) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Writes the change down, as the daemon would.
pub(crate) fn record(
    context: &Context,
    before: &Snapshot,
    after: &Snapshot,
    reason: Option<String>,
) {
    let author = Author::this_process(reason);
    let trail = Trail::at(&context.layout.audit_trail());
    for entry in
        changes(&before.effective, &after.effective, Some(&author), std::time::SystemTime::now())
    {
        if let Err(error) = trail.append(&entry) {
            eprintln!("agentctl: the audit trail could not be written: {}", chain(&error));
        }
    }
}
