//! The arrows between the rooms, pinned: who may know whom, and which rooms may talk to the operating system.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms that it may know.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("platform", &[]),
    ("policy", &["model", "platform"]),
    ("probes", &["model", "platform"]),
    ("privacy", &["model"]),
    ("otlp", &["model"]),
    ("spool", &["model", "platform"]),
    ("journal", &["model", "platform"]),
    ("chronicle", &["model", "otlp", "spool", "journal", "control", "providers"]),
    ("upload", &["model", "policy", "otlp", "spool", "journal"]),
    ("control", &["model", "platform"]),
    ("providers", &["model", "policy", "privacy"]),
    // It stands between local programs and the spool, as probes and pipeline do for the host.
    ("ingest", &["model", "platform", "otlp", "privacy", "providers", "spool"]),
    ("client", &[]),
    ("scrape", &["model", "policy"]),
    ("pipeline", &["model", "platform", "otlp", "policy", "privacy", "probes"]),
    ("view", &["platform"]),
    (
        "ctl",
        &[
            "model",
            "platform",
            "otlp",
            "policy",
            "probes",
            "spool",
            "journal",
            "chronicle",
            "pipeline",
            "upload",
            "control",
            "providers",
            "view",
            "client",
        ],
    ),
    ("collector", &["model", "platform", "otlp"]),
    (
        "service",
        &[
            "model",
            "platform",
            "policy",
            "probes",
            "privacy",
            "otlp",
            "spool",
            "journal",
            "chronicle",
            "upload",
            "control",
            "pipeline",
            "providers",
            "ingest",
            "scrape",
        ],
    ),
    ("try", &["tests"]),
    ("tests", &[]),
    // Only for the tests of others.
    ("fuzz", &[]),
    ("bench", &["journal", "model", "otlp", "platform", "probes", "spool", "tests", "upload"]),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn manifests() -> BTreeMap<String, (PathBuf, toml::Table)> {
    let root: toml::Table =
        fs::read_to_string(workspace().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = root["workspace"]["members"].as_array().unwrap();
    let read = |member: &toml::Value| {
        let dir = workspace().join(member.as_str().unwrap());
        let manifest: toml::Table =
            fs::read_to_string(dir.join("Cargo.toml")).unwrap().parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap();
        (name.strip_prefix("candor-").unwrap().to_owned(), (dir, manifest))
    };
    members.iter().map(read).collect()
}

/// The rooms in `[dependencies]`, for any target.
fn known(manifest: &toml::Table) -> BTreeSet<String> {
    let mut tables: Vec<&toml::Table> =
        manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().collect();
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(|target| target.get("dependencies")?.as_table()));
    }
    tables
        .into_iter()
        .flat_map(toml::Table::keys)
        .filter_map(|name| name.strip_prefix("candor-"))
        .map(str::to_owned)
        .collect()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (dir, _) in manifests().into_values() {
        sources(&dir, &mut found);
    }
    found
}

#[test]
fn every_arrow_between_rooms_is_drawn() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let manifests = manifests();
    for (room, (_, manifest)) in &manifests {
        let allowed = arrows
            .get(room.as_str())
            .unwrap_or_else(|| unreachable!("{room} is no room of the plan"));
        for other in known(manifest) {
            assert!(allowed.contains(&other.as_str()), "{room} must not know {other}");
        }
    }
    assert_eq!(manifests.len(), ARROWS.len(), "a room of the plan is missing");
}

#[test]
fn every_file_says_what_it_is() {
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} does not begin with //!", path.display());
    }
}

#[test]
fn no_file_grows_past_its_limit() {
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap().lines().count();
        assert!(
            code <= 500,
            "{} has {code} lines without its tests; 500 is the limit",
            path.display()
        );
    }
}

/// Raw calls stay where they can be reviewed together; elsewhere each stands with its reason.
#[test]
fn unsafe_code_outside_platform_states_its_reason() {
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            let is_unsafe = code.starts_with("unsafe ")
                || code.contains(" unsafe {")
                || code.contains("(unsafe {");
            if is_unsafe
                && !code.starts_with("//")
                && !path.components().any(|part| part.as_os_str() == "platform")
            {
                assert!(
                    text.contains("[expect(unsafe_code, reason"),
                    "{}:{} has unsafe code without a reason",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}
