//! `preview --level N` is what a running agent at level N sends, field by field, on a machine that does not
//! change meanwhile; what may differ all the same is listed in [`crate::volatile`].
//!
//! # Invariants
//! - Both directions: what is shown was sent, and what was sent is shown. A report that had nothing earlier
//!   to compare with, such as an agent's first, may say less than what is shown, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use candor_tests::{Agent, Collector, Settings, eventually, need};
use serde_json::Value;

use crate::canary;
use crate::tree::Tree;
use crate::volatile::leaves;

type Leaves = Vec<(String, String)>;

/// A machine of which all levels tell something, and an agent on it whose programs crash while it looks.
struct Running {
    tree: Tree,
    collector: Collector,
    agent: Agent,
}

fn running(settings: impl Fn(&Collector) -> Settings) -> Running {
    let (tree, collector) = (canary::before_crashes(), Collector::start());
    let mut agent = Agent::prepare(&settings(&collector)).on_host(tree.root());
    agent.run();
    eventually("every probe has looked", || {
        let status = agent.status();
        let probes = status["probes"].as_array().filter(|probes| !probes.is_empty())?;
        let has_looked =
            |probe: &Value| probe["last_success"].is_string() || probe["last_error"].is_string();
        probes.iter().all(has_looked).then_some(())
    });
    crash(&tree);
    Running { tree, collector, agent }
}

/// Each keeper's directory appears whole: the agent looks on.
fn crash(tree: &Tree) {
    let aside = Tree::new();
    canary::crashes(&aside);
    for keeper in ["var/lib/systemd/coredump", "var/crash"] {
        let place = tree.root().join(keeper);
        fs::create_dir_all(place.parent().expect("a parent")).expect("directories");
        fs::rename(aside.root().join(keeper), place).expect("the keeper's directory");
    }
}

impl Running {
    fn preview(&self, level: u8) -> Vec<Value> {
        let (level, root) = (level.to_string(), self.tree.root().to_str().expect("a path"));
        let outcome =
            self.agent.ctl(&["preview", "--level", &level, "--json", "--host-root", root]);
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{outcome:?}");
        outcome.lines()
    }

    /// Waits until what is shown and what was sent agree; what they differed in last is printed.
    fn agrees(&self, level: u8) -> BTreeSet<String> {
        eventually("what is shown is what was sent", || {
            // What lingers is not waited for.
            let flushed = self.agent.ctl(&["flush", "--wait"]);
            assert_eq!(flushed.code, Some(0), "{flushed:?}");
            let (shown, sent) = (by_name(&self.preview(level)), by_name(&self.collector.records()));
            let differences = differences(&shown, &sent);
            if differences.is_empty() {
                return Some(shown.into_keys().collect());
            }
            println!("at level {level}:\n{}\n", differences.join("\n"));
            None
        })
    }
}

fn by_name(records: &[Value]) -> BTreeMap<String, BTreeSet<Leaves>> {
    let mut names: BTreeMap<String, BTreeSet<Leaves>> = BTreeMap::new();
    for record in records {
        let name = record["name"].as_str().expect("a name").to_owned();
        names.entry(name).or_default().insert(leaves(record));
    }
    names
}

fn differences(
    shown: &BTreeMap<String, BTreeSet<Leaves>>,
    sent: &BTreeMap<String, BTreeSet<Leaves>>,
) -> Vec<String> {
    let none = BTreeSet::new();
    let mut found = Vec::new();
    for name in shown.keys().chain(sent.keys()).collect::<BTreeSet<_>>() {
        let (shown, sent) = (shown.get(name).unwrap_or(&none), sent.get(name).unwrap_or(&none));
        let unsent = shown.difference(sent).map(|it| format!("shown and not sent: {name} {it:?}"));
        let is_less = |it: &Leaves| shown.iter().any(|whole| is_part(it, whole));
        let unshown = sent.difference(shown).filter(|it| !is_less(it));
        found.extend(unsent.chain(unshown.map(|it| format!("sent and not shown: {name} {it:?}"))));
    }
    found
}

/// Whether `whole` says all of `part`, in its order.
fn is_part(part: &Leaves, whole: &Leaves) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|leaf| rest.any(|it| it == leaf))
}

#[test]
fn a_preview_is_what_a_running_agent_sends_field_by_field_at_every_level() {
    let mut below = BTreeSet::new();
    for level in 0..=3 {
        let running = running(|collector| Settings::to(collector, level));
        let names = running.agrees(level);
        assert!(canary::search_all_that_left(&running.agent, level) > 0, "nothing left");
        assert!(names.is_superset(&below) && names.len() > below.len(), "{level}: {names:?}");
        below = names;
    }
    // Keyed ids, free text, comparisons of two looks and something that happened: the tree has them all.
    for name in [
        "candor.network.connections",
        "candor.log.record",
        "process.cpu.time",
        "candor.crash.summary",
    ] {
        assert!(below.contains(name), "{name}: {below:?}");
    }
}

#[test]
fn a_preview_collects_no_logs_where_policy_says_so() {
    let limited = |collector: &Collector| {
        Settings::to(collector, 3).with("LimitDiagnosticLogCollection", "1")
    };
    let names = running(limited).agrees(3);
    assert!(
        names.contains("candor.process.table") && !names.contains("candor.log.record"),
        "{names:?}"
    );
}

#[test]
fn who_may_not_read_the_secret_is_told_that_the_ids_shown_are_others() {
    if !need("root, to become a user without rights", nix::unistd::geteuid().is_root()) {
        return;
    }
    let running = running(|collector| Settings::to(collector, 3));
    let root = running.tree.root();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).expect("the way");
    let root = root.to_str().expect("a path");
    let command = ["preview", "--level", "3", "--json", "--host-root", root];
    let outcome = running.agent.ctl_as_stranger(&command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("you may not read the installation's secret"), "{outcome:?}");
    let connections = |records: &[Value]| {
        let name = "candor.network.connections";
        records.iter().find(|record| record["name"] == name).map(leaves).expect("connections")
    };
    assert_ne!(connections(&outcome.lines()), connections(&running.preview(3)));
    // Without keyed ids there is nothing to say.
    let outcome = running.agent.ctl_as_stranger(&["preview", "--level", "0", "--json"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{outcome:?}");
}
