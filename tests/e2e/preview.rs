//! `preview` shows at each level what the one below shows and more, and its facts are this host's.

use std::collections::BTreeSet;
#[cfg(target_os = "linux")]
use std::{fs, process::Command};

use candor_tests::{Agent, Settings, eventually};
use serde_json::Value;

fn preview(agent: &Agent, level: u8) -> Vec<Value> {
    let outcome = agent.ctl(&["preview", "--level", &level.to_string(), "--json"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.lines()
}

fn names(records: &[Value]) -> BTreeSet<String> {
    records.iter().map(|record| record["name"].as_str().unwrap().to_owned()).collect()
}

#[cfg(target_os = "linux")]
fn find<'a>(records: &'a [Value], name: &str) -> &'a Value {
    &records.iter().find(|record| record["name"] == name).unwrap_or_else(|| panic!("no {name}"))["attributes"]
}

#[test]
fn each_level_contains_the_one_below_and_nothing_above_itself() {
    let agent = Agent::prepare(&Settings::level(0));
    let mut below = BTreeSet::new();
    for level in 0..=3 {
        let mut here = BTreeSet::new();
        // What is told of work that is done, such as a disk's latency, waits for some on an idle host.
        eventually("a level shows what the one below shows", || {
            let records = preview(&agent, level);
            for record in &records {
                assert!(record["level"].as_u64().unwrap() <= u64::from(level), "{record}");
                assert!(
                    record["kind"].is_string()
                        && record["time"].is_string()
                        && record["attributes"].is_object()
                );
            }
            here.extend(names(&records));
            println!("level {level} lacks {:?}", below.difference(&here));
            below.is_subset(&here).then_some(())
        });
        assert!(here.len() > below.len(), "level {level} adds nothing");
        below = here;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_facts_are_this_hosts() {
    let agent = Agent::prepare(&Settings::level(0));
    let records = preview(&agent, 3);
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).unwrap())
    };

    let threads: u64 = output("nproc", &["--all"]).unwrap().trim().parse().unwrap();
    assert_eq!(find(&records, "candor.device.processor")["threads"], threads);

    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let total: u64 =
        meminfo.lines().next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(find(&records, "candor.device.memory")["usable"], total * 1024);

    if let Some(lsblk) =
        output("lsblk", &["--nodeps", "--noheadings", "--bytes", "--output", "NAME,TYPE,SIZE"])
    {
        let disks: Vec<u64> = lsblk
            .lines()
            .filter(|line| line.contains(" disk "))
            .filter(|line| !line.starts_with("zram") && !line.starts_with("ram"))
            .map(|line| line.split_whitespace().last().unwrap().parse().unwrap())
            .collect();
        let storage = find(&records, "candor.device.storage");
        let drives = storage["drives"].as_array().unwrap();
        let mut sizes: Vec<u64> =
            drives.iter().map(|drive| drive["size"].as_u64().unwrap()).collect();
        let mut expected = disks.clone();
        sizes.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sizes, expected, "{storage}");
    }

    let links = fs::read_dir("/sys/class/net")
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .count();
    let network = find(&records, "candor.device.network");
    assert_eq!(network["adapters"].as_array().unwrap().len(), links, "{network}");
}

#[test]
fn the_difference_of_two_levels_is_what_the_higher_one_tells_alone() {
    let agent = Agent::prepare(&Settings::level(0));
    let outcome = agent.ctl(&["preview", "--diff", "1", "2", "--json"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let added = outcome.lines();
    assert!(!added.is_empty());
    // What a host tells may change between two looks; that level 2 has records of its own does not.
    let is_new = |line: &&Value| line["adds"] == "record" && line["level"] == 2;
    let new: Vec<_> = added.iter().filter(is_new).collect();
    assert!(!new.is_empty(), "{added:?}");
    assert!(new.iter().any(|line| !line["fields"].as_object().unwrap().is_empty()), "{new:?}");
}

/// No address, name or id of this host stands in what would be sent.
#[cfg(target_os = "linux")]
#[test]
fn neither_addresses_nor_names_of_this_host_are_in_it() {
    let agent = Agent::prepare(&Settings::level(0));
    let text = format!("{:?}", preview(&agent, 2));
    for entry in fs::read_dir("/sys/class/net").unwrap().flatten() {
        let mac = fs::read_to_string(entry.path().join("address")).unwrap_or_default();
        let mac = mac.trim();
        assert!(
            mac.is_empty() || mac == "00:00:00:00:00:00" || !text.contains(mac),
            "the address {mac} is in it"
        );
    }
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let hostname = hostname.trim();
    // A name of a few letters stands in any text.
    assert!(hostname.len() < 6 || !text.contains(hostname), "the host's name is in it");
    let machine_id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    assert!(machine_id.trim().is_empty() || !text.contains(machine_id.trim()));
}
