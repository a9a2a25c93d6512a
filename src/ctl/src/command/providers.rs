//! `providers`: who may speak through the agent, and the switch of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use candor_control::protocol::{ProviderChanged, ProviderRequest, ProviderStatus, Providers};
use candor_policy::trail::{Author, Trail, switched};
use candor_policy::{ProviderFiles, SwitchError};
use candor_providers::Registry;

use crate::cli::ProvidersAction;
use crate::context::Context;
use crate::failure::{FAILED, Failure, NOT_PERMITTED, USAGE, chain};
use crate::shown::Shown;
use crate::table::Table;

pub(crate) async fn run(
    context: &Context,
    action: Option<ProvidersAction>,
) -> Result<Shown, Failure> {
    match action {
        None => show(context).await,
        Some(ProvidersAction::Enable { name }) => switch(context, name, true).await,
        Some(ProvidersAction::Disable { name }) => switch(context, name, false).await,
    }
}

async fn show(context: &Context) -> Result<Shown, Failure> {
    let providers = match Context::unless_no_daemon(context.client().providers().await)? {
        Some(providers) => providers,
        None => without_daemon(context),
    };
    Ok(Shown::new(text(&providers), &providers))
}

async fn switch(context: &Context, name: String, enabled: bool) -> Result<Shown, Failure> {
    let request = ProviderRequest { name, enabled };
    let changed = match Context::unless_no_daemon(context.client().switch_provider(&request).await)?
    {
        Some(changed) => changed,
        None => switch_without_daemon(context, request)?,
    };
    let already = if changed.changed { "" } else { " already" };
    let state = if changed.enabled { "on" } else { "off" };
    let said = format!("{} is {state}{already}", changed.name);
    // A switch that did not take: another file, or the present switches, say otherwise.
    let exit_code = if changed.enabled == enabled { 0 } else { FAILED };
    Ok(Shown::new(said, &changed).with_exit_code(exit_code))
}

/// The registry of this host's files, as this user may read them.
pub(crate) fn registry(context: &Context) -> Registry {
    let files = ProviderFiles::for_caller(&context.layout);
    Registry::new(&files, &context.snapshot().config.scrapes, None)
}

/// Writes the switch that the next daemon reads.
fn switch_without_daemon(
    context: &Context,
    request: ProviderRequest,
) -> Result<ProviderChanged, Failure> {
    let before = registry(context);
    let was = before.provider(&request.name).map(candor_providers::Provider::is_on);
    let is_broken = || before.broken().iter().any(|broken| broken.name == request.name);
    if was.is_none() && (request.enabled || !is_broken()) {
        let said = format!(
            "there is no usable provider {}: `agentctl providers` lists them",
            request.name
        );
        return Err(Failure::new(USAGE, said));
    }
    ProviderFiles::switch(&context.layout, &request.name, request.enabled)
        .map_err(|error| not_switched(&error))?;
    let was = was.unwrap_or(false);
    if was != request.enabled {
        let author = Author::this_process(None);
        let entry = switched(&request.name, request.enabled, &author, SystemTime::now());
        if let Err(error) = Trail::at(&context.layout.audit_trail()).append(&entry) {
            eprintln!("agentctl: the audit trail could not be written: {}", chain(&error));
        }
    }
    let ProviderRequest { name, enabled } = request;
    Ok(ProviderChanged { name, enabled, changed: was != enabled })
}

/// Without a daemon the file system decides who may write.
fn not_switched(error: &SwitchError) -> Failure {
    let is_denied = crate::command::upload::is_denied(error);
    Failure::new(if is_denied { NOT_PERMITTED } else { FAILED }, chain(error))
}

fn without_daemon(context: &Context) -> Providers {
    let registry = registry(context);
    let providers = registry.providers().iter().map(|provider| ProviderStatus {
        name: provider.manifest().name.clone(),
        doc: Some(provider.manifest().doc.clone()),
        source: provider.source().word().to_owned(),
        enabled: provider.is_on(),
        level: Some(provider.manifest().lowest_level().number()),
        ..ProviderStatus::default()
    });
    let broken = registry.broken().iter().map(|broken| ProviderStatus {
        name: broken.name.clone(),
        source: broken.source.word().to_owned(),
        problems: broken.findings.iter().map(ToString::to_string).collect(),
        ..ProviderStatus::default()
    });
    Providers {
        trouble: registry.trouble().map(str::to_owned),
        ingest_trouble: None,
        providers: providers.chain(broken).collect(),
        unmatched: BTreeMap::new(),
    }
}

fn text(told: &Providers) -> String {
    let mut table = Table::default();
    table.row(["provider", "state", "level", "source", "accepted", "refused"]);
    for provider in &told.providers {
        let state = match (provider.enabled, provider.problems.is_empty()) {
            (_, false) => "unusable",
            (true, true) => "on",
            (false, true) => "off",
        };
        let level = provider.level.map_or_else(String::new, |level| level.to_string());
        let accepted = provider.accepted.to_string();
        let cells = [
            &provider.name,
            state,
            &level,
            &provider.source,
            &accepted,
            &counts(&provider.refused),
        ];
        table.row(cells);
    }
    let mut text = table.text();
    // Writing to a `String` does not fail.
    for provider in told.providers.iter().filter(|provider| !provider.fields_refused.is_empty()) {
        let fields = counts(&provider.fields_refused);
        let _ = writeln!(text, "fields of {} taken away: {fields}", provider.name);
    }
    if !told.unmatched.is_empty() {
        let _ = writeln!(text, "of programs that no provider matches: {}", counts(&told.unmatched));
    }
    for problem in told.providers.iter().flat_map(|provider| &provider.problems) {
        let _ = writeln!(text, "error: {problem}");
    }
    if let Some(trouble) = &told.ingest_trouble {
        let _ = writeln!(text, "error: {trouble}");
    }
    if let Some(trouble) = &told.trouble {
        let _ = writeln!(text, "all are off, since the switches cannot be understood: {trouble}");
    }
    text
}

fn counts(by_reason: &BTreeMap<String, u64>) -> String {
    let counts = by_reason.iter().map(|(reason, count)| format!("{count} {reason}"));
    counts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_what_was_refused_and_what_is_wrong_is_said() {
        let on = ProviderStatus {
            name: "cli".into(),
            enabled: true,
            refused: [("rate".to_owned(), 7)].into(),
            ..ProviderStatus::default()
        };
        let broken = ProviderStatus {
            name: "mine".into(),
            problems: vec!["mine.toml:1:1: name: is wrong".into()],
            ..ProviderStatus::default()
        };
        let told = Providers {
            providers: vec![on, broken],
            ingest_trouble: Some("cannot be heard".into()),
            ..Providers::default()
        };
        let text = text(&told);
        let errors = ["error: mine.toml:1:1", "error: cannot be heard"];
        for said in ["cli       on", "7 rate", "mine      unusable"].into_iter().chain(errors) {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}
