//! The JSON Schema of a manifest, read by a validator that we did not write: it takes what the agent takes and
//! refuses what the agent cannot read, key by key.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use candor_providers::{Manifest, SHIPPED, read};
use candor_tests::{need, python};
use serde_json::{Value, json};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/provider-manifest.schema.json");
const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Says of each line whether it is valid, after the schema itself.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
for line in sys.stdin:
    print(validator.is_valid(json.loads(line)))
";

/// A manifest with every key that there is.
const EVERYTHING: &str = r#"
name = "backup"
doc = "x"
peer = { uid = [1], gid = [2], executable = ["/bin/x"] }
service_name = ["backup"]
scope = ["backup"]
token_sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
rate = { peer = 1.0, user = 2.0 }
opt_out = { attributes = { a = ["no"] }, environment = { B = ["no"] }, files = [{ path = "~/x", key = "a.b", values = ["no"] }], flags = ["--no"] }
sensitive = ["vault"]
hide_ids = true
any_event = false
[[event]]
name = "backup.run"
kind = "span"
level = 2
purpose = "x"
doc = "x"
sample = 0.5
max_bytes = 100
[event.fields]
ok = { type = "bool", class = "software", doc = "x", level = 3 }
id = { type = "text", class = "pseudonym", doc = "x", format = "guid" }
mode = { type = "text", class = "system", doc = "x", words = ["a"], sensitive = true }
name = { type = "text", class = "software", doc = "x", parse = "module-deployment" }
tool = { type = "text", class = "software", doc = "x", format = "name" }
kind = { type = "text", class = "software", doc = "x", format = "name" }
module = { type = "text", class = "software", doc = "x", format = "name" }
version = { type = "text", class = "software", doc = "x", format = "version" }
suffix = { type = "text", class = "software", doc = "x", format = "time" }
attribution_id = { type = "list", class = "diagnostic text", doc = "x" }
"#;

/// Values that are wrong at most places.
fn odd() -> [Value; 7] {
    [
        json!(true),
        json!(7),
        json!(-7),
        json!(0.25),
        json!("odd"),
        json!(["odd"]),
        json!({ "odd": 1 }),
    ]
}

/// Everything that one change at one place makes of a value: another value, a key renamed or gone.
fn mutants(value: &Value) -> Vec<Value> {
    let mut mutants: Vec<Value> = odd().into();
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                let without = |more: Option<(String, Value)>| {
                    let mut others = object.clone();
                    others.remove(key);
                    others.extend(more);
                    Value::Object(others)
                };
                mutants.push(without(None));
                mutants.push(without(Some((format!("{key}x"), inner.clone()))));
                let changed = self::mutants(inner).into_iter();
                mutants.extend(changed.map(|inner| without(Some((key.clone(), inner)))));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                mutants.extend(self::mutants(item).into_iter().map(|item| {
                    let mut items = items.clone();
                    items[at] = item;
                    Value::Array(items)
                }));
            }
        }
        _ => {}
    }
    mutants
}

/// What the validator says of each.
fn valid(python: &Path, manifests: &[Value]) -> Vec<bool> {
    let mut process = Command::new(python)
        .args(["-c", VALIDATE, SCHEMA])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let lines: String = manifests.iter().map(|manifest| manifest.to_string() + "\n").collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<bool> = said.lines().map(|line| line == "True").collect();
    assert_eq!(said.len(), manifests.len());
    said
}

fn json_of(text: &str) -> Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

#[test]
fn the_published_schema_takes_what_the_agent_takes_and_refuses_what_it_cannot_read() {
    let python = python("jsonschema");
    let what = "Python with jsonschema in target/venv (.ci/packages makes it)";
    let (true, Some(python)) = (need(what, python.is_some()), python) else { return };
    let mut right: Vec<(String, String)> =
        SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    right.push(("everything".to_owned(), EVERYTHING.to_owned()));
    let example = fs::read_to_string(Path::new(DOCUMENTS).join("examples/shop.toml")).unwrap();
    right.push(("the example".to_owned(), example));
    let guide = fs::read_to_string(Path::new(DOCUMENTS).join("docs/providers.md")).unwrap();
    let shown = guide.split("```toml\n").find(|block| block.starts_with("name = ")).unwrap();
    right.push(("the guide's".to_owned(), shown.split("```").next().unwrap().to_owned()));
    let manifests: Vec<Value> = right.iter().map(|(_, text)| json_of(text)).collect();
    for ((name, text), is_valid) in right.iter().zip(valid(&python, &manifests)) {
        assert!(is_valid, "{name}");
        assert!(read(text, name).is_ok(), "{name}: {:?}", read(text, name));
    }

    let mutants = mutants(&json_of(EVERYTHING));
    let mutants: Vec<Value> = mutants.into_iter().filter(Value::is_object).collect();
    let (mut refused, verdicts) = (0, valid(&python, &mutants));
    for (mutant, is_valid) in mutants.iter().zip(verdicts) {
        let text = toml::to_string(mutant).unwrap();
        if toml::from_str::<Manifest>(&text).is_err() {
            assert!(!is_valid, "the agent cannot read what the schema takes: {text}");
            refused += 1;
        }
        if !is_valid {
            assert!(read(&text, "x").is_err(), "the schema refuses what the agent takes: {text}");
        }
    }
    assert!(refused > 300, "{refused} of {}", mutants.len());
}
