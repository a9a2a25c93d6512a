//! The official OpenTelemetry SDK of Python speaks through the agent: logs, metrics and traces arrive,
//! correlated, at the level that the manifest gives; at a lower level they are refused and counted.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use candor_tests::{Agent, Collector, Settings, eventually, need};
use serde_json::Value;

const MANIFEST: &str = r#"
name = "shop"
doc = "A shop."
peer = "any"
service_name = ["shop"]
[[event]]
name = "shop.order"
level = 2
purpose = "to test"
doc = "An order."
fields.n = { type = "int", class = "software", doc = "Its number." }
fields.body = { type = "text", class = "diagnostic text", doc = "What was said." }
[[event]]
name = "shop.orders"
kind = "metric"
level = 2
purpose = "to test"
doc = "Orders."
fields.mode = { type = "text", class = "software", words = ["fast", "slow"], doc = "How." }
[[event]]
name = "shop.handle"
kind = "span"
level = 2
purpose = "to test"
doc = "Handling of an order."
"#;

/// The Python that `.ci/packages` prepares.
fn python() -> Option<PathBuf> {
    let python = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/venv/bin/python"));
    let has = Command::new(&python)
        .args(["-c", "import opentelemetry.sdk, opentelemetry.exporter.otlp.proto.http"])
        .stderr(Stdio::null())
        .status();
    has.is_ok_and(|status| status.success()).then_some(python)
}

/// Runs the program to its end; its trace.
fn run(python: &PathBuf, agent: &Agent) -> String {
    let address = eventually("the agent hears programs", || {
        let log = agent.log();
        let rest = log.lines().rev().find_map(|line| line.split("address=").nth(1))?;
        Some(rest.split_whitespace().next()?.to_owned())
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/system/sdk.py");
    let output =
        Command::new(python).args([script, &format!("http://{address}")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn named(records: &[Value]) -> Vec<&Value> {
    let is_shops =
        |record: &&Value| record["name"].as_str().is_some_and(|name| name.starts_with("shop."));
    records.iter().filter(is_shops).collect()
}

#[test]
fn the_sdk_of_python_speaks_through_the_agent_at_the_manifests_level_and_not_below() {
    let python = python();
    let what = "Python with opentelemetry-sdk in target/venv (.ci/packages makes it)";
    let is_met = python.is_some();
    let (true, Some(python)) = (need(what, is_met), python) else { return };
    let collector = Collector::start();
    let settings = Settings::to(&collector, 2).table("ingest", "otlp_http = \"127.0.0.1:0\"");
    let agent = Agent::prepare(&settings);
    agent.write("etc/candor/providers.d/shop.toml", MANIFEST);
    let mut agent = agent;
    agent.run();

    let trace = run(&python, &agent);
    agent.settle();
    let (records, status) = (collector.records(), agent.status());
    let shop = named(&records);
    let mut names: Vec<&str> = shop.iter().map(|record| record["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["shop.handle", "shop.order", "shop.orders"], "{}", agent.log());
    for record in &shop {
        assert_eq!(record["level"], 2, "{record}");
        assert_eq!(record["install_id"], status["install_id"], "{record}");
        assert_eq!(record["boot_id"], status["boot_id"], "{record}");
        let text = record.to_string();
        assert!(!text.contains("canary-of-eve") && !text.contains("eve@"), "{text}");
    }
    let of_trace = collector.trace(&trace);
    let mut names: Vec<&str> =
        of_trace.iter().map(|record| record["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["shop.handle", "shop.order", "shop.orders"]);

    assert_eq!(agent.ctl(&["set-level", "1"]).code, Some(0));
    run(&python, &agent);
    let told = agent.ctl(&["providers", "--json"]).json();
    let providers = told["providers"].as_array().unwrap();
    let counted = providers.iter().find(|provider| provider["name"] == "shop").unwrap();
    assert_eq!(counted["refused"]["level"], 3, "{counted}");
    agent.settle();
    assert_eq!(named(&collector.records()).len(), 3, "nothing more arrived");
}
