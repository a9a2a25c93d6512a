//! Who may speak through the agent: the switch of each provider, with and without a daemon, and what is
//! said of a manifest that cannot be used.

#[cfg(unix)]
use std::fs;

#[cfg(unix)]
use candor_tests::need;
use candor_tests::{Agent, Settings, eventually};
use serde_json::Value;

const MANIFEST: &str = "name = \"backup\"\ndoc = \"Backups.\"\npeer = \"any\"\nservice_name = [\"backup\"]\n\
    [[event]]\nname = \"backup.run\"\nlevel = 2\npurpose = \"to test\"\ndoc = \"A run.\"\n";

fn provider(agent: &Agent, name: &str) -> Value {
    let told = agent.ctl(&["providers", "--json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let told = told.json();
    let providers = told["providers"].as_array().unwrap();
    providers.iter().find(|provider| provider["name"] == name).cloned().unwrap_or_default()
}

#[cfg(unix)]
#[test]
fn a_shipped_provider_is_off_until_it_is_enabled_and_the_switch_survives_a_restart() {
    let mut agent = Agent::start(&Settings::level(2));
    let shown = provider(&agent, "cli");
    assert_eq!((&shown["enabled"], &shown["source"]), (&false.into(), &"shipped".into()));
    let enabled = agent.ctl(&["providers", "enable", "cli"]);
    assert_eq!((enabled.code, enabled.stdout.trim()), (Some(0), "cli is on"));
    assert_eq!(provider(&agent, "cli")["enabled"], true);
    let again = agent.ctl(&["providers", "enable", "cli"]);
    assert_eq!((again.code, again.stdout.trim()), (Some(0), "cli is on already"));
    assert!(agent.stop().success());
    assert_eq!(provider(&agent, "cli")["enabled"], true, "told without a daemon");
    assert_eq!(agent.ctl(&["providers", "enable", "deployment"]).code, Some(0));
    agent.run();
    assert_eq!(provider(&agent, "cli")["enabled"], true);
    assert_eq!(provider(&agent, "deployment")["enabled"], true);
    let disabled = agent.ctl(&["providers", "disable", "cli", "--json"]).json();
    assert_eq!((&disabled["enabled"], &disabled["changed"]), (&false.into(), &true.into()));
    let history = agent.ctl(&["explain", "--history"]).stdout;
    for said in ["cli on", "deployment on", "cli off"] {
        assert!(history.contains(said), "{history}");
    }
}

#[test]
fn a_manifest_that_is_added_counts_without_a_restart_and_a_broken_one_says_where() {
    let agent = Agent::start(&Settings::level(2));
    agent.write("etc/candor/providers.d/backup.toml", MANIFEST);
    let shown = eventually("the manifest counts", || {
        Some(provider(&agent, "backup")).filter(Value::is_object)
    });
    assert_eq!((&shown["enabled"], &shown["source"]), (&true.into(), &"local".into()));
    assert_eq!(agent.ctl(&["check"]).code, Some(0));
    let broken = MANIFEST.replace("level = 2", "level = 0");
    agent.write("etc/candor/providers.d/backup.toml", &broken);
    let shown = eventually("the broken manifest is noticed", || {
        Some(provider(&agent, "backup")).filter(|shown| shown["level"].is_null())
    });
    let problem = shown["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("backup.toml:7:9: ") && problem.contains("write 1, 2 or 3"),
        "{problem}"
    );
    assert_eq!(shown["enabled"], false);
    let file = agent.path("etc/candor/providers.d/backup.toml").display().to_string();
    for command in [&["check"][..], &["check", &file]] {
        let checked = agent.ctl(command);
        assert_eq!(checked.code, Some(78), "{checked:?}");
        assert!(checked.stdout.contains("backup.toml:7:9: "), "{checked:?}");
    }
    assert_eq!(agent.ctl(&["providers", "disable", "backup"]).code, Some(0));
    assert_eq!(agent.ctl(&["providers", "enable", "backup"]).code, Some(1));
    assert_ne!(agent.ctl(&["providers", "enable", "nobody"]).code, Some(0));
}

#[test]
fn the_catalog_shows_what_the_providers_that_are_on_may_tell() {
    let agent = Agent::prepare(&Settings::level(2));
    let providers = |arguments: &[&str]| {
        let shown = agent.ctl(&[&["catalog", "--json"], arguments].concat()).json();
        let providers = shown["providers"].as_array().unwrap();
        providers.iter().map(|one| one["provider"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(providers(&[]).is_empty());
    for name in ["cli", "application"] {
        assert_eq!(agent.ctl(&["providers", "enable", name]).code, Some(0));
    }
    assert_eq!(providers(&[]), ["cli", "application"]);
    assert_eq!(providers(&["--level", "2"]), ["cli"]);
    for format in ["table", "markdown"] {
        let shown = agent.ctl(&["catalog", "--format", format]).stdout;
        assert!(shown.contains("cli.command") && shown.contains("extensionVersion"), "{shown}");
    }
}

#[cfg(unix)]
#[test]
fn a_manifest_that_others_may_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let agent = Agent::prepare(&Settings::level(2));
    agent.write("etc/candor/providers.d/backup.toml", MANIFEST);
    let file = agent.path("etc/candor/providers.d/backup.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let problem = provider(&agent, "backup")["problems"][0].to_string();
    assert!(problem.contains("writable by others"), "{problem}");
    assert_eq!(agent.ctl(&["check"]).code, Some(78));
}

#[cfg(unix)]
#[test]
fn a_stranger_sees_the_providers_and_switches_none() {
    if !need("root, to become a user without rights", nix::unistd::geteuid().is_root()) {
        return;
    }
    let agent = Agent::start(&Settings::level(2));
    assert_eq!(agent.ctl_as_stranger(&["providers"]).code, Some(0));
    let refused = agent.ctl_as_stranger(&["providers", "enable", "cli"]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert_eq!(provider(&agent, "cli")["enabled"], false);
}
