//! kill -9 of the agent and of the collector at random moments, while programs hand records over and the
//! probes look at the host as fast as they may: at the start, in a commit, in an upload, in an answer.
//!
//! # Invariants
//! - A program never sends a record again, so each arrives once or, unless it was acknowledged, not at all.
//! - The moments come from one seed, which a failure prints; `CANDOR_SEED` draws them again. What the
//!   programs do in them is the machine's.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use candor_tests::{Agent, Collector, Program, Settings, eventually, export};
use serde_json::{Value, json};

use crate::delivery::{assert_balanced, sequence};
use crate::ingest::SHOP;

/// Programs that send at the same time.
const PROGRAMS: u64 = 3;
/// Records of one request.
const BATCH: u64 = 10;

/// Kills of each of the two.
fn kills() -> usize {
    if std::env::var_os("CANDOR_LONG").is_some() { 100 } else { 10 }
}

/// What is drawn from the seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let given = std::env::var("CANDOR_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one("kills"));
        eprintln!("the moments of this run: CANDOR_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// Lets up to so many milliseconds pass: the moment is what is drawn, nothing is waited for.
    fn pass(&mut self, most: u64) {
        thread::sleep(Duration::from_micros(self.below(most * 1000)));
    }
}

/// What the programs share.
#[derive(Default)]
struct Load {
    next: AtomicU64,
    is_over: AtomicBool,
    acknowledged: Mutex<Vec<u64>>,
}

impl Load {
    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Sends batch after batch, each once.
    fn send(&self, root: &Path) {
        let mut program = None;
        while !self.is_over.load(Ordering::Relaxed) {
            // A program does something between two of its requests.
            thread::sleep(Duration::from_millis(10));
            if program.is_none() {
                program = Program::connect(root).ok();
            }
            let Some(open) = &mut program else { continue };
            let first = self.next.fetch_add(BATCH, Ordering::Relaxed);
            let orders: Vec<Value> = (first..first + BATCH).map(order).collect();
            match open.post_json("/v1/logs", &export("logs", "shop", &orders)) {
                Ok(reply) if reply.status == 200 => {
                    assert_eq!(reply.text(), "{}", "all of it was kept");
                    self.acknowledged.lock().unwrap().extend(first..first + BATCH);
                }
                Ok(reply) => assert!([429, 503].contains(&reply.status), "{reply:?}"),
                Err(_) => program = None,
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

/// An order whose id is the agent's to make.
fn order(n: u64) -> Value {
    let number = json!({"key": "n", "value": {"intValue": n.to_string()}});
    json!({"eventName": "shop.order", "timeUnixNano": "5", "attributes": [number]})
}

/// The agent, the collector, and what is known of them.
struct Scene<'a> {
    agent: Agent,
    collector: Collector,
    load: &'a Load,
    dice: Dice,
}

impl Scene<'_> {
    /// Kills the agent at some moment of its start or its work; what it left agrees with itself, and
    /// holds what was acknowledged.
    fn kill_agent(&mut self) {
        match self.dice.below(3) {
            // It starts, and takes up what the kill before left.
            0 => {
                self.agent.kill();
                self.agent.spawn();
                self.dice.pass(400);
            }
            1 => {
                let wanted = self.load.count() + 1;
                eventually("more is acknowledged", || (self.load.count() >= wanted).then_some(()));
                self.dice.pass(150);
            }
            _ => {
                self.more_uploads();
                self.dice.pass(150);
            }
        }
        let acknowledged = self.load.count();
        self.agent.kill();
        let audit = self.agent.ctl(&["audit", "--json"]);
        assert_eq!(audit.code, Some(0), "{audit:?} {}", self.agent.log());
        let audit = audit.json();
        let count = |key: &str| audit[key].as_u64().unwrap();
        assert!(count("generated") >= acknowledged as u64, "{audit} {acknowledged}");
        assert_eq!(count("dropped"), 0, "{audit}");
        assert_eq!(count("generated"), count("uploaded") + count("pending_by_rows"), "{audit}");
        self.agent.run();
    }

    /// Kills the collector at some moment of its work.
    fn kill_collector(&mut self) {
        self.more_uploads();
        self.dice.pass(200);
        self.collector.kill();
        self.dice.pass(200);
        self.collector.serve();
        let audit = self.agent.ctl(&["audit"]);
        assert_eq!(audit.code, Some(0), "{audit:?}");
        let status = self.agent.status();
        assert_balanced(&status);
        assert_eq!(status["events"]["dropped"], 0, "{status}");
    }

    fn more_uploads(&self) {
        let before = self.uploaded();
        eventually("more is uploaded", || {
            // A back-off after the kill before is not waited for.
            assert_eq!(self.agent.ctl(&["flush"]).code, Some(0));
            (self.uploaded() > before).then_some(())
        });
    }

    fn uploaded(&self) -> u64 {
        self.agent.status()["events"]["uploaded"].as_u64().unwrap()
    }
}

/// Everything that the agent ever counted is at the collector, once; and so is every record that a
/// program handed over, at most once where it was not acknowledged.
fn assert_complete(scene: &Scene<'_>) {
    let status = scene.agent.status();
    assert_balanced(&status);
    assert_eq!(status["events"]["dropped"], 0, "{status}");
    assert_eq!(scene.agent.ctl(&["audit"]).code, Some(0));
    let records = scene.collector.records();
    let generated = status["events"]["generated"].as_u64().unwrap();
    assert_eq!(status["events"]["uploaded"].as_u64(), Some(generated), "{status}");
    assert!(sequence(&records).into_iter().eq(1..=generated), "the numbers have a hole");
    assert_eq!(scene.collector.gaps(), Vec::<Value>::new());

    let mut arrived = BTreeMap::<u64, usize>::new();
    for record in records.iter().filter(|record| record["name"] == "shop.order") {
        *arrived.entry(record["attributes"]["n"].as_u64().unwrap()).or_default() += 1;
    }
    let acknowledged = scene.load.acknowledged.lock().unwrap();
    let lost: Vec<_> = acknowledged.iter().filter(|n| !arrived.contains_key(n)).collect();
    assert_eq!(lost, Vec::<&u64>::new(), "acknowledged and lost");
    assert!(arrived.values().all(|times| *times == 1), "a record stands twice");
    eprintln!(
        "{} kills of each: {generated} records, {} of them of programs, {} acknowledged; lost 0, twice 0",
        kills(),
        arrived.len(),
        acknowledged.len()
    );
}

#[test]
fn kills_of_both_at_random_moments_under_load_lose_and_double_nothing() {
    let collector = Collector::start();
    let settings = Settings::to(&collector, 3)
        .replace("200ms", "100ms")
        .replace("\"500ms\"", "\"100ms\"\nmax_bytes_per_day = \"10GiB\"")
        .table("ingest", "socket = true");
    let mut agent = Agent::prepare(&settings);
    agent.write("etc/candor/providers.d/shop.toml", SHOP);
    agent.run();
    let (load, root) = (Load::default(), agent.root());
    let mut scene = Scene { agent, collector, load: &load, dice: Dice::new() };
    thread::scope(|scope| {
        let _end = End(&load);
        for _ in 0..PROGRAMS {
            scope.spawn(|| load.send(&root));
        }
        let mut left = [kills(); 2];
        while left != [0; 2] {
            let drawn = scene.dice.below(left.iter().sum::<usize>() as u64);
            let of_collector = drawn >= left[0] as u64;
            left[usize::from(of_collector)] -= 1;
            if of_collector { scene.kill_collector() } else { scene.kill_agent() }
        }
    });
    assert!(load.count() > kills(), "there was no load");
    scene.agent.settle();
    assert_complete(&scene);
}
