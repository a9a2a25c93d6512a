//! What the providers that are switched on may tell beside the agent's own catalog: their manifests,
//! told the same way.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use candor_model::Level;
use candor_providers::{Event, Manifest, Registry};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::table::Table;

/// The manifests that are on: as the daemon says where one runs, else as the files do.
pub(super) async fn manifests(context: &Context) -> Result<(Registry, BTreeSet<String>), Failure> {
    let registry = crate::command::providers::registry(context);
    let told = Context::unless_no_daemon(context.client().providers().await)?;
    let on = if let Some(told) = told {
        let on = told.providers.into_iter().filter(|provider| provider.enabled);
        on.map(|provider| provider.name).collect()
    } else {
        let on = registry.providers().iter().filter(|provider| provider.is_on());
        on.map(|provider| provider.manifest().name.clone()).collect()
    };
    Ok((registry, on))
}

/// The events of a manifest that may leave at a level.
fn events(manifest: &Manifest, level: Level) -> impl Iterator<Item = &Event> {
    manifest.events.iter().filter(move |event| event.level <= level)
}

/// Whether anything of it may leave.
pub(super) fn is_told(manifest: &Manifest, level: Level) -> bool {
    manifest.lowest_level() <= level
}

/// One object for a provider.
pub(super) fn object(manifest: &Manifest, level: Level) -> Value {
    let event = |event: &Event| {
        let fields = event.fields.iter().map(|(name, field)| {
            json!({
                "name": name, "level": field.level.unwrap_or(event.level).number(), "type": field.kind.word(),
                "class": field.class.name(), "doc": field.doc,
            })
        });
        json!({
            "name": event.name, "kind": event.kind.name(), "level": event.level.number(), "purpose": event.purpose,
            "doc": event.doc, "fields": fields.collect::<Vec<_>>(),
        })
    };
    json!({
        "provider": manifest.name, "doc": manifest.doc, "level": manifest.lowest_level().number(),
        "any_event": manifest.any_event, "events": events(manifest, level).map(event).collect::<Vec<_>>(),
    })
}

/// Columns for a terminal, headed by the provider.
pub(super) fn table(manifest: &Manifest, level: Level) -> String {
    let mut table = Table::default();
    for event in events(manifest, level) {
        let number = event.level.number().to_string();
        table.row([&number, event.name.as_str(), event.kind.name(), "", event.doc.as_str()]);
        for (name, field) in &event.fields {
            let number = field.level.unwrap_or(event.level).number().to_string();
            let (name, class) = (format!("  {name}"), field.class.name());
            table.row([&number, name.as_str(), field.kind.word(), class, field.doc.as_str()]);
        }
    }
    format!(
        "\nPROVIDER {}: {}\n{}{}",
        manifest.name,
        manifest.doc,
        anything(manifest),
        table.text()
    )
}

/// The same in Markdown.
pub(super) fn markdown(manifest: &Manifest, level: Level) -> String {
    let mut text =
        format!("\n## Provider `{}`\n{}\n{}", manifest.name, manifest.doc, anything(manifest));
    // Writing to a `String` does not fail.
    for event in events(manifest, level) {
        let (kind, number) = (event.kind.name(), event.level.number());
        let _ = writeln!(text, "\n### `{}`\n{} ({kind}, level {number})\n", event.name, event.doc);
        let _ =
            writeln!(text, "| field | level | type | class | description |\n|---|---|---|---|---|");
        for (name, field) in &event.fields {
            let (number, kind) = (field.level.unwrap_or(event.level).number(), field.kind.word());
            let _ = writeln!(
                text,
                "| `{name}` | {number} | {kind} | {} | {} |",
                field.class.name(),
                field.doc
            );
        }
    }
    text
}

/// What `application` says in place of declarations.
fn anything(manifest: &Manifest) -> &'static str {
    if manifest.any_event { "3  any log record, metric and span, each text scrubbed\n" } else { "" }
}
