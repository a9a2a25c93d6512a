//! The processors as Linux shows them.
//!
//! # Invariants
//! - The files of one processor after the other, once: nothing is kept between reports.

use std::path::PathBuf;

use candor_model::events::device::Processor;

use super::{cpulist, named_frequency, topology};
use crate::Host;
use crate::filler::fact;

/// Enough for every core of a big Arm processor, and for the first of any other.
const CPUINFO_BYTES: u64 = 64 * 1024;

pub(super) fn processor(host: &Host) -> Processor {
    let cpuinfo = host.head(&host.proc("cpuinfo"), CPUINFO_BYTES).unwrap_or_default();
    let list = |name: &str| host.text(&host.sys("devices/system/cpu").join(name));
    let online = list("online").and_then(|list| cpulist::parse(&list));
    let topology = topology::read(host, online.as_deref().unwrap_or_default());
    let (vendor, model) = names(&cpuinfo);
    Processor {
        sockets: topology.sockets,
        cores: topology.cores,
        efficiency_cores: topology.efficiency_cores,
        threads: threads(online.as_deref(), &cpuinfo),
        threads_offline: threads_offline(list("present"), online.as_deref()),
        base_frequency: base_frequency(host, online.as_deref(), model.as_deref()),
        max_frequency: highest(host, online.as_deref(), "cpufreq/cpuinfo_max_freq", 1_000),
        cache_l1d: topology.caches.l1d,
        cache_l1i: topology.caches.l1i,
        cache_l2: topology.caches.l2,
        cache_l3: topology.caches.l3,
        numa_nodes: numa_nodes(host),
        vendor,
        model,
    }
}

fn threads(online: Option<&[u32]>, cpuinfo: &str) -> Option<u32> {
    let listed = || cpuinfo.lines().filter(|line| key(line) == "processor").count();
    let is_whole = (cpuinfo.len() as u64) < CPUINFO_BYTES;
    let count = online.map(<[u32]>::len).or_else(|| is_whole.then(listed));
    count.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0)
}

/// Present and not online. `offline` would count sockets that are empty, too.
fn threads_offline(present: Option<String>, online: Option<&[u32]>) -> Option<u32> {
    let (present, online) = (cpulist::parse(&present?)?, online?);
    u32::try_from(present.iter().filter(|cpu| !online.contains(cpu)).count()).ok()
}

fn base_frequency(host: &Host, online: Option<&[u32]>, model: Option<&str>) -> Option<u64> {
    highest(host, online, "cpufreq/base_frequency", 1_000)
        .or_else(|| highest(host, online, "acpi_cppc/nominal_freq", 1_000_000))
        .or_else(|| model.and_then(named_frequency))
}

/// The highest value of a file over all processors, in hertz.
fn highest(host: &Host, online: Option<&[u32]>, file: &str, unit: u64) -> Option<u64> {
    let directory = host.sys("devices/system/cpu");
    let files = online?.iter().map(|cpu| directory.join(format!("cpu{cpu}")).join(file));
    let values = files.filter_map(|file: PathBuf| host.number(&file)).filter(|value| *value > 0);
    values.max()?.checked_mul(unit)
}

fn numa_nodes(host: &Host) -> Option<u32> {
    let list = host.text(&host.sys("devices/system/node/online"))?;
    cpulist::count(&list).filter(|count| *count > 0)
}

fn key(line: &str) -> &str {
    line.split(':').next().unwrap_or_default().trim()
}

/// Vendor and model: in words on x86 and others, by number on Arm.
fn names(cpuinfo: &str) -> (Option<String>, Option<String>) {
    let value = |wanted: &str| {
        let line = cpuinfo.lines().find(|line| key(line) == wanted)?;
        fact(line.split_once(':')?.1)
    };
    if let Some(implementer) = value("CPU implementer") {
        return (arm_vendor(&implementer).map(str::to_owned), arm_models(cpuinfo, &implementer));
    }
    let vendor = value("vendor_id");
    let model = value("model name").or_else(|| value("Model Name"));
    let model = model.or_else(|| value("uarch")).or_else(|| value("cpu"));
    (vendor, model)
}

/// Arm's implementers as the architecture reference manual lists them.
fn arm_vendor(implementer: &str) -> Option<&'static str> {
    Some(match implementer {
        "0x41" => "ARM",
        "0x42" => "Broadcom",
        "0x43" => "Cavium",
        "0x46" => "Fujitsu",
        "0x48" => "HiSilicon",
        "0x4e" => "NVIDIA",
        "0x50" => "APM",
        "0x51" => "Qualcomm",
        "0x53" => "Samsung",
        "0x56" => "Marvell",
        "0x61" => "Apple",
        "0x69" => "Intel",
        "0x6d" => "Microsoft",
        "0x70" => "Phytium",
        "0xc0" => "Ampere",
        _ => return None,
    })
}

/// The kinds of cores, the small ones first as the kernel counts them, `Cortex-A53 + Cortex-A73`.
fn arm_models(cpuinfo: &str, implementer: &str) -> Option<String> {
    let mut models: Vec<&'static str> = Vec::new();
    let parts = cpuinfo.lines().filter(|line| key(line) == "CPU part");
    for part in parts.filter_map(|line| Some(line.split_once(':')?.1.trim())) {
        let model = arm_model(implementer, part)?;
        if !models.contains(&model) {
            models.push(model);
        }
    }
    (!models.is_empty()).then(|| models.join(" + "))
}

/// Arm's own cores by part number, from their technical reference manuals.
fn arm_model(implementer: &str, part: &str) -> Option<&'static str> {
    Some(match (implementer, part) {
        ("0x41", "0xb76") => "ARM1176",
        ("0x41", "0xc07") => "Cortex-A7",
        ("0x41", "0xc08") => "Cortex-A8",
        ("0x41", "0xc09") => "Cortex-A9",
        ("0x41", "0xc0f") => "Cortex-A15",
        ("0x41", "0xd03") => "Cortex-A53",
        ("0x41", "0xd04") => "Cortex-A35",
        ("0x41", "0xd05") => "Cortex-A55",
        ("0x41", "0xd07") => "Cortex-A57",
        ("0x41", "0xd08") => "Cortex-A72",
        ("0x41", "0xd09") => "Cortex-A73",
        ("0x41", "0xd0a") => "Cortex-A75",
        ("0x41", "0xd0b") => "Cortex-A76",
        ("0x41", "0xd0c") => "Neoverse-N1",
        ("0x41", "0xd0d") => "Cortex-A77",
        ("0x41", "0xd40") => "Neoverse-V1",
        ("0x41", "0xd41") => "Cortex-A78",
        ("0x41", "0xd44") => "Cortex-X1",
        ("0x41", "0xd46") => "Cortex-A510",
        ("0x41", "0xd47") => "Cortex-A710",
        ("0x41", "0xd49") => "Neoverse-N2",
        ("0x41", "0xd4f") => "Neoverse-V2",
        ("0xc0", "0xac3") => "Ampere-1",
        ("0xc0", "0xac4") => "Ampere-1a",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arm_processors_are_named_by_their_numbers() {
        let core =
            |part: &str| format!("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: {part}\n");
        let both = format!("{}{}{}", core("0xd03"), core("0xd03"), core("0xd09"));
        let (vendor, model) = names(&both);
        assert_eq!(vendor.as_deref(), Some("ARM"));
        assert_eq!(model.as_deref(), Some("Cortex-A53 + Cortex-A73"));
        assert_eq!(names(&core("0xfff")).1, None);
    }

    #[test]
    fn sockets_that_are_empty_are_not_offline() {
        let present = Some("0-3".to_owned());
        assert_eq!(threads_offline(present.clone(), Some(&[0, 1, 2, 3])), Some(0));
        assert_eq!(threads_offline(present, Some(&[0, 2])), Some(2));
        assert_eq!(threads_offline(None, Some(&[0])), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "processor/linux::names",
            Says::Stands,
            &[
                "vendor_id\t: GenuineIntel\nmodel name\t: A @ 3.20GHz\n",
                "CPU implementer\t: 0x41\nCPU part\t: 0xd03\nCPU part\t: 0xd08\n",
            ],
            |text| if text.contains("implementer") { (None, None) } else { names(text) },
        );
        text(
            "processor/linux::arm_models",
            Says::Derived("a number of a list of names"),
            &["CPU part\t: 0xd03\nCPU part\t: 0xd08\n"],
            |text| (arm_models(text, "0x41"), arm_vendor(text)),
        );
        text(
            "processor/linux::threads",
            Says::Derived("lines are counted"),
            &["processor\t: 0\nprocessor\t: 1\n"],
            |text| threads(None, text),
        );
    }
}
