//! Every parser of a host's files against files that are not as documented: cut off, overwritten, with
//! numbers beyond every bound, or plain noise.
//!
//! # Invariants
//! - No probe panics or hangs, whatever stands in whichever file; an error is an answer.
//! - What is said all the same has the type and the words of its catalog entry, and no count below 0.

#![cfg(unix)]

use std::fs;
use std::time::Duration;

use candor_model::{FieldType, Record, UnixNanos, Value};
use candor_probes::{Host, Moment, Settings, all};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Files that probes read, each as it may stand on a machine.
const FILES: [(&str, &str); 124] = [
    ("etc/os-release", "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n"),
    ("etc/fapolicyd/fapolicyd.conf", "permissive = 0\n"),
    ("etc/candor/providers.d/a.toml", "version = \"1.2\"\n"),
    ("etc/ufw/ufw.conf", "ENABLED=yes\n"),
    ("dev/kmsg", "4,1,99999999999,-;x[7]: segfault at 0 ip 10 sp 0 error 4 in x[0+20]\n"),
    (
        "proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: A @ 3.20GHz\nflags\t: fpu lm\n",
    ),
    ("proc/diskstats", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"),
    ("proc/interrupts", "  CPU0\nMCE: 1 2 Machine check exceptions\n"),
    ("proc/loadavg", "0.00 0.01 0.05 1/100 4711\n"),
    ("proc/meminfo", "MemTotal: 16318480 kB\nMemFree: 4 kB\nMemAvailable: 5 kB\nSwapTotal: 0 kB\n"),
    ("proc/modules", "nvidia 9 1 a,b, Live 0x0000000000000000 (POE)\n"),
    (
        "proc/stat",
        "cpu  100 0 50 800 0 0 0 50 0 0\ncpu0 100 0 50 800 0 0 0 50 0 0\nctxt 5\nprocesses 9\n",
    ),
    ("proc/uptime", "5000.00 9000.00\n"),
    ("proc/vmstat", "pgfault 1\npgmajfault 2\noom_kill 3\npswpin 4\npswpout 5\n"),
    ("proc/net/dev", "Inter-|\n face |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
    ("proc/net/snmp", "Tcp: RetransSegs OutSegs\nTcp: 1 2\n"),
    ("proc/net/vlan/eth0.1", "eth0.1 VID: 1\n"),
    ("proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345\n"),
    ("proc/sys/kernel/osrelease", "6.1.0\n"),
    ("proc/sys/kernel/tainted", "512\n"),
    ("proc/1/comm", "systemd\n"),
    (
        "proc/1/stat",
        "1 (systemd) S 0 1 1 0 -1 4194560 1 0 0 0 10 5 0 0 20 0 1 0 100 1000000 500 0\n",
    ),
    ("proc/1/mountinfo", "22 27 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n"),
    ("proc/1/net/tcp", "  sl\n   0: 0100007F:1F90 070200C0:D431 01 0:0 0:0 0 0 0 4242 1\n"),
    ("proc/1/net/udp", "  sl\n   0: 0100007F:0035 00000000:0000 07 0:0 0:0 0 0 0 4243 1\n"),
    ("run/utmp", "\u{2}\0\0\0reboot"),
    ("sys/block/sda/size", "1000215216\n"),
    ("sys/block/sda/queue/rotational", "1\n"),
    ("sys/block/sda/queue/logical_block_size", "512\n"),
    ("sys/block/sda/device/model", "WDC WD40EFRX-68N32N0\n"),
    ("sys/block/md0/md/degraded", "1\n"),
    ("sys/bus/pci/devices/0/aer_dev_correctable", "RxErr 4\nTOTAL_ERR_COR 4\n"),
    ("sys/class/dmi/id/bios_date", "04/12/2024\n"),
    ("sys/class/dmi/id/chassis_type", "10\n"),
    ("sys/class/hwmon/hwmon0/temp1_input", "45500\n"),
    ("sys/class/net/eth0/type", "1\n"),
    ("sys/class/net/eth0/flags", "0x1003\n"),
    ("sys/class/net/eth0/speed", "1000\n"),
    ("sys/class/net/eth0/operstate", "up\n"),
    ("sys/devices/system/cpu/online", "0-3,5\n"),
    ("sys/devices/system/cpu/present", "0-7\n"),
    ("sys/devices/system/cpu/cpu0/cache/index0/size", "32K\n"),
    ("sys/devices/system/cpu/cpu0/topology/core_cpus_list", "0-1\n"),
    ("sys/devices/system/edac/mc/mc0/ce_count", "12\n"),
    ("sys/devices/system/memory/block_size_bytes", "80000000\n"),
    ("sys/firmware/dmi/tables/DMI", "\u{11}\u{28}\u{1}\0 DIMM A1\0\0"),
    ("sys/fs/ext4/sda1/errors_count", "6\n"),
    ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
    ("sys/kernel/security/lsm", "lockdown,yama\n"),
    ("usr/bin/ldd", "echo 'ldd (Debian GLIBC 2.36-9) 2.36'\n"),
    ("var/crash/a.crash", "ProblemType: Crash\nExecutablePath: /usr/bin/a\nSignal: 11\n"),
    ("var/lib/clamav/daily.cvd", "ClamAV-VDB:07 Nov 2023:27085:1:90:m:s:b:1699345259"),
    ("etc/debian_version", "12.5\n"),
    ("lib/ld-musl-x86_64.so.1", ""),
    ("lib/modules/6.1.0/modules.builtin", "kernel/net/netfilter/x_tables.ko\n"),
    ("lib/modules/6.1.0/modules.dep", "a.ko:\n"),
    ("lib/systemd/libsystemd-shared-252.so", ""),
    ("proc/1/net/dev", "Inter-|\n face |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
    (
        "proc/1/net/tcp6",
        "  sl\n   0: B80D0120FE00CA000000000077000000:0051 B80D0120FE00CA000000000077000000:0001 01 0:0 0:0 0 0 0 4244 1\n",
    ),
    (
        "proc/1/net/snmp",
        "Tcp: InSegs OutSegs PassiveOpens ActiveOpens RetransSegs AttemptFails\nTcp: 1 2 3 4 5 6\n",
    ),
    ("proc/7/cmdline", "/usr/sbin/nginx\0-g\0"),
    ("proc/7/exe", "no link"),
    ("proc/7/fd/3", "no link"),
    ("proc/7/stat", "7 (nginx) S 0 1 1 0 -1 4194560 1 0 0 0 10 5 0 0 20 0 1 0 100 1000000 500 0\n"),
    ("proc/8/stat", "8 (nginx) S 0 1 1 0 -1 4194560 1 0 0 0 10 5 0 0 20 0 1 0 100 1000000 500 0\n"),
    ("proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0"),
    ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
    ("proc/self/mountinfo", "22 27 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n"),
    ("proc/self/net/tcp", "  sl\n"),
    ("proc/sys/kernel/arch", "x86_64\n"),
    ("proc/sys/kernel/hung_task_detect_count", "3\n"),
    ("proc/sys/kernel/random/boot_id", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n"),
    ("proc/xen/capabilities", "control_d\n"),
    ("run/systemd/system/x", ""),
    ("run/systemd/units/invocation:ssh.service", ""),
    ("sys/bus/vmbus/devices/x", ""),
    ("sys/class/block/dm-0/dm/name", "root\n"),
    ("sys/class/net/eth0/device/x", ""),
    ("sys/class/power_supply/AC/online", "1\n"),
    ("sys/class/power_supply/AC/type", "Mains\n"),
    ("sys/class/scsi_host/host0/proc_name", "ahci\n"),
    ("sys/class/thermal/thermal_zone0/temp", "45000\n"),
    ("sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n"),
    ("sys/class/tpm/tpm0/x", ""),
    ("sys/dev/block/8:2/dm/uuid", "CRYPT-LUKS2-0f1e2d3c-root\n"),
    ("sys/devices/cpu_atom/cpus", "2-3\n"),
    ("sys/devices/system/clocksource/clocksource0/available_clocksource", "kvm-clock tsc\n"),
    ("sys/devices/system/cpu/cpu0/cache/index0/level", "1\n"),
    ("sys/devices/system/cpu/cpu0/cache/index0/type", "Data\n"),
    ("sys/devices/system/cpu/cpu0/cpu_capacity", "1024\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2400000\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "3600000\n"),
    ("sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n"),
    ("sys/devices/system/cpu/cpu1/cache/index0/level", "1\n"),
    ("sys/devices/system/cpu/cpu1/cache/index0/size", "32K\n"),
    ("sys/devices/system/cpu/cpu1/cache/index0/type", "Data\n"),
    ("sys/devices/system/cpu/cpu1/cpu_capacity", "446\n"),
    ("sys/devices/system/node/online", "0-1\n"),
    ("sys/firmware/acpi/tables/TPM2", ""),
    ("sys/firmware/devicetree/base/compatible", "raspberrypi,4-model-b\0"),
    ("sys/firmware/devicetree/base/hypervisor/compatible", "linux,kvm\0"),
    ("sys/firmware/devicetree/base/model", "Raspberry Pi 4\0"),
    ("sys/fs/btrfs/u/devinfo/1/error_stats", "write_errs 1\nread_errs 2\n"),
    ("sys/fs/btrfs/u/devinfo/2/error_stats", "write_errs 1\nread_errs 2\n"),
    ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
    (
        "sys/fs/cgroup/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/cpu.stat",
        "usage_usec 4711\n",
    ),
    (
        "sys/fs/cgroup/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/memory.current",
        "4096\n",
    ),
    (
        "sys/fs/cgroup/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/memory.max",
        "max\n",
    ),
    ("sys/fs/cgroup/system.slice/ssh.service/cgroup.procs", "7\n8\n"),
    ("sys/fs/ext4/sda2/errors_count", "6\n"),
    ("sys/fs/pstore/dmesg-efi-1", "x"),
    ("sys/fs/selinux/enforce", "1\n"),
    ("sys/hypervisor/type", "xen\n"),
    ("sys/module/apparmor/parameters/enabled", "Y\n"),
    ("sys/module/nvidia/version", "550.90.07\n"),
    ("usr/lib/os-release", "NAME=Fedora\nVERSION_ID=40\n"),
    ("usr/lib/systemd/system/ssh.service", ""),
    ("usr/sbin/fapolicyd", ""),
    ("var/lib/dpkg/info/nginx.list", "/usr/sbin/nginx\n"),
    ("var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n"),
    ("var/lib/systemd/pstore/x", ""),
    (
        "var/lib/update-notifier/updates-available",
        "12 updates can be applied\n3 of these updates are standard security updates.\n",
    ),
    (
        "var/log/apt/history.log",
        "Start-Date: 2026-11-01  10:00:00\nError: Sub-process returned an error code (1)\nEnd-Date: 2026-11-01  10:00:07\n",
    ),
    ("var/log/wtmp", "\u{2}"),
];

/// What became of a file.
#[derive(Clone, Debug)]
enum Damage {
    None,
    Missing,
    Cut(usize),
    Overwritten(usize, Vec<u8>),
    /// Every number becomes this one.
    Number(&'static str),
    Repeated,
    Noise(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let numbers = [
        "-1",
        "0",
        "18446744073709551615",
        "18446744073709551616",
        "9999999999999999999999",
        "0x",
        "1e9",
        "",
    ];
    prop_oneof![
        2 => Just(Damage::None),
        1 => Just(Damage::Missing),
        2 => (0_usize..64).prop_map(Damage::Cut),
        2 => (0_usize..64, proptest::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, with)| Damage::Overwritten(at, with)),
        2 => proptest::sample::select(numbers.to_vec()).prop_map(Damage::Number),
        1 => Just(Damage::Repeated),
        2 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(Damage::Noise),
    ]
}

fn damaged(content: &str, damage: &Damage) -> Option<Vec<u8>> {
    let bytes = content.as_bytes().to_vec();
    Some(match damage {
        Damage::None => bytes,
        Damage::Missing => return None,
        Damage::Cut(at) => bytes.into_iter().take(*at).collect(),
        Damage::Overwritten(at, with) => {
            let at = (*at).min(bytes.len());
            let after = bytes.iter().skip(at + with.len()).copied();
            bytes.iter().take(at).copied().chain(with.iter().copied()).chain(after).collect()
        }
        Damage::Number(number) => {
            let mut parts = content.split(|c: char| c.is_ascii_digit()).peekable();
            let mut text = String::new();
            while let Some(part) = parts.next() {
                text.push_str(part);
                if parts.peek().is_some_and(|next| !next.is_empty()) {
                    text.push_str(number);
                }
            }
            text.into_bytes()
        }
        Damage::Repeated => bytes.repeat(200),
        Damage::Noise(noise) => noise.clone(),
    })
}

fn at(second: u64) -> Moment {
    Moment {
        wall: UnixNanos((1_800_000_000 + second) * 1_000_000_000),
        boot: Duration::from_secs(5_000 + second),
        monotonic: Duration::from_secs(4_000 + second),
    }
}

/// A value that its own catalog entry does not allow would be taken away at the door, and is a fault.
fn fits(kind: &FieldType, value: &Value) -> bool {
    match (kind, value) {
        (FieldType::Bool, Value::Bool(_))
        | (FieldType::Int, Value::Int(_))
        | (FieldType::Text, Value::Text(_)) => true,
        (FieldType::Double, Value::Double(number)) => number.is_finite(),
        (FieldType::Choice(words), Value::Text(word)) => words.contains(&word.as_ref()),
        (FieldType::List(kind), Value::List(items)) => items.iter().all(|item| fits(kind, item)),
        (FieldType::Map(fields), Value::Map(pairs)) => pairs.iter().all(|(key, value)| {
            fields.iter().any(|field| field.name == key && fits(&field.kind, value))
        }),
        _ => false,
    }
}

fn check(records: &[Record]) {
    for record in records {
        let Record::Event(event) = record else { continue };
        for (entry, value) in event.fields() {
            assert!(fits(&entry.kind, value), "{}.{}: {value:?}", event.entry().name, entry.name);
            let is_count = entry.unit.is_some_and(|unit| unit.starts_with('{') || unit == "By");
            assert!(!is_count || !matches!(value, Value::Int(..0)), "{}: {value:?}", entry.name);
        }
    }
}

/// A machine of these files, looked at until rates are told.
#[expect(clippy::unwrap_used, reason = "a tree that cannot be made fails its test")]
fn look<'a>(files: impl Iterator<Item = (&'a str, Vec<u8>)>) {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let host = Host::new(root.path());
    for probe in &mut all(&Settings::default()) {
        let _ = probe.sample(&host, at(0));
        let _ = probe.sample(&host, at(10));
        check(&probe.report(&host, at(20)).unwrap_or_default());
        let _ = probe.sample(&host, at(30));
        check(&probe.report(&host, at(40)).unwrap_or_default());
    }
}

/// Each case damages every file in its own way: the same at every run; by night more, and others each time.
fn config() -> ProptestConfig {
    let is_long = std::env::var_os("CANDOR_LONG").is_some_and(|long| long == "1");
    let (cases, rng_seed) = if is_long { (2000, RngSeed::Random) } else { (16, RngSeed::Fixed(1)) };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

/// Sums and products of what is just within its type: in all files of one name, the others as they are.
#[test]
fn no_number_that_several_files_tell_is_too_large_to_be_added() {
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let names: Vec<_> = FILES.iter().map(|(path, _)| name(path)).collect();
    let is_of_several = |wanted: &&String| names.iter().filter(|name| name == wanted).count() > 1;
    let several: std::collections::BTreeSet<_> = names.iter().filter(is_of_several).collect();
    assert!(several.len() > 5, "{several:?}");
    for wanted in several {
        // The largest of 64 bits, and the largest number of KiB whose bytes are of 64 bits.
        for number in ["18446744073709551615", "18014398509481983"] {
            let file = |(path, content): &(&'static str, &str)| {
                let is_it = name(path) == *wanted;
                let damage = if is_it { Damage::Number(number) } else { Damage::None };
                Some((*path, damaged(content, &damage)?))
            };
            look(FILES.iter().filter_map(file));
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_file_makes_a_probe_panic_or_say_what_its_entry_does_not_allow(
        damages in proptest::collection::vec(damage(), FILES.len())
    ) {
        let whole = FILES.iter().zip(&damages);
        look(whole.filter_map(|((path, content), damage)| Some((*path, damaged(content, damage)?))));
    }
}

#[test]
fn a_machine_without_damage_is_understood_by_most_probes() {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in FILES {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let host = Host::new(root.path());
    let mut names = std::collections::BTreeSet::new();
    for probe in &mut all(&Settings::default()) {
        let records = probe.report(&host, at(20)).unwrap_or_default();
        names.extend(records.iter().map(|record| record.name().to_owned()));
    }
    for name in [
        "candor.quality.alerts",
        "candor.compat.components",
        "candor.crash.summary",
        "candor.log.record",
        "candor.network.connections",
    ] {
        assert!(names.contains(name), "{name}: the samples have lost their meaning: {names:?}");
    }
}
