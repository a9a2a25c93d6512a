//! Linux: `/proc/net/dev`, kept open, and `/sys/class/net` for what a name is.
//!
//! # Invariants
//! - A physical adapter is what has a `device` in `/sys/class/net/NAME`.
//! - Another host's table is that of its first process, for `/proc/net` is the reader's own.
//!
//! A line that is not as documented is left out.

use super::{COUNTERS, Reading};
use crate::kept::Kept;
use crate::name::Name;
use crate::roster::Roster;
use crate::scan::{lines, numbers, words};
use crate::{Host, ProbeError};

/// How the kernel and systemd name adapters of hardware; only so named ones stand in for physical
/// ones. Any other name is of a bridge, a tunnel or a container's end, or a person chose it.
const CONVENTIONAL: [&str; 6] = ["eth", "en", "wl", "ww", "ib", "usb"];

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader {
    table: Option<Kept>,
    roster: Roster,
    fallback: Vec<Reading>,
}

impl Reader {
    /// `/proc/net/dev` has a column `drop`.
    pub(super) const TELLS_DROPS: bool = true;

    /// The counters now.
    pub(super) fn read(&mut self, host: &Host, into: &mut Vec<Reading>) -> Result<(), ProbeError> {
        let table = self.table.get_or_insert_with(|| Kept::new(path(host)));
        let text = table.read()?;
        self.roster.begin();
        self.fallback.clear();
        for (name, rest) in lines(text).filter_map(split) {
            if has_virtual_name(name) {
                continue;
            }
            let Some(name) = Name::new(name) else { continue };
            let is_physical = self.roster.follows(name, |name| is_physical(host, name));
            let Some(counters) = numbers(&mut words(rest)).map(counters) else { continue };
            if is_physical {
                into.push(Reading { name, counters });
            } else if is_conventional(name.as_str().as_bytes()) && into.is_empty() {
                self.fallback.push(Reading { name, counters });
            }
        }
        self.roster.finish();
        if into.is_empty() {
            into.append(&mut self.fallback);
        }
        Ok(())
    }
}

fn path(host: &Host) -> std::path::PathBuf {
    let first = host.proc("1/net/dev");
    if !host.is_live() && first.exists() { first } else { host.proc("net/dev") }
}

/// Name and numbers of a line; the two lines of headings have no colon.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line.get(..colon)?.trim_ascii(), line.get(colon + 1..)?))
}

fn is_conventional(name: &[u8]) -> bool {
    CONVENTIONAL.iter().any(|kind| name.starts_with(kind.as_bytes()))
}

/// Names that container runtimes and hypervisors give in great numbers; not even asked about.
fn has_virtual_name(name: &[u8]) -> bool {
    let virtual_names = ["veth", "cali", "lxc", "vnet", "tap", "tun", "br-", "docker", "cni"];
    name == b"lo" || virtual_names.iter().any(|kind| name.starts_with(kind.as_bytes()))
}

fn is_physical(host: &Host, name: &str) -> bool {
    host.sys(&format!("class/net/{name}/device")).exists()
}

/// From the kernel's columns (receive: bytes packets errs drop fifo frame compressed multicast;
/// transmit: bytes packets errs drop …) to those of the probe.
fn counters(row: [u64; 12]) -> [u64; COUNTERS] {
    [row[0], row[1], row[2], row[3], row[8], row[9], row[10], row[11]]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Probe as _;
    use crate::network::Network;
    use crate::samples::{at, values};

    const HEAD: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
    const ETH0: &str = "  eth0: 536353559   12855    1    2    0     0          0         7   578273    7178    3    4    0     0       0          0\n";
    const VETH: &str = "veth1a2b3c: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n    lo:    3433      33    0    0    0     0          0         0     3433      33    0    0    0     0       0          0\n";

    fn machine(table: &str) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("net")).unwrap();
        fs::create_dir_all(host.sys("class/net/eth0/device")).unwrap();
        fs::create_dir_all(host.sys("class/net/veth1a2b3c")).unwrap();
        fs::write(host.proc("net/dev"), table).unwrap();
        (root, host)
    }

    fn names(host: &Host) -> Vec<String> {
        let mut readings = Vec::new();
        Reader::default().read(host, &mut readings).unwrap();
        readings.iter().map(|reading| reading.name.as_str().to_owned()).collect()
    }

    #[test]
    fn a_recorded_machine_gives_its_adapter_and_no_containers_end() {
        let (_root, host) = machine(&[HEAD, VETH, ETH0].concat());
        let mut network = Network::new();
        network.sample(&host, at(0)).unwrap();
        let later = ETH0.replace("536353559   12855    1    2", "536354559   12865    2    4");
        fs::write(host.proc("net/dev"), [HEAD, VETH, &later].concat()).unwrap();
        let records = network.report(&host, at(10)).unwrap();
        let pair =
            |received: f64| [("eth0 receive".into(), received), ("eth0 transmit".into(), 0.0)];
        assert_eq!(values(&records, "system.network.io"), pair(1000.0));
        assert_eq!(values(&records, "system.network.packet.count"), pair(10.0));
        assert_eq!(values(&records, "system.network.errors"), pair(1.0));
        assert_eq!(values(&records, "system.network.packet.dropped"), pair(2.0));
    }

    #[test]
    fn columns_are_those_of_the_heading() {
        let (_root, host) = machine(&[HEAD, ETH0].concat());
        let mut readings = Vec::new();
        Reader::default().read(&host, &mut readings).unwrap();
        assert_eq!(readings[0].counters, [536_353_559, 12855, 1, 2, 578_273, 7178, 3, 4]);
    }

    #[test]
    fn a_container_without_hardware_tells_its_conventional_adapter_only() {
        let bridge = ETH0.replace("eth0", "jane0").replace("536353559", "1");
        let (_root, host) = machine(&[HEAD, VETH, &bridge, ETH0].concat());
        fs::remove_dir(host.sys("class/net/eth0/device")).unwrap();
        assert_eq!(names(&host), ["eth0"]);
    }

    #[test]
    fn a_malformed_line_is_left_out_and_does_not_panic() {
        for table in
            ["", ":", "eth0", "eth0:", "eth0: 1 2 3", "eth0: a b c d e f g h i j k l", "/: 1"]
        {
            let (_root, host) = machine(table);
            assert_eq!(names(&host), Vec::<String>::new(), "{table}");
        }
        let whole = [HEAD, VETH, ETH0].concat();
        let (_root, host) = machine("");
        for cut in 0..whole.len() {
            fs::write(host.proc("net/dev"), &whole[..cut]).unwrap();
            names(&host);
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "network/linux::split",
            Says::Stands,
            &[b"  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16".to_vec()],
            |line: &[u8]| {
                split(line).map(|(name, rest)| {
                    (
                        Name::new(name),
                        has_virtual_name(name),
                        is_conventional(name),
                        numbers(&mut words(rest)).map(counters),
                    )
                })
            },
        );
    }
}
