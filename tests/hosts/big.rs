//! A host with 256 logical processors: two sockets of 64 cores with two threads each, four NUMA nodes, a
//! `proc/interrupts` with a column for each, one machine check, and heat on one core.

use std::fmt::Write as _;

use candor_model::Event;
use candor_model::events::device::{Architecture, Machine, Memory, Processor};
use candor_model::events::quality::Alerts;
use candor_model::events::security::Posture;

use crate::tree::Tree;
use crate::{events, kernel};

const CORES: u32 = 128;

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    let kernel = [("osrelease", "6.4.0-150600.23"), ("version", "#1 SMP"), ("arch", "x86_64")];
    tree.files("proc/sys/kernel", &kernel);
    tree.file("etc/os-release", "NAME=\"SLES\"\nVERSION_ID=\"15.6\"\nID=\"sles\"\n");
    let mut cpuinfo = String::new();
    for cpu in 0..2 * CORES {
        let _ = writeln!(
            cpuinfo,
            "processor\t: {cpu}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7763 64-Core Processor\nflags\t\t: fpu lm\n"
        );
    }
    tree.file("proc/cpuinfo", cpuinfo);
    tree.files(
        "sys/devices/system/cpu",
        &[("online", "0-255"), ("present", "0-255"), ("offline", "")],
    );
    tree.file("sys/devices/system/node/online", "0-3");
    for cpu in 0..2 * CORES {
        let core = cpu % CORES;
        let (package, die) = (core / 64, core / 8 * 8);
        let threads = format!("{core},{}", core + CORES);
        let shared = format!("{die}-{},{}-{}", die + 7, die + CORES, die + CORES + 7);
        let caches = [
            (1, "Data", "32K", &*threads),
            (1, "Instruction", "32K", &*threads),
            (2, "Unified", "512K", &*threads),
            (3, "Unified", "32768K", &*shared),
        ];
        tree.cpu(cpu, &package.to_string(), &threads, &caches);
        let heat = if core == 9 { "3" } else { "0" };
        tree.file(
            &format!("sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count"),
            heat,
        );
    }
    let columns = |value: &dyn Fn(u32) -> u32| {
        (0..2 * CORES).fold(String::new(), |row, cpu| format!("{row} {:>10}", value(cpu)))
    };
    let mce = columns(&|cpu| u32::from(cpu == 200));
    tree.file("proc/interrupts", format!("  0:{} IO-APIC timer\nMCE:{mce}   Machine check exceptions\nMCP:{}   Machine check polls\n", columns(&|_| 7), columns(&|_| 9)));
    tree.file("proc/vmstat", "nr_free_pages 1\noom_kill 0\n");
    tree.file("proc/meminfo", "MemTotal:       1056311236 kB\nSwapTotal:             0 kB\n");
    tree
}

pub(crate) fn expected() -> Vec<Event> {
    let posture = Posture {
        os_name: Some("SLES".into()),
        os_version: Some("15.6".into()),
        kernel_release: Some("6.4.0-150600.23".into()),
        kernel_build: Some("#1 SMP".into()),
        ..Posture::default()
    };
    let machine = Machine {
        is_virtual: Some(false),
        architecture: Some(Architecture::Amd64),
        ..Machine::default()
    };
    let cores = u64::from(CORES);
    let processor = Processor {
        vendor: Some("AuthenticAMD".into()),
        model: Some("AMD EPYC 7763 64-Core Processor".into()),
        sockets: Some(2),
        cores: Some(CORES),
        threads: Some(2 * CORES),
        threads_offline: Some(0),
        cache_l1d: Some((cores * 32) << 10),
        cache_l1i: Some((cores * 32) << 10),
        cache_l2: Some((cores * 512) << 10),
        cache_l3: Some((cores / 8 * 32) << 20),
        numa_nodes: Some(4),
        ..Processor::default()
    };
    let memory = Memory { usable: Some(1_056_311_236 * 1024), swap: Some(0), ..Memory::default() };
    let alerts = Alerts {
        machine_checks: Some(1),
        thermal_throttles: Some(3),
        oom_kills: Some(0),
        ..Alerts::default()
    };
    events![posture, machine, processor, memory, alerts, kernel("6.4.0-150600.23")]
}
