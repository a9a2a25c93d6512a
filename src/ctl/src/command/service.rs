//! `service`: the agent as a service of this host. The facade; the service manager's own file does it.
//!
//! # Invariants
//! - What was asked is read back from the service manager, and shown as it says it.
//! - `doctor` changes nothing; `doctor --fix` changes only what it has named.

use std::fs;
use std::io::ErrorKind;

use candor_platform::is_administrator;
use candor_policy::{FirstSettings, Operator};
use serde::Serialize;
use serde_json::json;

use crate::cli::{InstallOptions, ServiceAction, ServiceOptions};
use crate::command::upload::{not_written, record};
use crate::context::Context;
use crate::failure::{FAILED, Failure, NOT_PERMITTED, USAGE};
use crate::shown::Shown;
use crate::table::Table;

#[cfg(unix)]
mod linux;
#[cfg(unix)]
use linux as imp;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as imp;

/// What the service manager says of the service.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Settings(serde_json::Map<String, serde_json::Value>);

/// Something that is not as the agent needs it.
#[derive(Debug, Serialize)]
struct Finding {
    /// Which file, directory, user or setting.
    what: String,
    /// What is wrong with it.
    problem: String,
    /// What was done about it; `None` where nothing was, or nothing helped.
    mended: Option<String>,
}

pub(crate) fn run(context: &Context, options: &ServiceOptions) -> Result<Shown, Failure> {
    if context.layout.has_root() {
        let message = "a service runs on the host's own root: leave --root and CANDOR_ROOT out";
        return Err(Failure::new(USAGE, message));
    }
    imp::is_there().map_err(|why| Failure::new(FAILED, why))?;
    let changes = !matches!(options.action, ServiceAction::Doctor { fix: false });
    if changes && !is_administrator() {
        return Err(Failure::new(NOT_PERMITTED, "it takes an administrator; nothing was changed"));
    }
    let failed = |why| Failure::new(FAILED, why);
    match &options.action {
        ServiceAction::Install(first) => {
            let told = imp::install().map_err(failed)?;
            state(context, first)?;
            Ok(done(&told))
        }
        ServiceAction::Uninstall { purge } => {
            let (sentence, settings) = imp::uninstall().map_err(failed)?;
            let rest = if *purge { wipe(context).map_err(failed)? } else { "" };
            Ok(done(&(sentence + rest, settings)))
        }
        ServiceAction::Start => imp::start().map(|told| done(&told)).map_err(failed),
        ServiceAction::Stop => imp::stop().map(|told| done(&told)).map_err(failed),
        ServiceAction::Doctor { fix } => Ok(diagnosis(&imp::doctor(*fix))),
    }
}

/// States what was given as the operator's setting, and writes that down as any change of it.
fn state(context: &Context, given: &InstallOptions) -> Result<(), Failure> {
    let settings = FirstSettings {
        level: given.level.as_ref().and_then(|level| level.0),
        endpoint: given.endpoint.as_ref().and_then(|url| url.0.clone()),
        pins: given.pins.as_ref().and_then(|pins| pins.0.clone()).unwrap_or_default(),
    };
    if settings == FirstSettings::default() {
        return Ok(());
    }
    let before = context.snapshot();
    Operator::new(&context.layout).set_first(&settings).map_err(|error| not_written(&error))?;
    record(context, &before, &context.snapshot(), None);
    Ok(())
}

/// Takes away what the agent kept. The service is gone before, so that nothing writes there any more.
fn wipe(context: &Context) -> Result<&'static str, String> {
    for dir in [context.layout.state_dir(), context.layout.log_dir()] {
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(format!("cannot remove {}: {error}; remove it by hand", dir.display()));
            }
            _ => {}
        }
    }
    imp::forget(&context.layout)?;
    Ok("; what it kept and what the operator set is gone, too")
}

/// A sentence, and what the service manager says now.
fn done(told: &(String, Settings)) -> Shown {
    let (sentence, settings) = told;
    let mut table = Table::default();
    for (key, value) in &settings.0 {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        table.row(["  ".to_owned() + key, value]);
    }
    let facts = json!({ "done": sentence, "settings": settings });
    Shown::new(format!("{sentence}\n{}", table.text()), &facts)
}

fn diagnosis(findings: &[Finding]) -> Shown {
    let is_left = |finding: &&Finding| finding.mended.is_none();
    let left = findings.iter().filter(is_left).count();
    let mut table = Table::default();
    for finding in findings {
        let outcome = finding.mended.as_deref().map_or("not mended", |_| "mended");
        let how = finding.mended.clone().unwrap_or_default();
        table.row([outcome.to_owned(), finding.what.clone(), finding.problem.clone(), how]);
    }
    let last = match (findings.len(), left) {
        (0, _) => "good: unit, user, directories and rights are as the agent needs them".to_owned(),
        (_, 0) => "good: everything is mended".to_owned(),
        (_, left) => format!("{left} to mend: agentctl service doctor --fix"),
    };
    let facts = json!({ "good": left == 0, "findings": findings });
    let text = format!("{}{last}", table.text());
    Shown::new(text, &facts).with_exit_code(if left == 0 { 0 } else { FAILED })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(mended: Option<&str>) -> Finding {
        let text = str::to_owned;
        Finding { what: text("/x"), problem: text("wrong"), mended: mended.map(text) }
    }

    #[test]
    fn a_diagnosis_is_bad_news_while_something_is_left() {
        assert_eq!(diagnosis(&[]).exit_code, 0);
        assert_eq!(diagnosis(&[finding(Some("done"))]).exit_code, 0);
        let shown = diagnosis(&[finding(Some("done")), finding(None)]);
        assert_eq!((shown.exit_code, &shown.json[0]["good"]), (FAILED, &json!(false)));
        assert!(shown.text.contains("1 to mend"), "{}", shown.text);
    }

    #[test]
    fn another_root_has_no_service() {
        let global = crate::cli::Global { root: Some("/x".into()), json: false, config: None };
        let options = ServiceOptions { action: ServiceAction::Doctor { fix: false } };
        let failure = run(&Context::new(global), &options).unwrap_err();
        assert_eq!(failure.exit_code(), USAGE);
    }
}
