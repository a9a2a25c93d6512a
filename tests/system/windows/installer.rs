//! The .msi, made here and given to `msiexec`: what it installs, what an upgrade keeps, what a removal leaves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use candor_tests::need;
use tempfile::TempDir;

use super::{OPERATOR, SERVICE, SOURCE, Windows, needed, seen_from_windows};

const PIN: &str = "sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const BACKUP: &str = "sha256/CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

/// The programs, where wixl is there as well.
fn ready() -> Option<PathBuf> {
    let programs = needed()?;
    let has_tools = |tool: &&str| Command::new(tool).arg("--version").output().is_ok();
    let ready = ["wixl", "msibuild", "x86_64-w64-mingw32-strip"].iter().all(has_tools);
    need("wixl, msitools and mingw's strip", ready).then_some(programs)
}

/// Installers of two versions, and the first one made again; made once for all tests.
struct Installers {
    _dir: TempDir,
    first: PathBuf,
    again: PathBuf,
    second: PathBuf,
}

fn installers(programs: &Path) -> &'static Installers {
    static MADE: OnceLock<Installers> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let made = |name: &str, version| package(programs, &dir.path().join(name), version);
        let [first, again] = ["first", "again"].map(|name| made(name, "0.1.0"));
        let second = made("second", "0.1.1");
        Installers { _dir: dir, first, again, second }
    })
}

fn package(programs: &Path, out: &Path, version: &str) -> PathBuf {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/build"))
        .args(["--only", "msi", "--version", version, "--windows"])
        .arg(programs)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out.join(format!("candor-{version}-x64.msi"))
}

fn msiexec(windows: &Windows, action: &str, msi: &Path, properties: &[&str]) -> Option<i32> {
    let msi = seen_from_windows(msi);
    let mut arguments = vec![action, &msi, "/qn"];
    arguments.extend(properties);
    windows.run("msiexec", &arguments).code
}

#[test]
fn an_msi_installs_upgrades_with_state_and_settings_and_removes_what_it_is_told_to() {
    let Some(programs) = ready() else { return };
    let Installers { first, second, .. } = installers(&programs);
    let windows = Windows::bare();
    let pins = format!("PINS={PIN};{BACKUP}");
    let properties = ["LEVEL=1", "ENDPOINT=https://127.0.0.1:9", &pins];
    assert_eq!(msiexec(&windows, "/i", first, &properties), Some(0));
    installed(&windows);
    let id = windows.status()["install_id"].clone();

    assert_eq!(msiexec(&windows, "/i", second, &[]), Some(0), "the upgrade");
    installed(&windows);
    assert_eq!(windows.status()["install_id"], id, "the state is kept");

    assert_eq!(msiexec(&windows, "/x", second, &[]), Some(0));
    removed(&windows);
    assert!(windows.drive("ProgramData/Candor/state/spool.db").is_file(), "state is kept");
    assert!(windows.key(OPERATOR).is_some(), "and settings");

    assert_eq!(msiexec(&windows, "/i", second, &[]), Some(0));
    installed(&windows);
    assert_eq!(windows.status()["install_id"], id, "and found again");
    assert_eq!(msiexec(&windows, "/x", second, &["REMOVESTATE=1"]), Some(0));
    removed(&windows);
    assert!(!windows.drive("ProgramData/Candor").exists(), "no leftovers");
    assert_eq!(windows.key(r"HKLM\SOFTWARE\Candor"), None, "in the registry neither");
}

/// The service as `agentctl service install` makes it, and the properties as the operator's setting.
fn installed(windows: &Windows) {
    windows.answers();
    let service = windows.key(SERVICE).unwrap();
    for said in [r#""C:\Program Files\Candor\agentd.exe" service"#, r"NT SERVICE\candor"] {
        assert!(service.contains(said), "{said} is not in {service}");
    }
    let operator = windows.key(OPERATOR).unwrap();
    for said in ["0x1", "https://127.0.0.1:9", PIN, BACKUP, "REG_MULTI_SZ"] {
        assert!(operator.contains(said), "{said} is not in {operator}");
    }
    assert!(windows.key(SOURCE).is_some_and(|source| source.contains("EventCreate.exe")));
    let doctor = windows.ctl(&["service", "doctor", "--json"]);
    assert_eq!(doctor.json()["findings"], serde_json::json!([]), "{doctor:?}");
    let status = windows.status();
    assert_eq!(status["level"]["effective"], 1, "{status}");
    assert_eq!(status["upload"]["endpoint"], "https://127.0.0.1:9", "{status}");
    for file in [
        "Candor/PolicyDefinitions/en-US/Candor.adml",
        "WindowsPowerShell/Modules/Candor/Candor.psd1",
    ] {
        assert!(windows.drive("Program Files").join(file).is_file(), "{file}");
    }
}

fn removed(windows: &Windows) {
    assert_eq!(windows.key(SERVICE), None, "the service is still registered");
    assert_eq!(windows.key(SOURCE), None, "the event source is still registered");
    assert!(!windows.drive("Program Files/Candor").exists(), "programs are left");
    assert!(!windows.drive("Program Files/WindowsPowerShell/Modules/Candor").exists());
}

#[test]
fn an_msi_refuses_what_is_no_level_and_leaves_nothing() {
    let Some(programs) = ready() else { return };
    let msi = &installers(&programs).first;
    let windows = Windows::bare();
    for wrong in [["LEVEL=4", "X=1"], ["LEVEL=much", "X=1"], ["PINS=a;b", "X=1"]] {
        assert_ne!(msiexec(&windows, "/i", msi, &wrong), Some(0), "{wrong:?}");
        assert_eq!(windows.key(SERVICE), None, "{wrong:?}");
    }
    // What only the agent understands is refused by it, and the installation rolled back.
    let one_pin = format!("PINS={PIN}");
    let properties = ["ENDPOINT=https://127.0.0.1:9", one_pin.as_str()];
    assert_ne!(msiexec(&windows, "/i", msi, &properties), Some(0));
    assert_eq!(windows.key(OPERATOR), None);
}

#[test]
fn the_same_programs_give_the_same_installer_to_the_byte() {
    let Some(programs) = ready() else { return };
    let made = installers(&programs);
    assert!(std::fs::read(&made.first).unwrap() == std::fs::read(&made.again).unwrap());
    assert!(std::fs::read(&made.first).unwrap() != std::fs::read(&made.second).unwrap());
}
