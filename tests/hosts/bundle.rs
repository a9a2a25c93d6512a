//! The bundle for support: what its manifest says is what is in it, and nothing of the machine's secrets is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use candor_tests::{Agent, Collector, Outcome, Settings, eventually, need};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::canary;
use crate::tree::Tree;

/// Every part that there is.
const PARTS: [&str; 10] = [
    "about",
    "audit",
    "check",
    "explain",
    "history",
    "log",
    "preview",
    "providers",
    "stats",
    "status",
];

struct Machine {
    tree: Tree,
    agent: Agent,
    _collector: Collector,
}

/// A machine of secrets with an agent at level 3 that keeps its own log in files, and whose configuration has a
/// secret in a comment.
fn machine() -> Machine {
    let (tree, collector) = (canary::tree(), Collector::start());
    let mut agent = Agent::prepare(&Settings::level(0)).on_host(tree.root());
    let logs = agent.root().join("logs");
    let settings = Settings::to(&collector, 3)
        .table("log", &format!("dir = '{}'\n# {}", logs.display(), canary::PASSWORD));
    agent.configure(&settings);
    agent.run();
    eventually("something was uploaded", || {
        (agent.status()["events"]["uploaded"].as_u64()? > 0).then_some(())
    });
    Machine { tree, agent, _collector: collector }
}

fn command<'a>(out: &'a str, root: &'a Path) -> Vec<&'a str> {
    let root = root.to_str().expect("a path");
    vec!["diagnose", "--json", "--out", out, "--host-root", root]
}

fn bundle(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out).expect("the bundle")).expect("JSON")
}

fn names(bundle: &Value) -> Vec<&str> {
    let parts = bundle["parts"].as_object().expect("parts");
    parts.keys().map(String::as_str).collect()
}

#[test]
fn a_bundle_has_what_its_manifest_says_and_no_secret_of_the_machine() {
    let machine = machine();
    let out = machine.agent.root().join("bundle.json");
    let path = out.to_str().expect("a path");
    let arguments = command(path, machine.tree.root());
    let trial = machine.agent.ctl(&[&arguments[..], &["--dry-run"]].concat());
    assert_eq!((trial.code, out.exists()), (Some(0), false), "{trial:?}");
    assert!(trial.stderr.contains("left out:"), "the manifest is shown: {trial:?}");

    let outcome: Outcome = machine.agent.ctl(&arguments);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(fs::metadata(&out).expect("the bundle").mode() & 0o777, 0o600);
    let bundle = bundle(&out);
    assert_eq!(outcome.json()["manifest"], bundle["manifest"]);
    assert_eq!(names(&bundle), PARTS);
    for part in bundle["manifest"]["parts"].as_array().expect("a manifest") {
        let text = bundle["parts"][part["name"].as_str().expect("a name")].to_string();
        let digest = Sha256::digest(&text);
        let digest = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!((&part["bytes"], &part["sha256"]), (&text.len().into(), &digest.into()));
    }
    let left_out = bundle["manifest"]["left_out"].to_string();
    assert!(left_out.contains("secrets") && left_out.contains("agent.toml"), "{left_out}");

    canary::search("the bundle", &fs::read(&out).expect("the bundle"));
    let preview = bundle["parts"]["preview"].as_array().expect("records");
    assert!(preview.iter().any(|record| record["name"] == "candor.log.record"), "level 3");
    assert!(!bundle["parts"]["log"].as_array().expect("lines").is_empty());
    let changes = bundle["parts"]["history"]["changes"].to_string();
    assert!(!changes.contains("\"uid\"") && !changes.contains("\"user\""), "{changes}");
}

#[test]
fn who_may_see_less_has_less_in_the_bundle_and_is_told_why() {
    if !need("root, to become a user without rights", nix::unistd::geteuid().is_root()) {
        return;
    }
    let machine = machine();
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("the way");
    fs::set_permissions(machine.tree.root(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("the way");
    let out = dir.path().join("bundle.json");
    let outcome =
        machine.agent.ctl_as_stranger(&command(out.to_str().expect("a path"), machine.tree.root()));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let bundle = bundle(&out);
    let names = names(&bundle);
    assert!(names.contains(&"status") && !names.contains(&"audit") && !names.contains(&"history"));
    let left_out = bundle["manifest"]["left_out"].as_array().expect("a list");
    let why =
        |name: &str| left_out.iter().find(|left| left["name"] == name).map(|left| &left["why"]);
    assert!(
        why("history").and_then(Value::as_str).is_some_and(|why| !why.is_empty()),
        "{left_out:?}"
    );
}

#[test]
fn without_an_agent_the_bundle_has_what_can_be_said() {
    let agent = Agent::prepare(&Settings::level(1));
    let out = agent.root().join("bundle.json");
    let outcome = agent.ctl(&command(out.to_str().expect("a path"), Tree::new().root()));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let bundle = bundle(&out);
    assert_eq!(names(&bundle), ["about", "check", "explain", "preview", "providers"]);
    assert!(bundle["manifest"]["left_out"].to_string().contains("status"));
}
