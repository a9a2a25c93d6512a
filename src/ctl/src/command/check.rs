//! `check`: every finding with file, line and what to change.

use std::fmt::Write as _;

use std::fs;
use std::path::Path;

use candor_policy::{Checked, Finding, ProviderFiles, Severity, check_all, check_file};
use candor_providers::Registry;
use serde_json::json;

use crate::cli::CheckOptions;
use crate::context::Context;
use crate::failure::{BAD_CONFIGURATION, NOT_PERMITTED};
use crate::shown::Shown;

pub(crate) fn run(context: &Context, options: &CheckOptions) -> Shown {
    let checked = match &options.file {
        Some(file) if is_manifest(file) => manifest(file),
        Some(file) => check_file(file),
        None => with_manifests(context, check_all(&context.layout, context.config())),
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

/// Whether a file is meant as a manifest: it lies where manifests lie.
fn is_manifest(file: &Path) -> bool {
    let parent = file.parent().and_then(Path::file_name);
    parent.is_some_and(|parent| parent == "providers.d" || parent == "providers")
}

fn manifest(path: &Path) -> Checked {
    let file = path.display().to_string();
    let findings = match fs::read_to_string(path) {
        Ok(text) => candor_providers::read(&text, &file).err().unwrap_or_default(),
        Err(error) => {
            let problem =
                format!("cannot be read ({error}): name a file that is there and readable");
            vec![Finding::of_file(&file, problem)]
        }
    };
    Checked { files: vec![file], findings }
}

/// Adds the manifests that the administrator added, and the switches.
fn with_manifests(context: &Context, mut checked: Checked) -> Checked {
    let files = ProviderFiles::for_caller(&context.layout);
    let registry = Registry::new(&files, &[], None);
    checked.files.extend(files.local.iter().map(|file| file.file.clone()));
    checked.findings.extend(registry.broken().iter().flat_map(|broken| broken.findings.clone()));
    if let Some(why) = registry.trouble() {
        let file = context.layout.provider_switches().display().to_string();
        checked.findings.push(Finding::of_file(&file, why.to_owned()));
        checked.files.push(file);
    }
    checked
}
