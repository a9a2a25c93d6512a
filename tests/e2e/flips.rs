//! One flipped bit anywhere in the state directory of a stopped agent: it starts by itself, delivers every
//! record that can still be read and none that cannot, and counts exactly what is gone.
//!
//! # Invariants
//! - Every file is hit: the store, its log, the mirror, the journal, the reserves, the operator's setting,
//!   the audit trail. Of the store half of the flips hit the heads of its pages.
//! - What a flip makes of the operator's setting counts as if he had said it; what nobody understands
//!   counts as level 0 with upload on hold, until he says it again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor_tests::{Agent, Collector, Settings, eventually};
use serde_json::Value;

use crate::delivery::assert_balanced;

/// Agents that are started, each with one bit flipped in a copy of the same state.
fn flips() -> usize {
    if std::env::var_os("CANDOR_LONG").is_some() { 3000 } else { 80 }
}

/// The files of a state directory, by their paths in it.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// What a record says, without when and as whom it came.
fn facts(record: &Value) -> String {
    let own = ["seq", "uid", "level", "kind", "name", "time", "attributes"];
    own.map(|key| record[key].to_string()).join(" ")
}

/// An agent that has sent something, was set by its operator, and was killed with records waiting, in the
/// store and in the log.
fn stopped(collector: &mut Collector) -> Agent {
    let mut agent = Agent::start(&Settings::to(collector, 2));
    assert_eq!(agent.ctl(&["set-level", "3", "--reason", "flips"]).code, Some(0));
    let count = |agent: &Agent, key: &str| agent.status()["events"][key].as_u64().unwrap();
    eventually("some are sent", || (count(&agent, "uploaded") > 30).then_some(()));
    collector.kill();
    eventually("records wait", || (count(&agent, "pending") > 150).then_some(()));
    // A stop folds the log in; then some more come, and a kill leaves them in the log.
    assert!(agent.stop().success(), "{}", agent.log());
    agent.run();
    eventually("more wait", || (count(&agent, "pending") > 200).then_some(()));
    agent.kill();
    agent
}

/// The place of the `n`th flip: every file in turn, spread over its length.
fn place(whole: &BTreeMap<PathBuf, Vec<u8>>, n: usize, all: usize) -> (&Path, usize) {
    const PAGE: usize = 4096;
    let of: Vec<_> = whole.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    let (path, bytes) = of[n % of.len()];
    let (step, each) = (n / of.len(), all.div_ceil(of.len()));
    let at = if path.ends_with("spool.db") && step % 2 == 1 {
        // The first page begins with the head of the file.
        step / 2 * PAGE + step / 2 * 7 % 108
    } else {
        step * bytes.len() / each + step * 13 % 97
    };
    (path, at % bytes.len())
}

/// A state, what it held, and who shows what becomes of it.
struct Scene {
    agent: Agent,
    collector: Collector,
    state: PathBuf,
    whole: BTreeMap<PathBuf, Vec<u8>>,
    truth: BTreeMap<u64, String>,
    /// How many records wait, what was sent before, and the number after the last of them.
    waited: u64,
    sent: u64,
    next: u64,
}

impl Scene {
    fn begin() -> Self {
        let mut collector = Collector::start();
        let mut agent = stopped(&mut collector);
        let state = agent.root().join("var/lib/candor");
        let whole = files(&state);
        let (sent, next) = counters(&whole[&state.join("counters.mirror")]);
        // What is there to be delivered: the same state, whole.
        collector.serve();
        collector.empty();
        agent.run();
        agent.settle();
        agent.kill();
        let records = collector.records();
        let truth: BTreeMap<u64, String> =
            records.iter().map(|record| (record["seq"].as_u64().unwrap(), facts(record))).collect();
        let waited = next - 1 - sent;
        assert_eq!(truth.range(..next).count() as u64, waited);
        Self { agent, collector, state, whole, truth, waited, sent, next }
    }

    fn restore(&self) {
        for path in files(&self.state).into_keys() {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in &self.whole {
            fs::write(path, bytes).unwrap();
        }
    }

    /// Starts on a state with a bit flipped, and delivers what it can.
    fn run(&mut self, what: &str) -> Value {
        self.collector.empty();
        self.agent.run();
        let status = self.agent.status();
        if status["level"]["effective"] == 0 {
            // As `agentctl` asks for: repaired by hand, or removed.
            self.agent.write("var/lib/candor/operator.toml", "AllowTelemetry = 3\n");
            eventually("the repaired setting counts", || {
                (self.agent.status()["level"]["effective"] == 3).then_some(())
            });
        }
        if status["upload"]["enabled"] == false {
            assert_eq!(self.agent.ctl(&["enable"]).code, Some(0), "{what}");
        }
        self.agent.settle();
        let status = self.agent.status();
        assert_balanced(&status);
        self.agent.kill();
        status
    }

    fn check(&self, what: &str, status: &Value) {
        let dropped = &status["events"]["dropped_by_reason"];
        let count = |reason: &str| dropped[reason].as_u64().unwrap();
        let gone = count("corrupt") + count("withdrawn") + count("disabled");
        let records = self.collector.records();
        let mut seen = 0;
        for record in &records {
            let seq = record["seq"].as_u64().unwrap();
            if seq < self.next {
                assert_eq!(Some(&facts(record)), self.truth.get(&seq), "{what}");
                seen += 1;
            }
        }
        assert_eq!(seen + gone, self.waited, "{what}: {status}");
        assert_eq!(status["events"]["dropped"].as_u64(), Some(gone), "{what}: {status}");
        let arrived = self.sent + records.len() as u64;
        assert_eq!(status["events"]["uploaded"].as_u64(), Some(arrived), "{what}: {status}");
        // Only what concerns the store costs records by itself, and only the operator takes them back.
        let of = |names: &[&str]| names.iter().any(|name| what.contains(name));
        assert!(count("corrupt") == 0 || of(&["spool.db", "counters.mirror"]), "{what}: {status}");
        assert!(gone == count("corrupt") || of(&["operator.toml"]), "{what}: {status}");
    }
}

#[test]
fn one_flipped_bit_anywhere_costs_what_it_hit_and_is_counted() {
    let mut scene = Scene::begin();
    let names: Vec<_> = scene.whole.keys().map(|path| path.strip_prefix(&scene.state)).collect();
    eprintln!("{} flips in {names:?}", flips());
    for file in ["spool.db-wal", "spool.reserve", "operator.toml", "operator.reserve", "audit.log"]
    {
        assert!(scene.whole.contains_key(&scene.state.join(file)), "{file}");
    }
    assert!(scene.whole.keys().any(|path| path.starts_with(scene.state.join("journal"))));
    for n in 0..flips() {
        scene.restore();
        let (path, at) = place(&scene.whole, n, flips());
        let mut bent = scene.whole[path].clone();
        bent[at] ^= 1 << (n % 8);
        fs::write(path, bent).unwrap();
        let what = format!("bit {} of byte {at} of {}", n % 8, path.display());
        let status = scene.run(&what);
        scene.check(&what, &status);
    }
}

/// How many records were sent, and the number that comes next, by a mirror.
fn counters(mirror: &[u8]) -> (u64, u64) {
    let text = String::from_utf8_lossy(&mirror[1024..]).into_owned();
    let word = |word: &str| -> u64 {
        let found = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        found.unwrap().parse().unwrap()
    };
    (word("uploaded"), word("next_seq"))
}
