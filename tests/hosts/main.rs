//! The probes and the level's gate on machines that are not at hand: kept as text beside these files
//! (`README.md`), with what `agentctl preview` must say of each; and on trees that are stuffed with what
//! must not leave.
//!
//! # Invariants
//! - The program is the real one; only the directory that it takes for `/` is made.
//! - What must never leave (serial numbers, addresses, names) is planted in the trees and looked
//!   for in every record at every level.

#![cfg(target_os = "linux")]

use candor_tests::{Agent, Settings};
use serde_json::Value;

mod archive;
mod bundle;
mod canary;
mod golden;
mod recording;
mod sent;
mod stuck;
mod tree;
mod volatile;

use tree::Tree;

/// Stands in every place of the trees from which nothing may leave.
const SECRET: &str = "S3CR3T";

/// What `preview` says of a tree at a level, the agent's own events left out.
fn preview(tree: &Tree, level: u8) -> Vec<Value> {
    let agent = Agent::prepare(&Settings::level(0));
    let (level, root) = (level.to_string(), tree.root().to_str().expect("a path"));
    let outcome = agent.ctl(&["preview", "--level", &level, "--json", "--host-root", root]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.stdout.contains(SECRET), "{}", outcome.stdout);
    let own = ["candor.agent.", "candor.telemetry."];
    let is_own = |record: &Value| {
        own.iter().any(|own| record["name"].as_str().is_some_and(|name| name.starts_with(own)))
    };
    let mut records = outcome.lines();
    records.retain(|record| !is_own(record));
    records
}
