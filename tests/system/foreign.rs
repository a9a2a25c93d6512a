//! A receiver that we did not write accepts what the agent sends, and reads the same facts in it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use candor_tests::{Agent, Collector, Settings, eventually, need, python};
use serde_json::Value;

struct Receiver {
    process: Child,
    port: u16,
    output: PathBuf,
}

impl Receiver {
    fn start(python: &PathBuf, keys: &Collector) -> Self {
        let output = keys.store().join("received.ndjson");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/system/receiver.py");
        let mut process = Command::new(python)
            .arg(script)
            .args([
                keys.store().join("server.pem"),
                keys.store().join("server.key"),
                output.clone(),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().unwrap(), output }
    }

    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_receiver_in_another_language_reads_every_body() {
    let python = python("opentelemetry.proto, zstandard");
    if !need(
        "Python with opentelemetry-proto in target/venv (.ci/packages makes it)",
        python.is_some(),
    ) {
        return;
    }
    let keys = Collector::prepare();
    for compression in ["zstd", "gzip", "none"] {
        let receiver = Receiver::start(python.as_ref().unwrap(), &keys);
        let endpoint = format!("\"https://127.0.0.1:{}\"", receiver.port);
        let settings = Settings::to(&keys, 3).with("EventsEndpoint", &endpoint).replace(
            "interval = \"500ms\"",
            &format!("interval = \"500ms\"\ncompression = \"{compression}\""),
        );
        let agent = Agent::start(&settings);
        eventually("metrics arrive", || {
            receiver
                .records()
                .iter()
                .any(|record| record["name"] == "system.cpu.time")
                .then_some(())
        });
        agent.settle();
        let status = agent.status();
        let records = receiver.records();
        assert_eq!(status["events"]["uploaded"], records.len(), "{compression}: {status}");
        check(&status, &records);
    }
}

fn check(status: &Value, records: &[Value]) {
    let mut numbers = Vec::new();
    for record in records {
        assert_eq!(record["unknown"], false, "{record}");
        assert_eq!(record["resource"]["service.name"], "candor");
        assert_eq!(record["resource"]["service.instance.id"], status["install_id"]);
        assert!(record["resource"]["host.name"].is_null(), "the host's name left without consent");
        assert!(
            record["scope"].as_object().unwrap().values().any(|id| *id == status["boot_id"]),
            "{record}"
        );
        let own = &record["attributes"];
        assert!(own["log.record.uid"].is_string() && own["candor.level"].is_number(), "{record}");
        numbers.push(own["candor.seq"].as_u64().unwrap());
        assert!(record["path"] == "/v1/logs" || record["points"].as_u64().unwrap() > 0, "{record}");
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}
