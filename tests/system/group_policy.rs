//! The administrative templates against the rules of policy definition files, by a validator that is not ours.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use candor_tests::need;

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/system/policy_definitions.xsd");
const TEMPLATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../policy/admx");

fn validated(file: &Path) -> Output {
    Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema", RULES])
        .arg(file)
        .output()
        .unwrap()
}

fn is_there() -> bool {
    need("xmllint", Command::new("xmllint").arg("--version").output().is_ok())
}

#[test]
fn the_templates_keep_the_rules_of_policy_definition_files() {
    if !is_there() {
        return;
    }
    for file in ["Candor.admx", "en-US/Candor.adml"] {
        let output = validated(&Path::new(TEMPLATES).join(file));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The rules are ours: they must refuse what the editor would stumble over.
#[test]
fn what_the_editor_would_stumble_over_is_refused() {
    if !is_there() {
        return;
    }
    let template = fs::read_to_string(Path::new(TEMPLATES).join("Candor.admx")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (right, wrong) in [
        ("<parentCategory ref=\"Candor\" />", "<parentCategory ref=\"Elsewhere\" />"),
        ("class=\"Machine\"", "class=\"Everybody\""),
        ("$(string.AllowTelemetry)", "AllowTelemetry"),
        ("<decimal value=\"1\" />", "<decimal value=\"one\" />"),
        ("name=\"MaxTelemetryAllowed\" class", "name=\"AllowTelemetry\" class"),
        ("key=\"SOFTWARE", "key=\"\\SOFTWARE"),
        ("</policies>", "</policies><policies />"),
    ] {
        assert!(template.contains(right), "{right}");
        let file = dir.path().join("wrong.admx");
        fs::write(&file, template.replacen(right, wrong, 1)).unwrap();
        assert!(!validated(&file).status.success(), "{wrong} was accepted");
    }
}
