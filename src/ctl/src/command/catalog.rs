//! `catalog`: every event and field that can ever leave, and what differs from another version's.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use candor_model::Level;
use candor_pipeline::catalog::{Difference, Format, difference, render};
use candor_providers::{Manifest, Provider};
use serde_json::Value;

use crate::cli::{CatalogAction, CatalogFormat, CatalogOptions};
use crate::context::Context;
use crate::failure::{FAILED, Failure};
use crate::shown::Shown;

mod local;

pub(crate) async fn run(context: &Context, options: &CatalogOptions) -> Result<Shown, Failure> {
    match &options.action {
        Some(CatalogAction::Diff { old }) => diff(old),
        None => show(context, options).await,
    }
}

async fn show(context: &Context, options: &CatalogOptions) -> Result<Shown, Failure> {
    let (level, format) = (options.level, options.format);
    let (registry, on) = local::manifests(context).await?;
    let manifests = registry.providers().iter().map(Provider::manifest);
    let told = manifests.filter(|one| on.contains(&one.name) && local::is_told(one, level));
    if context.json() || format == CatalogFormat::Json {
        let mut facts: Value =
            serde_json::from_str(&render(level, Format::Json)).unwrap_or_default();
        facts["providers"] = told.map(|manifest| local::object(manifest, level)).collect();
        let text = format!("{facts:#}\n");
        return Ok(Shown { text, json: vec![facts], ..Shown::default() });
    }
    let (mut text, append): (_, fn(&Manifest, Level) -> String) = match format {
        CatalogFormat::Markdown => (render(level, Format::Markdown), local::markdown),
        _ => (render(level, Format::Table), local::table),
    };
    text.extend(told.map(|manifest| append(manifest, level)));
    Ok(Shown { text, ..Shown::default() })
}

fn diff(old: &Path) -> Result<Shown, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(FAILED, format!("cannot read `{}`: {error}", old.display()))
    };
    let text = fs::read_to_string(old).map_err(|error| failed(&error))?;
    let catalog = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let difference = difference(&catalog).map_err(|error| failed(&error))?;
    Ok(Shown::new(lines(&difference), &difference))
}

fn lines(difference: &Difference) -> String {
    let mut text = String::new();
    // Writing to a `String` does not fail.
    for (name, what) in &difference.added {
        let _ = writeln!(text, "+ {name}: {what}");
    }
    for (name, what) in &difference.removed {
        let _ = writeln!(text, "- {name}: {what}");
    }
    for (name, (before, after)) in &difference.changed {
        let _ = writeln!(text, "~ {name}: {before} -> {after}");
    }
    if text.is_empty() { "no difference\n".to_owned() } else { text }
}
