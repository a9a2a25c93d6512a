//! What a local user without any right is shown and refused: never a guess, never a change.

use std::fs;

use candor_tests::{Agent, Settings, need};

fn is_root() -> bool {
    need("root, to become a user without rights", nix::unistd::geteuid().is_root())
}

#[test]
fn a_stranger_sees_status_and_explanation_and_changes_nothing() {
    if !is_root() {
        return;
    }
    let agent = Agent::start(&Settings::level(2));
    assert_eq!(agent.ctl(&["set-level", "1"]).code, Some(0));
    for command in [["status"], ["level"], ["explain"], ["stats"]] {
        let shown = agent.ctl_as_stranger(&command);
        assert_eq!(shown.code, Some(0), "{command:?}: {shown:?}");
    }
    for command in [
        &["set-level", "3"][..],
        &["enable"],
        &["disable"],
        &["flush"],
        &["reload"],
        &["explain", "--history"],
    ] {
        let refused = agent.ctl_as_stranger(command);
        assert_eq!(refused.code, Some(4), "{command:?}: {refused:?}");
    }
    assert_eq!(agent.status()["level"]["effective"], 1);
}

#[test]
fn without_a_daemon_a_stranger_is_told_what_he_may_not_read() {
    if !is_root() {
        return;
    }
    let mut agent = Agent::start(&Settings::level(2));
    assert_eq!(agent.ctl(&["set-level", "1"]).code, Some(0));
    assert!(agent.stop().success(), "{}", agent.log());
    let setting = agent.path("var/lib/candor/operator.toml");
    let before = fs::read_to_string(&setting).unwrap();
    for command in [
        &["level"][..],
        &["explain"],
        &["explain", "--history"],
        &["set-level", "0"],
        &["enable"],
        &["disable"],
        &["pins", "show"],
        &["preview"],
        &["check"],
    ] {
        let refused = agent.ctl_as_stranger(command);
        assert_eq!(refused.code, Some(4), "{command:?}: {refused:?}");
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(said.contains("not readable by you"), "{command:?}: {refused:?}");
    }
    assert_eq!(fs::read_to_string(&setting).unwrap(), before);
    let shown = agent.ctl_as_stranger(&["preview", "--level", "0", "--json"]);
    let names: Vec<_> = shown.lines().iter().map(|record| record["name"].clone()).collect();
    assert_eq!(names, ["candor.security.posture"], "settings are guessed: {shown:?}");
}

#[test]
fn a_configuration_that_a_stranger_may_not_read_is_no_broken_one() {
    use std::os::unix::fs::PermissionsExt as _;
    if !is_root() {
        return;
    }
    // No agent ran here: the one thing that is hidden is agent.toml.
    let agent = Agent::prepare(&Settings::level(3));
    let file = agent.path("etc/candor/agent.toml");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    for command in ["explain", "level", "check"] {
        let refused = agent.ctl_as_stranger(&[command]);
        assert_eq!(refused.code, Some(4), "{command}: {refused:?}");
        assert!(!refused.stdout.contains("level 0"), "{command}: {refused:?}");
    }
}
