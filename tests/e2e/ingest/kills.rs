//! kill -9 of the agent in the middle of taking records in: what it acknowledged is at the collector, once.
//!
//! # Invariants
//! - A program sends a batch again, with the same ids, until it is acknowledged, as exporters do: what was
//!   kept and not acknowledged may so be sent twice, and must arrive once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use candor_tests::{Collector, Program, eventually, export};
use serde_json::Value;

use super::{order, prepared, uid};
use crate::delivery::assert_balanced;

/// How often it is killed.
const KILLS: u64 = 50;
/// Programs that send at the same time.
const PROGRAMS: u64 = 4;
/// Records of one request.
const BATCH: u64 = 20;

/// What the programs share.
#[derive(Default)]
struct Load {
    next: AtomicU64,
    is_over: AtomicBool,
    acknowledged: Mutex<BTreeSet<u64>>,
}

impl Load {
    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Sends batch after batch; each until it is acknowledged or all is over.
    fn send(&self, root: &Path) {
        let mut program = None;
        while !self.is_over.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(BATCH, Ordering::Relaxed);
            let orders: Vec<Value> = (first..first + BATCH).map(order).collect();
            let request = export("logs", "shop", &orders);
            while !self.is_over.load(Ordering::Relaxed) {
                if post(&mut program, root, &request) {
                    self.acknowledged.lock().unwrap().extend(first..first + BATCH);
                    break;
                }
                // It is dead, or starts: nobody waits for this time, it only spares the machine.
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The programs end with this, also where the test fails.
struct End<'a>(&'a Load);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Whether the agent acknowledged all of it; a connection that failed is given up.
fn post(program: &mut Option<Program>, root: &Path, request: &Value) -> bool {
    if program.is_none() {
        *program = Program::connect(root).ok();
    }
    let Some(open) = program else { return false };
    match open.post_json("/v1/logs", request) {
        Ok(reply) if reply.status == 200 => {
            assert_eq!(reply.text(), "{}", "all of it was kept");
            true
        }
        Ok(reply) => {
            assert!([429, 503].contains(&reply.status), "{reply:?}");
            false
        }
        Err(_) => {
            *program = None;
            false
        }
    }
}

#[test]
fn fifty_kills_under_load_lose_and_double_nothing_that_was_acknowledged() {
    let collector = Collector::start();
    let mut agent = prepared(&collector, 2);
    let (load, root): (Load, PathBuf) = (Load::default(), agent.root());
    thread::scope(|scope| {
        let _end = End(&load);
        for _ in 0..PROGRAMS {
            scope.spawn(|| load.send(&root));
        }
        for round in 0..KILLS {
            agent.run();
            // Another point of its work each time.
            let wanted = load.count() + usize::try_from(1 + round % 7 * BATCH * 3).unwrap();
            eventually("records are acknowledged", || (load.count() >= wanted).then_some(()));
            agent.kill();
        }
    });
    agent.run();
    agent.settle();
    assert_eq!(agent.ctl(&["audit"]).code, Some(0));
    assert_balanced(&agent.status());
    assert_eq!(agent.status()["events"]["dropped"], 0);

    // What was kept, not acknowledged and sent again has two numbers and stands there once; nothing is missing.
    assert_eq!(collector.gaps(), Vec::<Value>::new());

    let mut arrived = BTreeMap::<String, usize>::new();
    for record in collector.records() {
        if record["name"] == "shop.order" {
            *arrived.entry(record["uid"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let acknowledged = load.acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() as u64 > KILLS * BATCH);
    let lost: Vec<_> = acknowledged.iter().filter(|n| !arrived.contains_key(&uid(**n))).collect();
    assert_eq!(lost, Vec::<&u64>::new(), "acknowledged and lost");
    assert!(arrived.values().all(|times| *times == 1), "a record stands twice");
}
