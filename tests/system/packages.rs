//! The packages as files: what is in them, and that they can be made again.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::machine::Packages;

#[test]
fn the_same_programs_give_the_same_packages_to_the_byte() {
    let Some(first) = Packages::of_this_run() else { return };
    let second = Packages::others(&[]);
    let (ours, theirs) = (first.files(""), second.files(""));
    assert_eq!(ours.len(), 4, "{ours:?}");
    for (one, other) in ours.iter().zip(&theirs) {
        assert_eq!(one.file_name(), other.file_name());
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{}", one.display());
    }
}

#[test]
fn lintian_has_nothing_to_complain_about() {
    let Some(packages) = Packages::of_this_run() else { return };
    let output = Command::new("lintian")
        .args(["--no-cfg", "--allow-root", "--fail-on", "error,warning"])
        .args(packages.files(".deb"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_rpm_holds_what_the_manual_says() {
    let Some(packages) = Packages::of_this_run() else { return };
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/install.md");
    let manual = fs::read_to_string(manual).unwrap();
    let mut held = BTreeSet::new();
    for package in packages.files(".rpm") {
        let output = Command::new("rpm").arg("-qlp").arg(package).output().unwrap();
        held.extend(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned));
    }
    assert!(held.contains("/usr/sbin/agentd") && held.contains("/usr/bin/candor-collector"));
    let is_document = |path: &str| path.starts_with("/usr/share/");
    for path in held.iter().filter(|path| !is_document(path)) {
        assert!(manual.contains(&format!("`{path}`")), "docs/install.md does not name {path}");
    }
    for folder in ["/usr/share/man/man8/agentd.8.gz", "/usr/share/doc/candor/sbom.cdx.json"] {
        assert!(held.contains(folder), "{folder}");
    }
}
