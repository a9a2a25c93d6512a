//! What `agentctl check` says: every finding of a file, or of all files of an instance.
//!
//! Beyond what a reader must refuse, it looks at what would only show later: too few pins, a
//! certificate that does not exist.

use std::path::Path;

use candor_platform::Layout;

use crate::config::{Config, ConfigError};
use crate::document::read_words;
use crate::finding::{Finding, Severity};
use crate::layer::{LayerKind, Reading};
use crate::source::file::{Reader, read_operator, read_policy, read_trusted, short_name};
use crate::source::{ConfigReading, Sources};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The files that were looked at.
    pub files: Vec<String>,
    /// Every finding, file by file.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether something cannot be used as it is: exit 78.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Checks one file: a file in a `policy.d` as a policy, `operator.toml` as such, anything else as
/// a configuration.
#[must_use]
pub fn check_file(path: &Path) -> Checked {
    let file = path.display().to_string();
    let parent = path.parent().and_then(Path::file_name);
    let findings = if parent.is_some_and(|parent| parent == "policy.d") {
        words_findings(LayerKind::Policy, path, &file)
    } else if path.file_name().is_some_and(|name| name == "operator.toml") {
        words_findings(LayerKind::Operator, path, &file)
    } else {
        match Config::load(path) {
            Ok(Some(config)) => config_findings(&config, &file),
            Ok(None) => vec![missing(&file)],
            Err(error) => error.findings,
        }
    };
    Checked { files: vec![file], findings }
}

/// Checks the configuration and every policy file of an instance, and that together they suffice.
#[must_use]
pub fn check_all(layout: &Layout, config_file: Option<&Path>) -> Checked {
    let sources = Sources::new(layout, config_file).for_caller();
    let mut checked = Checked::default();
    let file = sources.config_file().display().to_string();
    match sources.read_config() {
        ConfigReading::Absent => {}
        ConfigReading::Read(config) => {
            checked.findings.extend(config_findings(&config, &file));
            checked.files.push(file);
        }
        ConfigReading::Bad(error) => {
            checked.findings.extend(error.findings);
            checked.files.push(file);
        }
    }
    if !cfg!(windows) || layout.has_root() {
        check_words(layout, &mut checked);
    }
    checked.findings.extend(together(&sources));
    checked
}

fn check_words(layout: &Layout, checked: &mut Checked) {
    let mut layers = read_policy(&layout.policy_dir(), layout.root(), Reader::Caller);
    layers.push(read_operator(&layout.operator_file(), Reader::Caller));
    for layer in layers {
        let path = Path::new(&layer.place);
        match &layer.reading {
            Reading::Absent => continue,
            Reading::Read { .. } | Reading::Malformed(_) => {
                checked.findings.extend(words_findings(layer.kind, path, &layer.place));
            }
            Reading::Unreadable(why) | Reading::NotReadableByYou(why) => {
                checked.findings.push(Finding::of_file(&layer.place, why.clone()));
            }
        }
        checked.files.push(layer.place);
    }
}

fn words_findings(kind: LayerKind, path: &Path, file: &str) -> Vec<Finding> {
    match read_trusted(path, Reader::Caller) {
        Ok(Some(bytes)) => read_words(&bytes, file, kind).findings,
        Ok(None) => vec![missing(file)],
        Err(reading) => {
            let why = reading.trouble().unwrap_or_default().to_owned();
            vec![Finding::of_file(&short_name(kind, path), why)]
        }
    }
}

fn missing(file: &str) -> Finding {
    Finding::of_file(file, "does not exist: name the file that is meant".to_owned())
}

/// What a readable configuration has besides: remarks, and files that it names and that are not
/// there.
fn config_findings(config: &Config, file: &str) -> Vec<Finding> {
    let upload = &config.upload;
    let named = [
        ("upload.ca_file", &upload.ca_file),
        ("upload.client_cert", &upload.client_cert),
        ("upload.client_key", &upload.client_key),
    ];
    let absent = named.into_iter().filter_map(|(key, path)| {
        let path = path.as_ref().filter(|path| !path.is_file())?;
        let problem = format!("{} is no file: put it there or correct the path", path.display());
        Some(Finding { key: key.to_owned(), ..Finding::of_file(file, problem) })
    });
    config.remarks.iter().cloned().chain(absent).collect()
}

/// What shows only when all layers are merged. Remarks: the agent runs, and holds.
fn together(sources: &Sources) -> Vec<Finding> {
    let snapshot = sources.load();
    let effective = &snapshot.effective;
    let config = sources.config_file().display().to_string();
    let remark = |key: &str, problem: &str| Finding {
        key: key.to_owned(),
        severity: Severity::Remark,
        ..Finding::of_file(&config, problem.to_owned())
    };
    let (pins, single) =
        (effective.certificate_pins.len(), snapshot.config.upload.allow_single_pin);
    if effective.events_endpoint.is_none() {
        let problem = "is stated nowhere: state it, or nothing is kept and nothing is sent";
        return vec![remark("EventsEndpoint", problem)];
    }
    if pins >= 2 || (pins == 1 && single) {
        return Vec::new();
    }
    vec![remark("CertificatePins", "has fewer than two pins: add a backup pin, or uploads hold")]
}

impl From<ConfigError> for Checked {
    fn from(error: ConfigError) -> Self {
        Self { files: Vec::new(), findings: error.findings }
    }
}
