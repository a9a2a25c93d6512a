//! `catalog`: every event and field that can ever leave, and what differs from another version's.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use candor_pipeline::catalog::{Difference, Format, difference, render};

use crate::cli::{CatalogAction, CatalogFormat, CatalogOptions};
use crate::context::Context;
use crate::failure::{FAILED, Failure};
use crate::shown::Shown;

pub(crate) fn run(context: &Context, options: &CatalogOptions) -> Result<Shown, Failure> {
    match &options.action {
        Some(CatalogAction::Diff { old }) => diff(old),
        None => Ok(show(context, options)),
    }
}

fn show(context: &Context, options: &CatalogOptions) -> Shown {
    let format = match options.format {
        CatalogFormat::Json => Format::Json,
        CatalogFormat::Markdown => Format::Markdown,
        CatalogFormat::Table => Format::Table,
    };
    if context.json() {
        let facts = serde_json::from_str(&render(options.level, Format::Json)).unwrap_or_default();
        return Shown { json: vec![facts], ..Shown::default() };
    }
    Shown { text: render(options.level, format), ..Shown::default() }
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
