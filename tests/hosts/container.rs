//! A container with Alpine 3.20 and limits of 512 MiB and half a processor (cgroup v2), on a physical
//! host with 4 cores and one `NVMe` drive: it sees its host's processors, memory and drive, its own end of a
//! veth pair, and no firmware.

use candor_model::Event;
use candor_model::events::application::{Application, Usage};
use candor_model::events::compat::{Component, Components};
use candor_model::events::device::{
    Adapter, AdapterKind, AdapterState, Architecture, Drive, DriveBus, DriveKind, Machine, Memory,
    Network, Processor, Storage,
};
use candor_model::events::security::Posture;

use crate::tree::Tree;
use crate::{SECRET, events};

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    tree.file("etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\n");
    tree.file("etc/hostname", SECRET);
    let kernel = [("osrelease", "6.6.52-0-lts"), ("version", "#1-Alpine SMP"), ("arch", "x86_64")];
    tree.files("proc/sys/kernel", &kernel);
    tree.file("lib/ld-musl-x86_64.so.1", "");
    tree.file("proc/cpuinfo", "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) E-2224 CPU @ 3.40GHz\nflags\t: fpu lm\n");
    tree.files("sys/devices/system/cpu", &[("online", "0-3"), ("present", "0-3")]);
    for cpu in 0..4u32 {
        tree.cpu(cpu, "0", &cpu.to_string(), &[]);
    }
    tree.file("proc/meminfo", "MemTotal:       16318480 kB\nSwapTotal:             0 kB\n");
    tree.files(
        "sys/fs/cgroup",
        &[
            ("memory.max", "536870912"),
            ("cpu.max", "50000 100000"),
            ("cgroup.controllers", "cpu memory"),
        ],
    );
    let lo = [("type", "772"), ("operstate", "unknown"), ("carrier", "1"), ("flags", "0x9")];
    tree.net("virtual/net/lo", None, &lo);
    let eth0 = [("type", "1"), ("operstate", "up"), ("speed", "10000")];
    tree.net("virtual/net/eth0", None, &eth0);
    tree.block(
        "pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/nvme0n1",
        &[
            ("size", "1000215216"),
            ("removable", "0"),
            ("queue/rotational", "0"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "512"),
            ("device/model", "INTEL SSDPEKNW512G8                     "),
        ],
    );
    tree.file("proc/1/mountinfo", "100 1 0:60 / / rw - overlay overlay rw,lowerdir=/x\n");
    let stat = |pid: u32, name: &str, pages: u32| {
        format!(
            "{pid} ({name}) S 0 1 1 0 -1 4194560 1 0 0 0 10 5 0 0 20 0 1 0 100 1000000 {pages} 0\n"
        )
    };
    tree.file("proc/1/stat", stat(1, "nginx", 500)).file("proc/1/comm", "nginx");
    tree.file("proc/1/cmdline", format!("nginx: master {SECRET}"));
    tree.file("proc/29/stat", stat(29, "nginx", 400));
    // A kernel thread is no program, were it ever seen here.
    tree.file("proc/30/stat", stat(30, "kworker/0:1", 0));
    tree
}

pub(crate) fn expected() -> Vec<Event> {
    let posture = Posture {
        os_name: Some("Alpine Linux".into()),
        os_version: Some("3.20.3".into()),
        kernel_release: Some("6.6.52-0-lts".into()),
        kernel_build: Some("#1-Alpine SMP".into()),
        ..Posture::default()
    };
    let machine = Machine {
        is_virtual: Some(false),
        architecture: Some(Architecture::Amd64),
        ..Machine::default()
    };
    let processor = Processor {
        vendor: Some("GenuineIntel".into()),
        model: Some("Intel(R) Xeon(R) E-2224 CPU @ 3.40GHz".into()),
        sockets: Some(1),
        cores: Some(4),
        threads: Some(4),
        threads_offline: Some(0),
        base_frequency: Some(3_400_000_000),
        ..Processor::default()
    };
    let memory = Memory { usable: Some(16_318_480 * 1024), swap: Some(0), ..Memory::default() };
    let up = |kind| Adapter {
        kind: Some(kind),
        physical: Some(false),
        state: Some(AdapterState::Up),
        ..Adapter::default()
    };
    let adapters = vec![up(AdapterKind::Virtual), up(AdapterKind::Loopback)];
    let network = Network { count: Some(2), adapters: Some(adapters) };
    let drive = Drive {
        kind: Some(DriveKind::Nvme),
        bus: Some(DriveBus::Nvme),
        size: Some(1_000_215_216 * 512),
        sector_size: Some(512),
        physical_sector_size: Some(512),
        model_family: Some("INTEL SSDPEKNW512G8".into()),
    };
    let storage = Storage { count: Some(1), drives: Some(vec![drive]) };
    let components = Components {
        components: Some(vec![
            Component { name: "kernel", version: Some("6.6.52-0-lts".into()) },
            Component { name: "musl", version: None },
        ]),
        ..Components::default()
    };
    let nginx = Application { name: "nginx".into(), run_count: 0, ..Application::default() };
    let usage = Usage {
        total: Some(1),
        left_out: Some(0),
        unnamed_runs: Some(0),
        applications: vec![nginx],
        ..Usage::default()
    };
    events![posture, machine, processor, memory, network, storage, components, usage]
}
