//! Lowering the level while thousands of records wait: within two seconds nothing of them is left on
//! the disk, not in a row, not in a free page, not in the log; and the ledger is exact. That the search
//! would find what secure deletion leaves out is shown where the switch is: `src/spool/src/queue.rs`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use candor_tests::{Agent, Collector, Settings, eventually};

use crate::delivery::assert_balanced;
use crate::waiting::{Waiting, contents};

const PROMISE: Duration = Duration::from_secs(2);
/// What only level 3 tells: the names of processes.
const CANARY: &str = "canary-of-level-3";
const WAITING: u64 = 3000;

/// A machine with many processes that all have the canary's name.
fn host(dir: &Path) {
    let write = |path: String, text: &str| {
        let path = dir.join("proc").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "stat".into(),
        "cpu  4000 0 1000 90000 10 0 0 0 0 0\ncpu0 4000 0 1000 90000 10 0 0 0 0 0\nctxt 1\nprocesses 1\n",
    );
    write("uptime".into(), "5000.00 9000.00\n");
    write(
        "meminfo".into(),
        "MemTotal: 8000000 kB\nMemFree: 4000000 kB\nMemAvailable: 5000000 kB\n",
    );
    write("loadavg".into(), "0.10 0.20 0.30 1/100 4711\n");
    for pid in 100..160 {
        let stat = format!(
            "{pid} ({CANARY}) S 1 1 1 0 -1 4194304 1 0 0 0 500 100 0 0 20 0 4 0 1000 10000000 2000 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n"
        );
        write(format!("{pid}/stat"), &stat);
    }
}

#[test]
fn lowering_leaves_none_of_thousands_of_waiting_records_on_the_disk() {
    let tree = tempfile::tempdir().unwrap();
    host(tree.path());
    // Nobody listens: everything waits, and nothing was ever attempted.
    let collector = Collector::prepare();
    let settings = Settings::to(&collector, 3).replace("500ms", "100ms").replace("200ms", "100ms");
    let mut agent = Agent::prepare(&settings).on_host(tree.path());
    agent.run();
    eventually("thousands wait", || {
        let by_level = agent.status()["events"]["by_level"].clone();
        let above = by_level["2"].as_u64()? + by_level["3"].as_u64()?;
        (above > WAITING).then_some(())
    });
    assert_eq!(agent.ctl(&["flush", "--stop-probes"]).code, Some(0));
    let before = agent.status();
    let state = agent.path("var/lib/candor/x").parent().unwrap().to_owned();
    let waiting = eventually("they lie on the disk", || Waiting::read(&state));
    let rows = [2, 3].map(|level| waiting.count(|its| its == level));
    assert!(rows.iter().all(|rows| *rows > 10), "{rows:?}");

    let from = Instant::now();
    let lowered = agent.ctl(&["set-level", "1", "--json"]);
    assert_eq!(lowered.code, Some(0), "{lowered:?}");
    let left = contents(&state);
    let took = from.elapsed();
    let found = waiting.levels_in(&left);
    assert!(found.iter().all(|level| *level <= 1), "{found:?} after {took:?}");
    assert!(took < PROMISE, "{took:?}");

    let after = agent.status();
    assert_balanced(&after);
    let withdrawn = after["events"]["dropped_by_reason"]["withdrawn"].as_u64().unwrap();
    assert_eq!(lowered.json()["withdrawn"], withdrawn);
    let above = |status: &serde_json::Value| {
        ["2", "3"]
            .map(|level| status["events"]["by_level"][level].as_u64().unwrap())
            .iter()
            .sum::<u64>()
    };
    assert_eq!(withdrawn, above(&before), "all of them and no other: {after}");
    assert_eq!(above(&after), above(&before), "{after}");
    assert!(after["events"]["pending"].as_u64() > Some(0), "what is allowed still waits: {after}");
}
