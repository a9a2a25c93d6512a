//! The official OpenTelemetry SDKs speak through the agent, as the examples use them: logs, metrics and traces
//! arrive, correlated, at the level that the manifest gives; at a lower level they are refused and counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use candor_tests::{Agent, Collector, Settings, need, python};
use serde_json::Value;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
const NAMES: [&str; 3] = ["shop.handle", "shop.order", "shop.orders"];

/// A program of the examples, ready to run.
struct Example {
    program: PathBuf,
    script: PathBuf,
    compression: &'static str,
    /// What of it belongs to its trace: only some SDKs give a metric exemplars.
    of_trace: &'static [&'static str],
}

impl Example {
    /// Runs it to its end; its trace.
    fn run(&self, agent: &Agent) -> String {
        let mut command = Command::new(&self.program);
        command
            .arg(&self.script)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", agent.heard_at()))
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", self.compression);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// All that is promised of it.
    fn speaks(&self) {
        let collector = Collector::start();
        let settings = Settings::to(&collector, 2).table("ingest", "otlp_http = \"127.0.0.1:0\"");
        let mut agent = Agent::prepare(&settings);
        let manifest = fs::read_to_string(Path::new(EXAMPLES).join("shop.toml")).unwrap();
        agent.write("etc/candor/providers.d/shop.toml", &manifest);
        agent.run();

        let trace = self.run(&agent);
        agent.settle();
        let (records, status) = (collector.records(), agent.status());
        let shop = of_shop(&records);
        assert_eq!(names(&shop), NAMES, "{}", agent.log());
        for record in &shop {
            assert_eq!(record["level"], 2, "{record}");
            assert_eq!(record["install_id"], status["install_id"], "{record}");
            assert_eq!(record["boot_id"], status["boot_id"], "{record}");
            let text = record.to_string();
            assert!(!text.contains("canary-of-eve") && !text.contains("eve@"), "{text}");
        }
        let order = shop.iter().find(|record| record["name"] == "shop.order").unwrap();
        assert_eq!(order["body"], "a mail went to <email>");
        assert_eq!(order["attributes"]["items"], 3, "{order}");
        let of_trace = collector.trace(&trace);
        assert_eq!(names(&of_trace.iter().collect::<Vec<_>>()), self.of_trace);
        assert_eq!(provider(&agent)["fields_refused"]["unknown_field"], 1, "the customer");

        assert_eq!(agent.ctl(&["set-level", "1"]).code, Some(0));
        self.run(&agent);
        let counted = provider(&agent);
        assert_eq!(counted["refused"]["level"], 3, "{counted}");
        agent.settle();
        assert_eq!(of_shop(&collector.records()).len(), 3, "nothing more arrived");
    }
}

fn of_shop(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|record| NAMES.iter().any(|name| record["name"] == *name)).collect()
}

fn names<'a>(records: &[&'a Value]) -> Vec<&'a str> {
    let mut names: Vec<&str> =
        records.iter().map(|record| record["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

fn provider(agent: &Agent) -> Value {
    let told = agent.ctl(&["providers", "--json"]).json();
    let mut providers = told["providers"].as_array().unwrap().iter();
    providers.find(|provider| provider["name"] == "shop").cloned().unwrap()
}

#[test]
fn the_sdk_of_python_speaks_through_the_agent_at_the_manifests_level_and_not_below() {
    let python = python("opentelemetry.sdk, opentelemetry.exporter.otlp.proto.http");
    let what = "Python with opentelemetry-sdk in target/venv (.ci/packages makes it)";
    let (true, Some(program)) = (need(what, python.is_some()), python) else { return };
    let script = Path::new(EXAMPLES).join("python/shop.py");
    Example { program, script, compression: "none", of_trace: &NAMES }.speaks();
}

#[test]
fn the_sdk_of_node_speaks_through_the_agent_at_the_manifests_level_and_not_below() {
    let modules = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/node"));
    let has_node = Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok();
    let has_all = has_node && modules.join("node_modules/@opentelemetry/sdk-logs").is_dir();
    if !need("Node.js with the packages of examples/node in target/node (.ci/packages)", has_all) {
        return;
    }
    // A module's own modules are looked for beside it.
    let script = modules.join("shop.mjs");
    fs::copy(Path::new(EXAMPLES).join("node/shop.mjs"), &script).unwrap();
    Example { program: "node".into(), script, compression: "gzip", of_trace: &NAMES[..2] }.speaks();
}
