//! What changes on the host is looked at when it changes, and not with the next report; while telemetry
//! is off nobody listens.

use std::fs;
use std::process::Command;

use candor_tests::{Agent, Settings, eventually, need};
use serde_json::Value;

/// Nothing is due by itself while a test runs.
fn settings() -> Settings {
    Settings::level(1)
        .table("upload", "interval = \"4h\"")
        .table("sample", "interval = \"4h\"")
        .table("spool", "keep_without_endpoint = true")
}

fn last(agent: &Agent, name: &str) -> Option<String> {
    let status = agent.status();
    let probe = status["probes"].as_array()?.iter().find(|probe| probe["name"] == name)?.clone();
    Some(probe["last_success"].as_str()?.to_owned())
}

/// Does something to the host until this probe has looked anew. Once is enough unless the agent was
/// just resting from an earlier look.
fn looks_again(agent: &Agent, name: &str, act: &dyn Fn()) {
    let before = eventually("the first look", || last(agent, name));
    act();
    eventually(&format!("{name} looks again"), || {
        last(agent, name).filter(|now| *now != before).map(drop)
    });
}

/// The agent's descriptors that listen for changes: netlink sockets by the kernel's own table, and how
/// many inotify instances.
fn listeners(agent: &Agent) -> (usize, usize) {
    let process = format!("/proc/{}", agent.id());
    let table = fs::read_to_string(format!("{process}/net/netlink")).unwrap();
    let inodes: Vec<_> =
        table.lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
    let links = fs::read_dir(format!("{process}/fd")).unwrap().flatten();
    let links: Vec<_> = links
        .filter_map(|entry| fs::read_link(entry.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    let is_netlink = |link: &&String| {
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.contains(&inode))
    };
    let inotify = links.iter().filter(|link| link.contains("inotify")).count();
    (links.iter().filter(is_netlink).count(), inotify)
}

#[test]
fn a_pending_restart_is_told_at_once_and_while_off_nobody_listens() {
    let host = tempfile::tempdir().unwrap();
    fs::create_dir_all(host.path().join("run")).unwrap();
    fs::create_dir_all(host.path().join("etc")).unwrap();
    fs::write(host.path().join("etc/os-release"), "ID=debian\nNAME=Debian\n").unwrap();
    let mut agent = Agent::prepare(&settings()).on_host(host.path());
    agent.run();
    // The settings and the posture.
    let before = eventually("the first records", || generated(&agent).filter(|count| *count >= 2));
    looks_again(&agent, "posture", &|| {
        fs::write(host.path().join("run/reboot-required"), "").unwrap();
    });
    eventually("what changed is told", || generated(&agent).filter(|count| *count > before));

    let on = listeners(&agent);
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    eventually("nobody listens", || {
        let off = listeners(&agent);
        (off.0 == 0 && off.1 < on.1).then_some(())
    });
}

/// Records of level 0.
fn generated(agent: &Agent) -> Option<u64> {
    agent.status()["events"]["by_level"]["0"].as_u64()
}

/// In a network of its own whose adapters are its own to see.
const OWN_NETWORK: &str = "mount -t sysfs own /sys && ip link set lo up && exec \"$@\"";

#[test]
fn a_new_adapter_is_looked_at_when_it_comes_and_a_drive_when_it_changes() {
    let network = ["unshare", "--net", "--mount", "sh", "-euc", OWN_NETWORK, "sh"];
    let can = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-euc", "mount -t sysfs own /sys && ip link set lo up"])
        .status();
    if !need("root, unshare and ip", can.is_ok_and(|status| status.success())) {
        return;
    }
    let mut agent = Agent::prepare(&settings()).within(&network);
    agent.run();
    let target = agent.id().to_string();
    let within = |words: &[&str]| {
        let ended = Command::new("nsenter")
            .args(["--target", &target, "--net", "--mount", "--"])
            .args(words)
            .status();
        assert!(ended.unwrap().success(), "{words:?}");
    };
    looks_again(&agent, "adapters", &|| {
        within(&["ip", "link", "add", "one", "type", "veth", "peer", "name", "two"]);
    });
    assert!(listeners(&agent).0 >= 2);
    let drive = fs::read_dir("/sys/block").unwrap().flatten().next();
    if let Some(drive) = drive {
        // As the kernel says it of a drive; it tells every network of the host.
        let path = drive.path().join("uevent");
        looks_again(&agent, "drives", &|| {
            within(&["sh", "-c", &format!("echo change > {}", path.display())]);
        });
    }
    let status: Value = agent.status();
    assert!(status["probes"].as_array().unwrap().iter().all(|probe| probe["last_error"].is_null()));
}
