//! `catalog`: every event and field that can ever leave.

use candor_pipeline::catalog::{Format, render};

use crate::cli::{CatalogFormat, CatalogOptions};
use crate::context::Context;
use crate::shown::Shown;

pub(crate) fn run(context: &Context, options: &CatalogOptions) -> Shown {
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
