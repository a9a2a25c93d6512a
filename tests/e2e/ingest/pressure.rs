//! Back-pressure: who is too fast or finds the store full is told to come again and when, and loses nothing
//! by it.

use candor_tests::{Agent, Collector, Outcome, Program, Reply, Settings, export, need};
use serde_json::{Value, json};

use super::{SHOP, order, text};

/// So little that nobody's next record fits while a test runs.
const RARELY: &str = "0.001";
/// So much that it does not count.
const OFTEN: &str = "1000000.0";

/// An agent that hears the shop, with these rates of a process and of a user.
fn agent(collector: &Collector, peer: &str, user: &str) -> Agent {
    let rate = format!("rate = {{ peer = {peer}, user = {user} }}");
    let all = "rate = { peer = 1000000.0, user = 1000000.0 }";
    assert!(SHOP.contains(all));
    let mut agent = Agent::prepare(&Settings::to(collector, 2).table("ingest", "socket = true"));
    agent.write("etc/candor/providers.d/shop.toml", &SHOP.replace(all, &rate));
    agent.run();
    agent
}

fn tell(program: &mut Program, orders: &[Value]) -> Reply {
    program.post_json("/v1/logs", &export("logs", "shop", orders)).unwrap()
}

/// A record that has to wait for long, by the words of the answer and its head.
fn assert_told_when(reply: &Reply) {
    assert_eq!(reply.status, 429, "{reply:?}");
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((500..=1_000).contains(&seconds), "{reply:?}");
    assert!(reply.text().contains("more records than the manifest of shop allows"), "{reply:?}");
}

/// An order of another process.
fn emit(agent: &Agent) -> Outcome {
    agent.ctl(&["emit", "--json", "--wait", "1s", "shop.order", "n=7"])
}

#[test]
fn a_process_that_is_too_fast_is_told_when_to_come_again_and_another_one_is_heard() {
    let collector = Collector::start();
    let agent = agent(&collector, RARELY, OFTEN);
    let mut program = Program::connect(&agent.root()).unwrap();
    let reply = tell(&mut program, &[order(1)]);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    assert_told_when(&tell(&mut program, &[order(2)]));
    // Another connection of the same process changes nothing.
    assert_told_when(&tell(&mut Program::connect(&agent.root()).unwrap(), &[order(2)]));
    let emitted = emit(&agent);
    assert_eq!((emitted.code, &emitted.json()["accepted"]), (Some(0), &json!(1)), "{emitted:?}");
    let refused = &super::provider(&agent, "shop")["refused"]["rate"];
    assert_eq!(refused, 2);
}

#[test]
fn a_user_who_is_too_fast_is_told_so_in_all_his_processes_and_another_user_is_heard() {
    let collector = Collector::start();
    let agent = agent(&collector, OFTEN, RARELY);
    let mut program = Program::connect(&agent.root()).unwrap();
    assert_eq!(tell(&mut program, &[order(1)]).text(), "{}");
    assert_told_when(&tell(&mut program, &[order(2)]));
    let emitted = emit(&agent);
    assert_eq!((emitted.code, &emitted.json()["refused"][0]["reason"]), (Some(1), &"rate".into()));
    if need("root, to become another user", nix::unistd::geteuid().is_root()) {
        let stranger = agent.ctl_as_stranger(&["emit", "--json", "shop.order", "n=7"]);
        assert_eq!(stranger.json()["accepted"], 1, "{stranger:?}");
    }
}

#[test]
fn of_a_batch_the_first_records_pass_and_the_others_are_counted_out() {
    let collector = Collector::start();
    let agent = agent(&collector, RARELY, OFTEN);
    let mut program = Program::connect(&agent.root()).unwrap();
    let reply = tell(&mut program, &[order(1), order(2), order(3)]);
    let partial = &reply.json()["partialSuccess"];
    assert_eq!((reply.status, &partial["rejectedLogRecords"]), (200, &"2".into()));
    let words = partial["errorMessage"].as_str().unwrap();
    assert!(words.starts_with("2 refused (rate): "), "{words}");
}

/// Words that do not pack well and say nothing.
fn chatter(seed: &mut u64) -> String {
    let mut text = String::new();
    while text.len() < 4_000 {
        for _ in 0..7 {
            // A generator of Lehmer's: any other would do.
            *seed = *seed * 48_271 % 0x7fff_ffff;
            text.push(char::from(b'a' + u8::try_from(*seed % 26).unwrap()));
        }
        text.push(' ');
    }
    text
}

#[test]
fn a_store_that_is_nearly_full_asks_programs_to_come_again_and_drops_nothing_of_theirs() {
    let collector = Collector::start();
    // Nobody is there: what enters stays.
    let settings = Settings::to(&collector, 1)
        .with("EventsEndpoint", "\"https://127.0.0.1:1\"")
        .table("ingest", "socket = true")
        .table("spool", "max_bytes = \"1MiB\"");
    let mut agent = Agent::prepare(&settings);
    agent.write("etc/candor/providers.d/shop.toml", &SHOP.replace("level = 2", "level = 1"));
    agent.run();
    let mut program = Program::connect(&agent.root()).unwrap();
    let (mut seed, mut kept) = (7, 0);
    let full = loop {
        let note = chatter(&mut seed);
        let one = |n| {
            let mut order = order(kept * 8 + n);
            order["attributes"]
                .as_array_mut()
                .unwrap()
                .push(text("note", &note[usize::try_from(n).unwrap() * 400..]));
            order
        };
        let orders: Vec<Value> = (0..8).map(one).collect();
        let reply = tell(&mut program, &orders);
        if reply.status != 200 {
            break reply;
        }
        assert_eq!(reply.text(), "{}");
        kept += 1;
        assert!(kept < 5_000, "it never becomes full: {}", agent.status());
    };
    assert_eq!((full.status, full.header("retry-after")), (429, Some("30")), "{full:?}");
    assert!(full.text().contains("the agent's spool is full"), "{full:?}");
    let emitted = agent.ctl(&["emit", "--json", "shop.order", "n=7"]);
    assert!(emitted.code == Some(1) && emitted.stderr.contains("spool is full"), "{emitted:?}");
    let status = agent.status();
    assert!(status["events"]["pending"].as_u64().unwrap() >= kept * 8, "{status}");
}
