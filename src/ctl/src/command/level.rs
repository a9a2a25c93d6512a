//! `level` and `set-level`.

use std::fmt::Write as _;

use candor_control::protocol::{LevelChanged, LevelRequest, LevelStatus};
use candor_policy::{LevelSetting, Operator, Snapshot, Until, now};

use crate::cli::SetLevelOptions;
use crate::command::purge::purge;
use crate::command::upload::{not_written, record};
use crate::context::Context;
use crate::failure::{Failure, REFUSED};
use crate::shown::Shown;

pub(crate) async fn show(context: &Context) -> Result<Shown, Failure> {
    let level = match Context::unless_no_daemon(context.client().level().await)? {
        Some(level) => level,
        None => told(&context.readable_snapshot()?),
    };
    Ok(Shown::new(sentence(&level), &level))
}

pub(crate) async fn set(context: &Context, options: SetLevelOptions) -> Result<Shown, Failure> {
    let request =
        LevelRequest { level: options.level, hold_for: options.hold_for, reason: options.reason };
    let changed = match Context::unless_no_daemon(context.client().set_level(&request).await)? {
        Some(changed) => changed,
        None => set_without_daemon(context, &request).await?,
    };
    let mut text =
        format!("requested {}, effective {}", changed.level.requested, sentence(&changed.level));
    if changed.withdrawn > 0 {
        let _ = write!(text, "; {} records that waited above it are gone", changed.withdrawn);
    }
    Ok(Shown::new(text, &changed))
}

/// Writes the setting that the next daemon reads.
async fn set_without_daemon(
    context: &Context,
    request: &LevelRequest,
) -> Result<LevelChanged, Failure> {
    let before = context.readable_snapshot()?;
    if let Err(refusal) = before.would_be(request.level) {
        return Err(Failure::new(REFUSED, format!("{refusal}; nothing was written")));
    }
    let until = request.hold_for.map(|lasts| Until::after(&now(), lasts));
    let setting = LevelSetting { level: request.level, until, reason: request.reason.clone() };
    Operator::new(&context.layout).set_level(&setting).map_err(|error| not_written(&error))?;
    let after = context.snapshot();
    record(context, &before, &after, request.reason.clone());
    let withdrawn = purge(context, &after).await?;
    Ok(LevelChanged { level: told(&after), withdrawn })
}

fn told(snapshot: &Snapshot) -> LevelStatus {
    let decision = &snapshot.effective.level;
    LevelStatus {
        requested: decision.requested.number(),
        effective: decision.effective.number(),
        name: decision.effective.name().to_owned(),
        source: decision.source.clone(),
        reason: decision.reason.clone(),
        until: snapshot.raise.as_ref().map(|until| until.wall.to_string()),
        afterwards: snapshot.after_raise().map(|decision| decision.effective.number()),
    }
}

fn sentence(level: &LevelStatus) -> String {
    let mut text =
        format!("{} ({}): {} ({})", level.effective, level.name, level.reason, level.source);
    if let Some(end) = end(level) {
        let _ = write!(text, "; {end}");
    }
    text
}

/// When a level for a time ends, and what holds then.
pub(crate) fn end(level: &LevelStatus) -> Option<String> {
    let until = level.until.as_ref()?;
    Some(match level.afterwards {
        Some(afterwards) => format!("until {until}, then {afterwards}"),
        None => format!("until {until}"),
    })
}
