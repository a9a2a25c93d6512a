//! `docs/control-api.yaml` against the route table and against the answers of a running agent: what is
//! documented is there, and what is there is documented.

use std::collections::BTreeSet;

use candor_platform::Role;
use candor_tests::{Agent, Collector, Settings};
use serde_json::{Value, json};

fn document() -> Value {
    let text = include_str!("../../docs/control-api.yaml");
    serde_yaml_ng::from_str(text).unwrap()
}

#[test]
fn every_route_is_documented_with_its_role_and_no_other() {
    let document = document();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let role = operation["x-role"].as_str().unwrap().to_owned();
            documented.insert((method.to_uppercase(), path.clone(), role));
        }
    }
    let word = |role| match role {
        Role::Anyone => "anyone",
        Role::Reader => "reader",
        Role::Administrator => "administrator",
    };
    let routes = candor_control::routes()
        .map(|(method, path, role)| (method.to_owned(), path.to_owned(), word(role).to_owned()));
    assert_eq!(documented, routes.collect());
}

/// Follows a reference.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether a value is what its schema says, and all of it is documented.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolve(document, schema);
    // What is anything by its nature: the content of a record.
    if *schema == Value::Bool(true) {
        return;
    }
    let allowed: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(|one| one.as_str().unwrap()).collect(),
        other => panic!("{at} has no type: {other}"),
    };
    let is = kind(value);
    assert!(
        allowed.contains(&is) || (is == "integer" && allowed.contains(&"number")),
        "{at}: {value} is no {allowed:?}"
    );
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(required.as_str().unwrap()).is_some(), "{at} lacks {required}: {value}");
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let place = format!("{at}.{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema @ (Value::Object(_) | Value::Bool(true)))) => {
                check(document, schema, field, &place);
            }
            _ => panic!("{place} is not documented"),
        }
    }
    for item in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], item, &format!("{at}[]"));
    }
}

/// The operation's documented answer.
fn answer<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    &document["paths"][path][method.to_lowercase()]["responses"]["200"]["content"]["application/json"]
        ["schema"]
}

#[test]
fn the_answers_of_a_running_agent_are_the_documented_ones() {
    let (document, collector) = (document(), Collector::start());
    let agent = Agent::start(&Settings::to(&collector, 3));
    let ask = |method: &str, path: &str, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, value) = agent.ask(method, path, &body);
        assert_eq!(status, 200, "{method} {path}: {value}");
        let named = path.split('?').next().unwrap();
        check(&document, answer(&document, method, named), &value, path);
    };
    let raise = json!({ "level": "full", "for": "1h", "reason": "to see all fields" });
    ask("POST", "/v1/level", raise);
    ask("POST", "/v1/flush", json!({ "wait": true, "stop_probes": false }));
    agent.write("etc/candor/policy.d/1.toml", "Unknown = 1\n");
    ask("POST", "/v1/reload", Value::Null);
    for path in [
        "/v1/status",
        "/v1/level",
        "/v1/explain",
        "/v1/stats",
        "/v1/audit",
        "/v1/dead",
        "/v1/history",
        "/v1/providers",
        "/v1/events",
        "/v1/events?full=true",
        "/v1/journal",
        "/v1/volume",
    ] {
        ask("GET", path, Value::Null);
    }
    // A log record and a metric, in full.
    for kind in ["log", "metric"] {
        let (_, page) = agent.ask("GET", "/v1/events?limit=1000", "");
        let found = page["events"].as_array().unwrap().iter().find(|event| event["kind"] == kind);
        let (status, event) =
            agent.ask("GET", &format!("/v1/events/{}", found.unwrap()["seq"]), "");
        assert_eq!(status, 200, "{event}");
        check(&document, answer(&document, "GET", "/v1/events/{seq}"), &event, kind);
    }
    ask("POST", "/v1/providers", json!({ "name": "cli", "enabled": true }));
    let emitted =
        json!({ "records": [{ "event": "cli.command", "attributes": { "success": true } }] });
    ask("POST", "/v1/emit", emitted);
    ask("POST", "/v1/level", json!({ "level": 1 }));
    agent.write("etc/candor/agent.toml", "AllowTelemetry = \n");
    ask("POST", "/v1/reload", Value::Null);
    ask("GET", "/v1/status", Value::Null);
    ask("POST", "/v1/disable", json!({ "keep_pending": true }));
    ask("GET", "/v1/status", Value::Null);
    ask("POST", "/v1/enable", Value::Null);
}

#[test]
fn errors_are_the_documented_ones() {
    let document = document();
    let agent = Agent::start(&Settings::level(1));
    agent.write("etc/candor/policy.d/1.toml", "AllowTelemetry = 1\n");
    assert_eq!(agent.ask("POST", "/v1/reload", "").0, 200);
    let schema = &document["components"]["schemas"]["Error"];
    for (method, path, body, expected, code) in [
        ("GET", "/v1/weather", "", 404, "not_found"),
        ("GET", "/v1/events/999999999", "", 404, "not_found"),
        ("GET", "/v1/events?colour=red", "", 400, "bad_request"),
        ("GET", "/v1/events?since=yesterday", "", 400, "bad_request"),
        ("GET", "/v1/journal/999999999/body", "", 404, "not_found"),
        ("PUT", "/v1/level", "", 405, "bad_request"),
        ("POST", "/v1/level", "{}", 400, "bad_request"),
        ("POST", "/v1/level", "{\"level\":1,\"fore\":\"1h\"}", 400, "bad_request"),
        ("POST", "/v1/level", "{\"level\":3}", 409, "refused_by_policy"),
        (
            "POST",
            "/v1/disable",
            &format!("{{\"a\":\"{}\"}}", "x".repeat(70_000)),
            413,
            "bad_request",
        ),
    ] {
        let (status, error) = agent.ask(method, path, body);
        assert_eq!(
            (status, error["error"]["code"].as_str()),
            (expected, Some(code)),
            "{method} {path}"
        );
        check(&document, schema, &error, path);
        let documented =
            document["components"]["responses"]["Refused"]["description"].as_str().unwrap();
        assert!(documented.contains(&expected.to_string()), "{expected} is not documented");
    }
}
