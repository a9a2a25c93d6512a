//! An upgrade: a newer agent on the state that an earlier version left. The fixture was written by the
//! agent of 0.1.0 before its store knew gaps.

use std::fs;
use std::path::Path;

use candor_tests::{Agent, Collector, Settings};

use crate::delivery::assert_balanced;

const EARLIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/state-0.1.0");
/// What the earlier agent had.
const INSTALL_ID: &str = "6888a005-304d-4896-8b39-2b61769a203d";
const GENERATED: u64 = 15;

#[test]
fn an_upgrade_keeps_level_id_ledger_and_trail() {
    let mut collector = Collector::prepare();
    // The packaged configuration may well allow more than the operator did.
    let mut agent = Agent::prepare(&Settings::to(&collector, 3)).with_state(Path::new(EARLIER));
    let secret = fs::read(agent.path("var/lib/candor/secret")).unwrap();
    let trail = fs::read_to_string(agent.path("var/lib/candor/audit.log")).unwrap();
    agent.run();

    let status = agent.status();
    assert_eq!(status["install_id"], INSTALL_ID, "{status}");
    assert_eq!(status["level"]["effective"], 1, "{status}");
    assert_balanced(&status);
    assert!(status["events"]["generated"].as_u64() >= Some(GENERATED), "{status}");
    assert!(status["events"]["dropped_by_reason"]["disabled"].as_u64() >= Some(6), "{status}");
    assert_eq!(status["events"]["dropped_by_reason"]["corrupt"], 0, "{status}");
    assert_eq!(fs::read(agent.path("var/lib/candor/secret")).unwrap(), secret);
    let kept = fs::read_to_string(agent.path("var/lib/candor/audit.log")).unwrap();
    assert!(kept.starts_with(&trail), "{kept}");
    let shown = agent.ctl(&["explain", "--history"]).stdout;
    assert!(shown.contains("2 -> 1") && shown.contains("a quiet host"), "{shown}");

    collector.serve();
    agent.settle();
    let records = collector.records();
    assert!(records.iter().all(|record| record["install_id"] == INSTALL_ID));
    assert!(records.iter().all(|record| record["level"].as_u64() <= Some(1)));
    assert!(
        records.iter().any(|record| record["seq"].as_u64() <= Some(GENERATED)),
        "what waited is gone"
    );
}

#[test]
fn an_upgrade_does_not_switch_on_what_was_off() {
    let collector = Collector::prepare();
    let mut agent = Agent::prepare(&Settings::to(&collector, 3)).with_state(Path::new(EARLIER));
    let setting = agent.path("var/lib/candor/operator.toml");
    let text =
        fs::read_to_string(&setting).unwrap().replace("UploadEnabled = 1", "UploadEnabled = 0");
    fs::write(&setting, text).unwrap();
    agent.run();
    let status = agent.status();
    assert_eq!(status["upload"]["state"], "off", "{status}");
    assert_eq!(status["events"]["pending"], 0, "{status}");
    assert_eq!(status["install_id"], INSTALL_ID, "{status}");
}
