//! `check`: every finding with file, line and what to change.

use std::fmt::Write as _;

use candor_policy::{Severity, check_all, check_file};
use serde_json::json;

use crate::cli::CheckOptions;
use crate::context::Context;
use crate::failure::{BAD_CONFIGURATION, NOT_PERMITTED};
use crate::shown::Shown;

pub(crate) fn run(context: &Context, options: &CheckOptions) -> Shown {
    let checked = match &options.file {
        Some(file) => check_file(file),
        None => check_all(&context.layout, context.config()),
    };
    let mut text = String::new();
    let mut findings = Vec::new();
    for finding in &checked.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Remark => "remark",
        };
        let _ = writeln!(text, "{severity}: {finding}");
        findings.push(json!({
            "severity": severity, "file": finding.file, "line": finding.line, "column": finding.column,
            "key": finding.key, "problem": finding.problem,
        }));
    }
    if !checked.has_errors() {
        let _ = match checked.files.as_slice() {
            [] => writeln!(text, "nothing to check: no file is there, the defaults hold"),
            files => writeln!(text, "good: {}", files.join(", ")),
        };
    }
    let is_hidden = options.file.is_none() && !context.snapshot().effective.not_readable.is_empty();
    let exit_code = match checked.has_errors() {
        _ if is_hidden => NOT_PERMITTED,
        true => BAD_CONFIGURATION,
        false => 0,
    };
    let facts =
        json!({ "good": !checked.has_errors(), "files": checked.files, "findings": findings });
    Shown::new(text, &facts).with_exit_code(exit_code)
}
