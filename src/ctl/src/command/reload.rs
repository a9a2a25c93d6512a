//! `reload`: the same as SIGHUP.

use std::fmt::Write as _;

use crate::context::Context;
use crate::failure::Failure;
use crate::shown::Shown;

pub(crate) async fn run(context: &Context) -> Result<Shown, Failure> {
    let reloaded = context.client().reload().await?;
    let level = &reloaded.level;
    let mut text =
        format!("read again; level {} ({}): {}", level.effective, level.name, level.reason);
    for warning in &reloaded.warnings {
        let _ = write!(text, "\nnot used: {warning}");
    }
    Ok(Shown::new(text, &reloaded))
}
