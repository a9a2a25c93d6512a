//! `explain`: every layer, the winner and why; the daemon's word where one runs.

use std::fs;
use std::io::ErrorKind;

use candor_control::protocol::{ExplainedLayer, Explanation, RefusedSettings};
use candor_policy::trail::{Entry, Trail, refused_settings};

use crate::cli::ExplainOptions;
use crate::context::Context;
use crate::failure::{Failure, NOT_PERMITTED};
use crate::shown::Shown;
use crate::table::Table;

pub(crate) async fn run(context: &Context, options: &ExplainOptions) -> Result<Shown, Failure> {
    if options.history {
        return Ok(history(&trail(context)?));
    }
    let explanation = match Context::unless_no_daemon(context.client().explain().await)? {
        Some(explanation) => explanation,
        None => own(context)?,
    };
    Ok(Shown::new(text(&explanation), &explanation))
}

/// The audit trail; one that this user may not read is said to be so, not shown as empty.
fn trail(context: &Context) -> Result<Vec<Entry>, Failure> {
    let path = context.layout.audit_trail();
    match fs::File::open(&path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(Failure::new(NOT_PERMITTED, format!("not readable by you: {}", path.display())))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::system(&format!("read {}", path.display()), error))
        }
        _ => Ok(Trail::at(&path).entries()),
    }
}

/// Without a daemon: the same resolution, over what this user can read.
fn own(context: &Context) -> Result<Explanation, Failure> {
    let explanation = context.readable_snapshot()?.effective.explanation;
    let layer = |layer: candor_policy::ExplainedLayer| ExplainedLayer {
        layer: layer.layer,
        place: layer.place,
        value: layer.value,
        verdict: layer.verdict,
    };
    Ok(Explanation {
        requested: explanation.requested,
        effective: explanation.effective,
        layers: explanation.layers.into_iter().map(layer).collect(),
        winner: explanation.winner,
        reason: explanation.reason,
        refused_settings: refused(context),
    })
}

/// What the trail knows of refused settings, as far as this user may read it.
fn refused(context: &Context) -> Option<RefusedSettings> {
    let entries = trail(context).ok()?;
    let (time, reason) = refused_settings(&entries)?;
    Some(RefusedSettings { time: time.to_owned(), reason: reason.to_owned() })
}

fn text(explanation: &Explanation) -> String {
    let mut table = Table::default();
    for layer in &explanation.layers {
        let mark = if layer.layer == explanation.winner { ">" } else { " " };
        let value = layer.value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        table.row([mark, &layer.layer, &value, &layer.place, &layer.verdict]);
    }
    let (requested, effective) = (explanation.requested, explanation.effective);
    let refused = explanation.refused_settings.as_ref().map_or_else(String::new, |refused| {
        format!("remote settings were refused at {}: {}\n", refused.time, refused.reason)
    });
    format!(
        "effective level {effective}, requested {requested}: {}\n{}{refused}",
        explanation.reason,
        table.text()
    )
}

fn history(entries: &[Entry]) -> Shown {
    let mut table = Table::default();
    for entry in entries {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let change = format!("{} -> {}", or_dash(&entry.from), or_dash(&entry.to));
        let user = match (&entry.user, entry.uid) {
            (Some(user), Some(uid)) => format!("{user} (uid {uid})"),
            (Some(user), None) => user.clone(),
            (None, Some(uid)) => format!("uid {uid}"),
            (None, None) => or_dash(&entry.role),
        };
        let who = entry.pid.map_or_else(|| user.clone(), |pid| format!("{user}, process {pid}"));
        table.row([
            entry.time.clone(),
            entry.subject.clone(),
            change,
            entry.layer.clone().unwrap_or_default(),
            who,
            entry.reason.clone().unwrap_or_default(),
        ]);
    }
    let json = entries.iter().filter_map(|entry| serde_json::to_value(entry).ok()).collect();
    let text = if entries.is_empty() { "no change was made yet".to_owned() } else { table.text() };
    Shown { text, json, exit_code: 0 }
}
