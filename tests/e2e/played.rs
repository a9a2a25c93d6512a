//! Each shipped provider's program, played: what its manifest declares arrives at a real collector,
//! canaries in what it forbids do not, and the opt-out stops it at once.

use std::path::Path;
use std::process::Command;

use candor_tests::{
    Agent, Collector, Outcome, Program, Settings, eventually, export, programs, text,
};
use serde_json::{Value, json};

use crate::waiting::contents;

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
        // What left lies in the journal as it left: there it can be searched.
        let settings = Settings::to(&collector, level)
            .table("ingest", "socket = true")
            .replace("interval = \"500ms\"", "interval = \"500ms\"\ncompression = \"none\"");
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
        let records = self.collector.records();
        let arrived: Vec<Value> =
            records.iter().filter(|record| record["name"] == name).cloned().collect();
        let here = text_of(&self.agent.path("var/lib/candor"));
        // Else a search for what must not be there would say nothing.
        assert!(arrived.is_empty() || here.contains(name), "what left can be searched");
        no_canary(&(here + &text_of(&self.collector.store()) + &format!("{records:?}")));
        arrived
    }

    /// Why the provider refused what it refused, with counts.
    fn refused(&self, provider: &str) -> Value {
        let told = self.agent.ctl(&["providers", "--json"]).json();
        let mut providers = told["providers"].as_array().unwrap().iter();
        let one = providers.find(|one| one["name"] == provider).unwrap();
        json!({ "records": one["refused"], "fields": one["fields_refused"] })
    }
}

/// Everything below a directory, as far as it is text.
fn text_of(directory: &Path) -> String {
    contents(directory).iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

/// Looks for the canaries in everything that is kept, in any letter case.
fn no_canary(kept: &str) {
    let (kept, plain) = (kept.to_lowercase(), ID.replace('-', ""));
    for forbidden in [CANARY, ID, plain.as_str()] {
        assert!(!kept.contains(forbidden), "{forbidden} was kept");
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
    let terraform = "name=46d3xgtf.ptn.lz-sub-vending.0-10-0.a1b2";
    assert_eq!(stage.emit(&["deployment.module", terraform], &[]).code, Some(0));
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
    let pattern = json!({
        "tool": "terraform", "kind": "ptn", "module": "lz-sub-vending", "version": "0.10.0", "suffix": "a1b2",
    });
    let mut expected =
        [module, pattern, json!({ "deployment_id": GUID }), json!({ "attribution_id": GUID })];
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
    let error = format!(
        "error=canary_upn@tenant.example.org, canary_out.org#EXT#@tenant.example.org: no access to {ID} {}",
        "é".repeat(2000)
    );
    let (tenant, project) = (format!("tenantId={GUID}"), format!("projectId={GUID}"));
    let emitted = stage.emit(
        &[
            "cli.command",
            "commandName=vm create",
            &tenant,
            &project,
            "provider=Microsoft.Compute",
            "model=gpt-4.1",
            "resourceType=Microsoft.Compute/virtualMachines",
            "success=false",
            "location=westeurope",
            "sku=Standard_D2",
            "extensionVersion=1.2.3",
            &parameters,
            &error,
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
    let error = told["error"].as_str().unwrap();
    assert!(error.starts_with("<email>, <email>: no access to <id> é"), "{error}");
    assert!((1_000..=1_024).contains(&error.len()), "{}", error.len());
    let parameters = json!({
        "name": "<email>", "nested": [{ "apiKey": "***", "id": "<id>" }], "password": "***", "principalName": "***",
        "scope": "/subscriptions/<id>/resourceGroups/x", "size": 2, "subscriptionId": "***",
    });
    let expected = json!({
        "commandName": "vm create", "tenantId": GUID, "projectId": GUID, "provider": "Microsoft.Compute",
        "model": "gpt-4.1", "resourceType": "Microsoft.Compute/virtualMachines", "location": "westeurope",
        "sku": "Standard_D2", "extensionVersion": "1.2.3", "success": false, "timestamp": "2026-01-02T03:04:05Z",
        "error": error, "parameters": parameters,
    });
    assert_eq!(told, expected);
    assert_eq!(stage.refused("cli")["fields"], json!({ "unknown_field": 2 }));
}

#[test]
fn no_person_hides_in_a_typed_field_of_a_command() {
    let stage = Stage::with("cli", 3);
    let address = "canary@example.org";
    let path = format!("/subscriptions/{ID}/resourceGroups/canary");
    let plain = ID.replace('-', "").to_uppercase();
    let mut count = 0;
    for field in [
        "tenantId",
        "projectId",
        "commandName",
        "provider",
        "model",
        "resourceType",
        "location",
        "sku",
        "extensionVersion",
        "timestamp",
    ] {
        for value in [address, &path, &plain, "canary_out.org#EXT#@tenant.example.org", "1\ncanary"]
        {
            let given = format!("{field}={value}");
            assert_eq!(stage.emit(&["cli.command", &given, "success=true"], &[]).code, Some(0));
            count += 1;
        }
    }
    let wrong =
        [format!("tenantId={ID} "), format!("commandName=show {ID}"), "success=canary".to_owned()];
    for given in &wrong {
        assert_eq!(stage.emit(&["cli.command", given], &[]).code, Some(0));
        count += 1;
    }
    let arrived = stage.arrived("cli.command");
    assert_eq!(arrived.len(), count);
    let is_bare = |told: &Value| *told == json!({ "success": true }) || *told == json!({});
    assert!(arrived.iter().map(told).all(|told| is_bare(&told)), "{arrived:?}");
    assert_eq!(stage.refused("cli")["fields"], json!({ "type": count }));
}

#[test]
fn what_a_commands_parameters_cannot_say_in_json_is_its_types_name() {
    let stage = Stage::with("cli", 3);
    let pair = |key: &str, value: &Value| json!({ "key": key, "value": value });
    let inner = [
        pair("blob", &json!({ "bytesValue": "Y2FuYXJ5" })),
        pair("ratio", &json!({ "doubleValue": "NaN" })),
        pair("_hidden", &json!({ "stringValue": "canary" })),
        pair("canary@example.org", &json!({ "stringValue": "x" })),
        pair("size", &json!({ "intValue": "2" })),
    ];
    let parameters = pair("parameters", &json!({ "kvlistValue": { "values": inner } }));
    let record = json!({ "eventName": "cli.command", "attributes": [parameters] });
    assert_eq!(stage.post("logs", "cli-x", &[record]), 0);
    let arrived = stage.arrived("cli.command");
    let expected = json!({ "parameters": { "blob": "bytes", "ratio": "double", "size": 2 } });
    assert_eq!(told(&arrived[0]), expected);
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
            {"key": "duration", "value": {"doubleValue": 12.5}},
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
    let point = json!({ "count": "2", "sum": 25.0, "bucketCounts": ["2"], "timeUnixNano": "1", "attributes": [
        text("image.format", "vhd"), text("image.path", "/home/canary/x"),
    ]});
    let took = json!({ "name": "image.build.duration", "unit": "s",
        "histogram": { "aggregationTemporality": 1, "dataPoints": [point] } });
    assert_eq!(stage.post("metrics", "image-builder-x", &[took]), 0);
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
        "duration": 12.5,
    });
    assert_eq!(told(log), expected);
    let counted = stage.arrived("image.builds");
    let points = &counted[0]["points"];
    assert_eq!((counted.len(), &points[0]["value"]), (1, &json!(3)));
    assert_eq!(points[0]["attributes"], json!({ "outcome": "success" }));
    let took = stage.arrived("image.build.duration");
    let points = &took[0]["points"];
    assert_eq!(points[0]["value"]["sum"], 25.0);
    assert_eq!(points[0]["attributes"], json!({ "image.format": "vhd" }));
    let expected = json!({ "unknown_event": 2 });
    assert_eq!(stage.refused("image-builder")["records"], expected);
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
            text("exception.stacktrace", "at write (/home/canary/shop.js:3)"),
        ]}],
        "links": [{ "traceId": "1af7651916cd43dd8448eb211c80319c", "spanId": "c7ad6b7169203331", "traceState": "x=canary",
            "attributes": [text("reason", "retry for canary@example.org"), text("token", "canary")] }] });
    let dependency = json!({ "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "a7ad6b7169203331", "kind": 3,
        "parentSpanId": "b7ad6b7169203331", "name": "SELECT orders", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
        "attributes": [text("db.system", "sqlite"), text("server.address", "192.0.2.7")] });
    let point = json!({ "asDouble": 0.25, "timeUnixNano": "1", "attributes": [
        text("url.path", "/orders"), text("enduser.id", "canary@example.org")] });
    let gauge =
        json!({ "name": "shop.load", "description": "canary", "gauge": { "dataPoints": [point] } });
    let log = json!({ "body": { "stringValue": "order of canary@example.org failed" }, "eventName": "order",
        "attributes": [text("api_key", "canary"), text("items", "3")] });
    assert_eq!(stage.post("traces", "shop", &[span, dependency]), 0);
    assert_eq!(stage.post("metrics", "shop", &[gauge]), 0);
    assert_eq!(stage.post("logs", "shop", std::slice::from_ref(&log)), 0);
    let spans = stage.arrived("GET /orders");
    assert_eq!((spans.len(), &spans[0]["level"]), (1, &json!(3)));
    assert_eq!(told(&spans[0]), json!({ "http.request.method": "GET", "db.password": "***" }));
    let exception = &spans[0]["events"][0]["attributes"];
    assert_eq!(exception["exception.type"], "IOError");
    assert_eq!(exception["exception.message"], "cannot write <home> for <email>");
    let link = &spans[0]["links"][0]["attributes"];
    assert_eq!(link, &json!({ "reason": "retry for <email>", "token": "***" }));
    let dependencies = stage.arrived("SELECT orders");
    let expected = json!({ "db.system": "sqlite", "server.address": "<address>" });
    assert_eq!((told(&dependencies[0]), &dependencies[0]["span_kind"]), (expected, &json!(3)));
    let loads = stage.arrived("shop.load");
    let expected = json!({ "url.path": "/orders", "enduser.id": "<email>" });
    assert_eq!(loads[0]["points"][0]["attributes"], expected);
    let orders = stage.arrived("order");
    assert_eq!(orders[0]["body"], "order of <email> failed");
    assert_eq!(told(&orders[0]), json!({ "api_key": "***", "items": "3" }));
    // `_internal`, and the trace state of the link.
    assert_eq!(stage.refused("application")["fields"], json!({ "unknown_field": 2 }));
    assert_eq!(stage.agent.ctl(&["set-level", "2"]).code, Some(0));
    assert_eq!(stage.post("logs", "shop", std::slice::from_ref(&log)), 1);
    assert_eq!(stage.agent.ctl(&["set-level", "3"]).code, Some(0));
    assert_eq!(stage.agent.ctl(&["providers", "disable", "application"]).code, Some(0));
    assert_eq!(stage.post("logs", "shop", &[log]), 1);
    assert_eq!(stage.arrived("order").len(), 1);
}

#[test]
fn of_a_programs_surroundings_only_who_it_is_passes_and_scrubbed() {
    let stage = Stage::with("application", 3);
    let mut request =
        export("logs", "shop of canary@example.org", &[json!({ "eventName": "order" })]);
    let group = &mut request["resourceLogs"][0];
    group["schemaUrl"] = "https://canary.example".into();
    group["resource"]["attributes"].as_array_mut().unwrap().extend([
        text("host.name", "canary"),
        text("process.command_line", "--user canary"),
        text("service.version", "1.2.3"),
        text("service.namespace", "/home/canary/shops"),
        text("candor.install_id", "canary"),
        text("telemetry.sdk.language", "rust"),
    ]);
    let scope = &mut group["scopeLogs"][0]["scope"];
    scope["name"] = "cart of canary@example.org".into();
    scope["attributes"] = json!([text("who", "canary")]);
    let mut program = Program::connect(&stage.agent.root()).unwrap();
    let reply = program.post_json("/v1/logs", &request).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    let arrived = stage.arrived("order");
    assert_eq!(arrived[0]["install_id"], stage.agent.status()["install_id"]);
    let left = text_of(&stage.agent.path("var/lib/candor"));
    for kept in ["shop of <email>", "cart of <email>", "<home>", "1.2.3", "telemetry.sdk.language"]
    {
        assert!(left.contains(kept), "{kept}");
    }
    assert!(!left.contains("process.command_line"));
}
