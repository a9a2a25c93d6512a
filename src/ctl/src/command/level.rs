//! `level` and `set-level`.

use std::fmt::Write as _;

use candor_control::protocol::{LevelChanged, LevelRequest, LevelStatus};
use candor_policy::{LevelDecision, LevelSetting, Operator, Until, now};

use crate::cli::SetLevelOptions;
use crate::command::upload::{not_written, record};
use crate::context::Context;
use crate::failure::{Failure, REFUSED};
use crate::shown::Shown;

pub(crate) async fn show(context: &Context) -> Result<Shown, Failure> {
    let level = match Context::unless_no_daemon(context.client().level().await)? {
        Some(level) => level,
        None => told(&context.readable_snapshot()?.effective.level),
    };
    Ok(Shown::new(sentence(&level), &level))
}

pub(crate) async fn set(context: &Context, options: SetLevelOptions) -> Result<Shown, Failure> {
    let request =
        LevelRequest { level: options.level, hold_for: options.hold_for, reason: options.reason };
    let changed = match Context::unless_no_daemon(context.client().set_level(&request).await)? {
        Some(changed) => changed,
        None => set_without_daemon(context, &request)?,
    };
    let mut text =
        format!("requested {}, effective {}", changed.level.requested, sentence(&changed.level));
    if changed.withdrawn > 0 {
        let _ = write!(text, "; {} records that waited above it are gone", changed.withdrawn);
    }
    if let Some(until) = &changed.until {
        let _ = write!(text, "; until {until}");
    }
    Ok(Shown::new(text, &changed))
}

/// Writes the setting that the next daemon reads.
fn set_without_daemon(context: &Context, request: &LevelRequest) -> Result<LevelChanged, Failure> {
    let before = context.readable_snapshot()?;
    if let Err(refusal) = before.would_be(request.level) {
        return Err(Failure::new(REFUSED, format!("{refusal}; nothing was written")));
    }
    let until = request.hold_for.map(|lasts| Until::after(&now(), lasts));
    let setting =
        LevelSetting { level: request.level, until: until.clone(), reason: request.reason.clone() };
    Operator::new(&context.layout).set_level(&setting).map_err(|error| not_written(&error))?;
    let after = context.snapshot();
    record(context, &before, &after, request.reason.clone());
    let level = told(&after.effective.level);
    Ok(LevelChanged { level, until: until.map(|until| until.wall.to_string()), withdrawn: 0 })
}

fn told(decision: &LevelDecision) -> LevelStatus {
    LevelStatus {
        requested: decision.requested.number(),
        effective: decision.effective.number(),
        name: decision.effective.name().to_owned(),
        source: decision.source.clone(),
        reason: decision.reason.clone(),
    }
}

fn sentence(level: &LevelStatus) -> String {
    format!("{} ({}): {} ({})", level.effective, level.name, level.reason, level.source)
}
