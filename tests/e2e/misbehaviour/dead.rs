//! What an endpoint refuses for good stays in the owner's hands: `agentctl spool dead list|show|replay`, of an
//! agent that runs and of one that does not.

use serde_json::Value;

use super::{Scene, answer};
use crate::delivery::assert_balanced;
use candor_tests::eventually;

/// The record that the receiver refuses.
const POISON: &str = "candor.device.memory";

impl Scene {
    /// Runs the agent until the receiver has refused one more than so many records, and has everything else.
    fn refuse(&mut self, before: u64) {
        self.server.answers(|request| {
            let is_poisoned = request.records().iter().any(|record| record.name == POISON);
            if is_poisoned { answer(422, "", b"no memory here") } else { answer(200, "", b"") }
        });
        self.agent.run();
        eventually("a record is refused", || {
            assert_eq!(self.agent.ctl(&["flush"]).code, Some(0));
            (self.rejected() > before).then_some(())
        });
        self.agent.settle();
    }

    /// Records that count as refused.
    fn rejected(&self) -> u64 {
        self.agent.status()["events"]["dropped_by_reason"]["rejected"].as_u64().unwrap()
    }

    fn dead(&self) -> Vec<Value> {
        let list = self.agent.ctl(&["spool", "dead", "list", "--json"]);
        assert_eq!(list.code, Some(0), "{list:?}");
        list.json()["dead"].as_array().unwrap().clone()
    }

    /// The one dead letter, as it is listed and shown.
    fn letter(&self) -> Value {
        let [letter] = &self.dead()[..] else { panic!("one letter: {:?}", self.dead()) };
        assert_eq!(letter["record"]["name"], POISON, "{letter}");
        assert_eq!(letter["answer"], "HTTP 422: no memory here");
        let seq = letter["seq"].to_string();
        let shown = self.agent.ctl(&["spool", "dead", "show", &seq, "--json"]);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        // Its time follows today's wall clock.
        for key in ["seq", "level", "answer", "record"] {
            assert_eq!(shown.json()[key], letter[key], "{key}");
        }
        assert_eq!(self.agent.ctl(&["spool", "dead", "show", "999999"]).code, Some(1));
        letter.clone()
    }

    /// Makes it a new record; its number.
    fn replay(&self, letter: &Value) -> u64 {
        let seq = letter["seq"].to_string();
        let made = self.agent.ctl(&["spool", "dead", "replay", &seq, "--json"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        assert_eq!(made.json()["seq"], letter["seq"]);
        let again = self.agent.ctl(&["spool", "dead", "replay", &seq]);
        assert_eq!(again.code, Some(1), "a letter is replayed once: {again:?}");
        assert_eq!(self.dead(), Vec::<Value>::new());
        assert_eq!(self.agent.ctl(&["audit"]).code, Some(0));
        made.json()["new_seq"].as_u64().unwrap()
    }

    /// The receiver has the record of this letter, under its new number, with its id.
    fn arrived(&self, letter: &Value, number: u64) {
        self.server.takes();
        self.agent.settle();
        let received = self.server.received();
        let found = received.iter().find(|record| record.seq == Some(number));
        let found = found.unwrap_or_else(|| panic!("{number} did not arrive"));
        assert_eq!(found.name, POISON);
        assert_eq!(found.uid.as_deref(), letter["record"]["uid"].as_str(), "{letter}");
        assert!(received.iter().all(|record| record.seq != letter["seq"].as_u64()));
        let status = self.agent.status();
        assert_balanced(&status);
    }
}

#[test]
fn a_refused_record_is_listed_shown_and_replayed_while_the_agent_runs_and_while_it_does_not() {
    let mut scene = Scene::begin("1h");
    scene.refuse(0);
    let letter = scene.letter();
    let number = scene.replay(&letter);
    scene.arrived(&letter, number);
    assert_eq!(scene.rejected(), 1, "a replay makes a new record");
    scene.agent.kill();

    scene.refuse(1);
    scene.agent.kill();
    let letter = scene.letter();
    let number = scene.replay(&letter);
    scene.agent.run();
    scene.arrived(&letter, number);
    assert_eq!(scene.rejected(), 2);
    scene.agent.kill();
}
