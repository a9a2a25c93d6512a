//! Delivery beside its promises: reads them from budgets.toml and measures in a directory of its own.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Budgets {
    spool: crate::spool::Budget,
    upload: crate::upload::Budget,
    ingest: crate::ingest::Budget,
}

/// Measures the spool; whether every promise is kept.
pub(crate) fn spool(under: Option<&Path>, backlog_mib: u64) -> Result<bool> {
    crate::spool::measure(place(under)?.path(), backlog_mib, budgets()?.spool)
}

/// Measures the uploader; whether its promise is kept.
pub(crate) fn upload() -> Result<bool> {
    crate::upload::measure(place(None)?.path(), budgets()?.upload)
}

/// Measures local programs' way in; whether every promise is kept.
pub(crate) fn ingest(records: usize) -> Result<bool> {
    crate::ingest::measure(place(None)?.path(), records, budgets()?.ingest)
}

fn budgets() -> Result<Budgets> {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("budgets.toml");
    Ok(toml::from_str(&fs::read_to_string(file)?)?)
}

/// A directory that goes with its measurement, beside the build where none is named: `/tmp` may lie
/// in memory.
fn place(under: Option<&Path>) -> Result<TempDir> {
    let beside = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
    let under = under.unwrap_or(beside);
    fs::create_dir_all(under)?;
    Ok(tempfile::tempdir_in(under)?)
}
