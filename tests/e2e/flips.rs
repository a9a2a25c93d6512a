//! One flipped bit anywhere in the state directory of a stopped agent: it starts by itself, delivers every
//! record that can still be read and none that cannot, and counts exactly what is gone.

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

/// The files of a state directory, but for the lock and the socket's like.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// What a record says, without when and as whom it came.
fn facts(record: &Value) -> String {
    let own = ["seq", "uid", "level", "kind", "name", "time", "attributes"];
    own.map(|key| record[key].to_string()).join(" ")
}

/// An agent that was killed with records waiting, in the store and in the log.
fn stopped(collector: &Collector) -> Agent {
    let mut agent = Agent::start(&Settings::to(collector, 3));
    eventually("records wait", || {
        (agent.status()["events"]["pending"].as_u64()? > 150).then_some(())
    });
    // A stop folds the log in; then some more come, and a kill leaves them in the log.
    assert!(agent.stop().success(), "{}", agent.log());
    agent.run();
    eventually("more wait", || (agent.status()["events"]["pending"].as_u64()? > 200).then_some(()));
    agent.kill();
    agent
}

/// The place of the `n`th flip: every file in turn, spread over its length.
fn place(whole: &BTreeMap<PathBuf, Vec<u8>>, n: usize, all: usize) -> Option<(&PathBuf, usize)> {
    // The reserve has no meaning, and its length is all that counts.
    let of: Vec<_> = whole
        .iter()
        .filter(|(path, bytes)| !bytes.is_empty() && !path.ends_with("spool.reserve"))
        .collect();
    let (path, bytes) = of.get(n % of.len())?;
    let each = all.div_ceil(of.len());
    let step = n / of.len();
    Some((path, (step * bytes.len() / each + step * 13 % 97) % bytes.len()))
}

#[test]
fn one_flipped_bit_anywhere_costs_what_it_hit_and_is_counted() {
    let mut collector = Collector::prepare();
    let mut agent = stopped(&collector);
    let state = agent.root().join("var/lib/candor");
    let whole = files(&state);

    // What is there to be delivered: the same state, whole.
    collector.serve();
    agent.run();
    agent.settle();
    let generated = agent.status()["events"]["generated"].as_u64().unwrap();
    agent.kill();
    let truth: BTreeMap<u64, String> = collector
        .records()
        .iter()
        .map(|record| (record["seq"].as_u64().unwrap(), facts(record)))
        .collect();
    assert_eq!(truth.len() as u64, generated);
    let waited = waiting(&whole, &state);

    for n in 0..flips() {
        let Some((path, at)) = place(&whole, n, flips()) else { continue };
        restore(&state, &whole);
        let mut bent = whole[path].clone();
        bent[at] ^= 1 << (n % 8);
        fs::write(path, bent).unwrap();
        let what = format!("bit {} of byte {at} of {}", n % 8, path.display());

        collector.empty();
        agent.run();
        agent.settle();
        let status = agent.status();
        assert_balanced(&status);
        agent.kill();
        let records = collector.records();
        let mut seen = 0;
        for record in &records {
            let seq = record["seq"].as_u64().unwrap();
            if seq < waited.1 {
                assert_eq!(Some(&facts(record)), truth.get(&seq), "{what}");
                seen += 1;
            }
        }
        let corrupt = status["events"]["dropped_by_reason"]["corrupt"].as_u64().unwrap();
        assert_eq!(seen + corrupt, waited.0, "{what}: {status}");
        assert_eq!(status["events"]["dropped"].as_u64(), Some(corrupt), "{what}: {status}");
        assert_eq!(status["events"]["uploaded"], records.len(), "{what}: {status}");
    }
}

/// How many records wait in a state, and the number after the last of them.
fn waiting(whole: &BTreeMap<PathBuf, Vec<u8>>, state: &Path) -> (u64, u64) {
    let text = String::from_utf8_lossy(&whole[&state.join("counters.mirror")][1024..]).into_owned();
    let word = |word: &str| -> u64 {
        let found = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        found.unwrap().parse().unwrap()
    };
    (word("next_seq") - 1 - word("uploaded"), word("next_seq"))
}

fn restore(state: &Path, whole: &BTreeMap<PathBuf, Vec<u8>>) {
    for path in files(state).into_keys() {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in whole {
        fs::write(path, bytes).unwrap();
    }
}
