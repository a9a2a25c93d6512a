//! Each shipped provider's program, played: what its manifest declares arrives at a real collector,
//! canaries in what it forbids do not, and the opt-out stops it at once.

use std::process::Command;

use candor_tests::{
    Agent, Collector, Outcome, Program, Settings, eventually, export, programs, text,
};
use serde_json::{Value, json};

const GUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
/// What must never pass: it stands in every field that is forbidden.
const CANARY: &str = "canary";
/// An id that must never pass, and its spelling without dashes.
const ID: &str = "c0ffee00-d9cb-469f-a165-708677289500";

/// A collector and an agent with one provider on.
struct Stage {
    collector: Collector,
    agent: Agent,
}

impl Stage {
    fn with(provider: &str, level: u8) -> Self {
        let collector = Collector::start();
        let settings = Settings::to(&collector, level).table("ingest", "socket = true");
        let agent = Agent::start(&settings);
        let on = agent.ctl(&["providers", "enable", provider]);
        assert_eq!(on.code, Some(0), "{on:?}");
        Self { collector, agent }
    }

    /// `agentctl emit` in an environment of its own.
    fn emit(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
        let mut command = Command::new(&programs().agentctl);
        command.arg("--root").arg(self.agent.root()).args(["emit", "--json"]).args(arguments);
        command.env_remove("DO_NOT_TRACK").envs(environment.iter().copied());
        command.output().unwrap().into()
    }

    /// Posts records as an SDK does, and gives how many were refused.
    fn post(&self, signal: &str, service: &str, records: &[Value]) -> u64 {
        let reply = eventually("the socket is there", || Program::connect(&self.agent.root()).ok())
            .post_json(&format!("/v1/{signal}"), &export(signal, service, records))
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        let partial = reply.json()["partialSuccess"].clone();
        let rejected = partial.as_object().into_iter().flatten().find_map(|(key, value)| {
            key.starts_with("rejected")
                .then(|| value.to_string().trim_matches('"').parse().unwrap())
        });
        rejected.unwrap_or(0)
    }

    /// The records of a name at the collector, after everything has left.
    fn arrived(&self, name: &str) -> Vec<Value> {
        self.agent.settle();
        self.no_canary();
        let records = self.collector.records();
        records.into_iter().filter(|record| record["name"] == name).collect()
    }

    /// Looks for the canaries in everything that is kept, here and there.
    fn no_canary(&self) {
        let mut kept = format!("{:?}", self.collector.records());
        for directory in [self.agent.path("var/lib/candor"), self.collector.store()] {
            for entry in std::fs::read_dir(directory).unwrap() {
                let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
                kept.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        let plain = ID.replace('-', "");
        for forbidden in [CANARY, ID, plain.as_str()] {
            assert!(!kept.contains(forbidden), "{forbidden} was kept");
        }
    }

    /// Why the provider refused what it refused, with counts.
    fn refused(&self, provider: &str) -> Value {
        let told = self.agent.ctl(&["providers", "--json"]).json();
        let mut providers = told["providers"].as_array().unwrap().iter();
        let one = providers.find(|one| one["name"] == provider).unwrap();
        json!({ "records": one["refused"], "fields": one["fields_refused"] })
    }
}

/// The values of a record's attributes that the codec did not add.
fn told(record: &Value) -> Value {
    let mut told = record["attributes"].clone();
    let fields = told.as_object_mut().unwrap();
    fields.retain(|key, _| !key.starts_with("candor.") && key != "log.record.uid");
    told
}

#[test]
fn a_deployment_is_told_by_its_parts_and_nothing_of_its_customer() {
    let stage = Stage::with("deployment", 2);
    let id = format!("deployment_id={GUID}");
    let name = "name=46d3xbcp.res.compute-virtualmachine.1-2-3.eum3";
    let emitted = stage.emit(
        &[
            "deployment.module",
            &id,
            name,
            "resources=canary",
            "configuration=canary",
            "location=canary",
        ],
        &[],
    );
    assert_eq!((emitted.code, &emitted.json()["accepted"]), (Some(0), &json!(1)), "{emitted:?}");
    // A customer's own name for a deployment is his.
    let own = stage.emit(&["deployment.module", &id, "name=canary-payroll-production"], &[]);
    assert_eq!(own.code, Some(0), "{own:?}");
    let pid = format!("name=pid-{GUID}-partnercenter");
    assert_eq!(stage.emit(&["deployment.module", &pid], &[]).code, Some(0));
    for out in ["enableTelemetry=false", "enable_telemetry=false"] {
        let refused = stage.emit(&["deployment.module", name, out], &[]);
        assert_eq!(refused.code, Some(3), "{refused:?}");
        assert_eq!(refused.json()["refused"][0]["reason"], "opt_out");
    }
    let mut arrived: Vec<Value> = stage.arrived("deployment.module").iter().map(told).collect();
    arrived.sort_by_key(ToString::to_string);
    let module = json!({
        "deployment_id": GUID, "tool": "bicep", "kind": "res", "module": "compute-virtualmachine", "version": "1.2.3",
        "suffix": "eum3",
    });
    let mut expected =
        [module, json!({ "deployment_id": GUID }), json!({ "attribution_id": GUID })];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(arrived, expected);
    let expected =
        json!({ "records": { "opt_out": 2 }, "fields": { "type": 1, "unknown_field": 3 } });
    assert_eq!(stage.refused("deployment"), expected);
}

#[test]
fn a_command_is_told_with_sanitised_parameters_and_no_person() {
    let stage = Stage::with("cli", 3);
    let parameters = format!(
        "parameters={}",
        json!({
            "size": 2, "password": CANARY, "_session": CANARY, "subscriptionId": ID, "name": "canary@example.org",
            "scope": format!("/subscriptions/{ID}/resourceGroups/x"), "nested": [{ "apiKey": CANARY, "id": ID }],
            "principalName": CANARY, "none": null,
        })
    );
    let error =
        format!("error=canary_upn@tenant.example.org has no access to {ID} {}", "x".repeat(2000));
    let tenant = format!("tenantId={GUID}");
    let emitted = stage.emit(
        &[
            "cli.command",
            "commandName=vm create",
            &tenant,
            "success=false",
            "location=westeurope",
            "sku=Standard_D2",
            "extensionVersion=1.2.3",
            &parameters,
            &error,
            "model=canary@example.org",
            "userName=canary",
            "subscriptionId=c0ffee00-d9cb-469f-a165-708677289500",
            "timestamp=2026-01-02T03:04:05Z",
        ],
        &[],
    );
    assert_eq!(emitted.code, Some(0), "{emitted:?}");
    let arrived = stage.arrived("cli.command");
    assert_eq!(arrived.len(), 1);
    let told = told(&arrived[0]);
    assert_eq!((&told["commandName"], &told["tenantId"]), (&json!("vm create"), &json!(GUID)));
    assert_eq!((&told["success"], &told["extensionVersion"]), (&json!(false), &json!("1.2.3")));
    let error = told["error"].as_str().unwrap();
    assert!(error.starts_with("<email> has no access to <id>") && error.len() <= 1024, "{error}");
    let expected = json!({
        "name": "<email>", "nested": [{ "apiKey": "***", "id": "<id>" }], "password": "***", "principalName": "***",
        "scope": "/subscriptions/<id>/resourceGroups/x", "size": 2, "subscriptionId": "***",
    });
    assert_eq!(told["parameters"], expected);
    assert_eq!(told.get("model"), None, "an address is no name of a model");
    assert_eq!(stage.refused("cli")["fields"], json!({ "type": 1, "unknown_field": 2 }));
}

#[test]
fn a_user_who_opted_out_of_a_tool_is_left_alone() {
    let stage = Stage::with("cli", 2);
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".azure")).unwrap();
    std::fs::write(home.path().join(".azure/config"), "[core]\ncollect_telemetry = no\n").unwrap();
    let home = home.path().display().to_string();
    for environment in [
        ("DO_NOT_TRACK", "1"),
        ("CORE_COLLECT_TELEMETRY", "no"),
        ("AZURE_CORE_COLLECT_TELEMETRY", "FALSE"),
        ("HOME", home.as_str()),
    ] {
        let silent = stage.emit(&["cli.command", "success=true"], &[environment]);
        let said = silent.json();
        assert_eq!(
            (silent.code, &said["silenced"]),
            (Some(0), &json!(1)),
            "{environment:?}: {said}"
        );
    }
    let record = stage.emit(&["cli.command", "success=true", "core.collect_telemetry=no"], &[]);
    assert_eq!(record.code, Some(3), "{record:?}");
    assert_eq!(stage.agent.ctl(&["providers", "disable", "cli"]).code, Some(0));
    let disabled = stage.emit(&["cli.command", "success=true"], &[]);
    assert_eq!(disabled.code, Some(3), "{disabled:?}");
    assert!(stage.arrived("cli.command").is_empty());
}

#[test]
fn an_image_builder_tells_builds_and_its_flag_silences_it() {
    let stage = Stage::with("image-builder", 2);
    let log = |name: &str| {
        json!({ "eventName": name, "attributes": [
            text("outcome", "failure"), text("error_code", "E42"), text("image.format", "qcow2"),
            text("host.os", "ubuntu 24.04"), text("image.path", "/home/canary/x"), text("version", "canary"),
        ]})
    };
    assert_eq!(stage.post("logs", "image-builder", &[log("image.build"), log("image.secret")]), 1);
    let point = json!({ "asInt": "3", "timeUnixNano": "1", "attributes": [
        text("outcome", "success"), text("user", "canary"),
    ]});
    let sum = json!({ "aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [point] });
    let metric = |name: &str| json!({ "name": name, "sum": sum });
    assert_eq!(
        stage.post("metrics", "image-builder", &[metric("image.builds"), metric("canary")]),
        1
    );
    let span = json!({ "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "image.build",
        "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": [text("image.step", "partition"), text("file", "canary")] });
    assert_eq!(stage.post("traces", "image-builder", &[span]), 0);
    // The program's own flag, on the command line of who runs `agentctl`.
    let script = format!(
        "{} --root {} emit image.build outcome=success; true",
        programs().agentctl.display(),
        stage.agent.root().display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "build", "--disable-telemetry"]).env_remove("DO_NOT_TRACK");
    let silent: Outcome = shell.output().unwrap().into();
    assert!(silent.stdout.contains("--disable-telemetry is given"), "{silent:?}");
    let arrived = stage.arrived("image.build");
    let mut kinds: Vec<_> = arrived.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["log", "span"]);
    let log = arrived.iter().find(|record| record["kind"] == "log").unwrap();
    let expected = json!({
        "outcome": "failure", "error_code": "E42", "image.format": "qcow2", "host.os": "ubuntu 24.04",
    });
    assert_eq!(told(log), expected);
    assert_eq!(stage.arrived("image.builds").len(), 1);
}

#[test]
fn an_application_tells_anything_scrubbed_at_level_three_and_nothing_below() {
    let stage = Stage::with("application", 3);
    let span = json!({ "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "GET /orders",
        "startTimeUnixNano": "1", "endTimeUnixNano": "2",
        "attributes": [text("http.request.method", "GET"), text("db.password", "canary"), text("_internal", "canary")],
        "events": [{ "timeUnixNano": "1", "name": "exception", "attributes": [
            text("exception.type", "IOError"),
            text("exception.message", "cannot write /home/canary/orders for canary@example.org"),
        ]}] });
    let log = json!({ "body": { "stringValue": "order of canary@example.org failed" }, "eventName": "order",
        "attributes": [text("api_key", "canary"), text("items", "3")] });
    assert_eq!(stage.post("traces", "shop", &[span]), 0);
    assert_eq!(stage.post("logs", "shop", std::slice::from_ref(&log)), 0);
    let spans = stage.arrived("GET /orders");
    assert_eq!((spans.len(), &spans[0]["level"]), (1, &json!(3)));
    let orders = stage.arrived("order");
    assert_eq!(told(&orders[0])["api_key"], "***");
    assert_eq!(stage.agent.ctl(&["set-level", "2"]).code, Some(0));
    assert_eq!(stage.post("logs", "shop", std::slice::from_ref(&log)), 1);
    assert_eq!(stage.agent.ctl(&["set-level", "3"]).code, Some(0));
    assert_eq!(stage.agent.ctl(&["providers", "disable", "application"]).code, Some(0));
    assert_eq!(stage.post("logs", "shop", &[log]), 1);
    assert_eq!(stage.arrived("order").len(), 1);
}
