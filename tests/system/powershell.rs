//! The PowerShell module, read by a real PowerShell grammar: it cannot be run here, so it must at least be
//! without an error, and do nothing but call `agentctl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use candor_tests::{need, python};

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/powershell/Candor");

/// Prints every node that the grammar does not understand.
const PARSE: &str = "
import sys, tree_sitter, tree_sitter_powershell
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
def walk(node, name):
    if node.type == 'ERROR' or node.is_missing:
        print(f'{name}:{node.start_point[0] + 1}: {node.type}')
    for child in node.children:
        walk(child, name)
for name in sys.argv[1:]:
    walk(parser.parse(open(name, 'rb').read()).root_node, name)
";

fn parse(python: &Path, files: &[PathBuf]) -> String {
    let output = Command::new(python).args(["-c", PARSE]).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_module_is_well_formed_powershell() {
    let python = python("tree_sitter_powershell");
    if !need(
        "Python with tree-sitter-powershell in target/venv (.ci/packages makes it)",
        python.is_some(),
    ) {
        return;
    }
    let python = python.unwrap();
    let files = [
        "Candor.psm1",
        "Candor.psd1",
        "CandorOperator.pssc",
        "RoleCapabilities/CandorOperator.psrc",
    ];
    let files: Vec<PathBuf> = files.iter().map(|file| Path::new(MODULE).join(file)).collect();
    assert_eq!(parse(&python, &files), "");

    // The grammar does see an error where there is one.
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.psm1");
    fs::write(&broken, fs::read_to_string(&files[0]).unwrap().replacen("if (-not", "if -not (", 1))
        .unwrap();
    assert_ne!(parse(&python, &[broken]), "");
}

#[test]
fn the_manifest_exports_what_the_module_defines_and_helps_with_each() {
    let module = fs::read_to_string(Path::new(MODULE).join("Candor.psm1")).unwrap();
    let manifest = fs::read_to_string(Path::new(MODULE).join("Candor.psd1")).unwrap();
    let names = [
        "Set-Telemetry",
        "Get-Telemetry",
        "Set-TelemetryLevel",
        "Get-TelemetryPolicy",
        "Test-Telemetry",
        "Get-DiagnosticEvent",
    ];
    for name in names {
        assert!(
            module.contains(&format!("#>\nfunction {name} {{")),
            "{name} is not defined, or has no help"
        );
        assert!(manifest.contains(&format!("'{name}'")), "{name} is not exported");
    }
    assert_eq!(module.matches(".SYNOPSIS").count(), names.len());
}
