//! What a program tells by a command or with `candor-client`: what is wrong is named by its line, and whoever
//! opted out of a program's telemetry is left alone, in each of the ways that its manifest names.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use candor_tests::{Agent, Collector, Outcome, Settings, example, programs};
use serde_json::{Value, json};

/// An agent that knows the shop of the examples.
fn agent(collector: &Collector) -> Agent {
    let settings = Settings::to(collector, 2).table("ingest", "socket = true");
    let mut agent = Agent::prepare(&settings);
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/shop.toml");
    agent.write("etc/candor/providers.d/shop.toml", &fs::read_to_string(manifest).unwrap());
    agent.run();
    agent
}

/// `agentctl emit` with this on its standard input.
fn emit(agent: &Agent, arguments: &[&str], input: &str) -> Outcome {
    let mut command = Command::new(&programs().agentctl);
    command.arg("--root").arg(agent.root()).arg("emit").args(arguments);
    command.env_remove("DO_NOT_TRACK").env_remove("SHOP_TELEMETRY");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    process.wait_with_output().unwrap().into()
}

/// How many things each order that arrived had.
fn arrived(agent: &Agent, collector: &Collector) -> Vec<i64> {
    agent.settle();
    let mut items: Vec<i64> = collector
        .records()
        .iter()
        .filter(|record| record["name"] == "shop.order")
        .map(|record| record["attributes"]["items"].as_i64().unwrap())
        .collect();
    items.sort_unstable();
    items
}

#[test]
fn of_many_lines_the_right_ones_are_kept_and_each_wrong_one_is_named() {
    let collector = Collector::start();
    let agent = agent(&collector);
    let lines = [
        r#"{"event": "shop.order", "attributes": {"items": 1}, "time": "2026-01-02T03:04:05Z"}"#,
        r#"{"event": "shop.order", "attributes": "#,
        "",
        r#"{"event": "shop.order", "time": "yesterday"}"#,
        r#"{"event": "shop.secret"}"#,
        r#"{"event": "shop.order", "fields": {"items": 9}}"#,
        r#"{"event": "shop.order", "attributes": {"items": 2}}"#,
    ];
    let told = emit(&agent, &["-", "--json"], &lines.join("\n"));
    assert_eq!(told.code, Some(2), "{told:?}");
    let outcome = told.json();
    assert_eq!(outcome["accepted"], 2);
    let refused: Vec<(u64, &str)> = outcome["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), one["reason"].as_str().unwrap()))
        .collect();
    let expected = [(2, "malformed"), (4, "malformed"), (5, "unknown_event"), (6, "malformed")];
    let mut sorted = refused;
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    let said = emit(&agent, &["-"], &lines[3..5].join("\n"));
    assert!(said.stdout.contains("refused line 1 shop.order: field `time` is no time"), "{said:?}");
    assert!(said.stdout.contains("refused line 2 shop.secret: "), "{said:?}");
    assert_eq!(arrived(&agent, &collector), [1, 2]);
}

#[test]
fn the_fields_of_one_event_come_a_line_each_too() {
    let collector = Collector::start();
    let agent = agent(&collector);
    let told = emit(&agent, &["shop.order", "-", "--json"], "{\"items\": 3}\n\n{\"items\": 4}\n");
    assert_eq!((told.code, &told.json()["accepted"]), (Some(0), &json!(2)), "{told:?}");
    let wrong = emit(&agent, &["shop.order", "-"], "[3]\n");
    assert!(wrong.code == Some(2) && wrong.stdout.contains("refused line 1: column "), "{wrong:?}");
    let both = emit(&agent, &["-", "items=3"], "");
    assert_eq!(both.code, Some(2), "{both:?}");
    assert_eq!(arrived(&agent, &collector), [3, 4]);
}

/// A home directory whose owner opted out of the shop's telemetry.
fn opted_out_home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".config")).unwrap();
    fs::write(home.path().join(".config/shop.ini"), "[privacy]\ntelemetry = off\n").unwrap();
    home
}

/// The example of `candor-client`, with nothing said of telemetry but this.
fn shop(program: &Path, agent: &Agent, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let home = agent.root();
    let mut command = Command::new(program);
    command.env_remove("DO_NOT_TRACK").env_remove("SHOP_TELEMETRY");
    command.env("HOME", &home).env("CANDOR_ROOT", agent.root());
    command.envs(environment.iter().copied()).args(arguments);
    let outcome = Outcome::from(command.output().unwrap());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stdout
}

#[test]
fn a_program_with_candor_client_is_heard_and_silent_for_whoever_opted_out() {
    let program = example("candor-client", "shop");
    let collector = Collector::start();
    let agent = agent(&collector);
    let home = opted_out_home();
    let home = home.path().display().to_string();
    for (environment, arguments, why) in [
        (&[("DO_NOT_TRACK", "1")][..], &["3"][..], "DO_NOT_TRACK is set"),
        (&[("SHOP_TELEMETRY", "NO")], &["3"], "SHOP_TELEMETRY is set"),
        (&[("HOME", &home)], &["3"], "privacy.telemetry = off"),
        (&[], &["3", "--no-telemetry"], "--no-telemetry is given"),
    ] {
        let said = shop(&program, &agent, environment, arguments);
        assert!(said.contains(&format!("telemetry is off: {why}")), "{said}");
        assert!(said.contains("0 confirmed"), "{said}");
    }
    assert_eq!(arrived(&agent, &collector), Vec::<i64>::new());
    let said = shop(&program, &agent, &[("SHOP_TELEMETRY", "yes")], &["3"]);
    assert_eq!(said.trim(), "3 confirmed, 0 refused, 0 waiting");
    assert_eq!(arrived(&agent, &collector), [1, 2, 3]);
}

#[test]
fn a_command_is_silent_for_whoever_opted_out_of_its_program() {
    let collector = Collector::start();
    let agent = agent(&collector);
    let home = opted_out_home();
    let home = home.path().display().to_string();
    for environment in [("DO_NOT_TRACK", "1"), ("SHOP_TELEMETRY", "no"), ("HOME", home.as_str())] {
        let mut command = Command::new(&programs().agentctl);
        command.arg("--root").arg(agent.root()).args(["emit", "--json", "shop.order", "items=9"]);
        command.env_remove("DO_NOT_TRACK").env_remove("SHOP_TELEMETRY").env("HOME", agent.root());
        command.envs([environment]).stdin(Stdio::null());
        let silent: Outcome = command.output().unwrap().into();
        let told: Value = silent.json();
        let expected = (Some(0), &json!(0), &json!(1));
        assert_eq!(
            (silent.code, &told["accepted"], &told["silenced"]),
            expected,
            "{environment:?}: {told}"
        );
    }
    assert_eq!(arrived(&agent, &collector), Vec::<i64>::new());
}
