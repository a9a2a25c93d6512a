//! Sockets, cores and caches, counted from what each processor says of itself and its neighbours.
//!
//! # Invariants
//! - A cache that several processors share is counted once.
//! - Where one processor does not tell, the count is absent rather than too small.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::cpulist;
use crate::Host;

/// What the processors that are switched on tell together.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Topology {
    pub(super) sockets: Option<u32>,
    pub(super) cores: Option<u32>,
    pub(super) efficiency_cores: Option<u32>,
    pub(super) caches: Caches,
}

/// Sizes in bytes by level and use, over the whole machine.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Caches {
    pub(super) l1d: Option<u64>,
    pub(super) l1i: Option<u64>,
    pub(super) l2: Option<u64>,
    pub(super) l3: Option<u64>,
}

pub(super) fn read(host: &Host, online: &[u32]) -> Topology {
    let directory = host.sys("devices/system/cpu");
    let cpus: Vec<_> = online.iter().map(|cpu| directory.join(format!("cpu{cpu}"))).collect();
    let efficient = efficient(host, online, &cpus);
    let efficient = efficient.iter().map(|cpu| directory.join(format!("cpu{cpu}")));
    Topology {
        sockets: distinct(cpus.iter().map(|cpu| package(host, cpu))),
        cores: distinct(cpus.iter().map(|cpu| core(host, cpu))),
        efficiency_cores: distinct(efficient.map(|cpu| core(host, &cpu))),
        caches: caches(host, online, &cpus),
    }
}

fn package(host: &Host, cpu: &Path) -> Option<String> {
    // Some Arm firmware says -1: then nothing is known of sockets.
    host.text(&cpu.join("topology/physical_package_id")).filter(|id| !id.starts_with('-'))
}

/// A core is the set of its threads.
fn core(host: &Host, cpu: &Path) -> Option<String> {
    let threads = host.text(&cpu.join("topology/core_cpus_list"));
    threads.or_else(|| host.text(&cpu.join("topology/thread_siblings_list")))
}

/// How many different values there are; absent where one is missing or there is none at all.
fn distinct(values: impl Iterator<Item = Option<String>>) -> Option<u32> {
    let values: Option<BTreeSet<_>> = values.collect();
    values.and_then(|values| u32::try_from(values.len()).ok()).filter(|count| *count > 0)
}

/// The small cores of a hybrid processor: Intel's by their own device, others by their capacity.
fn efficient(host: &Host, online: &[u32], cpus: &[PathBuf]) -> Vec<u32> {
    if let Some(small) = host.text(&host.sys("devices/cpu_atom/cpus")) {
        let small = cpulist::parse(&small).unwrap_or_default();
        return small.into_iter().filter(|cpu| online.contains(cpu)).collect();
    }
    let capacities: Option<Vec<_>> =
        cpus.iter().map(|cpu| host.number(&cpu.join("cpu_capacity"))).collect();
    let capacities = capacities.unwrap_or_default();
    // Within a tenth, it is the luck of the die and not another kind of core.
    let floor = capacities.iter().max().map_or(0, |most| most - most.div_ceil(10));
    let small = online.iter().zip(&capacities).filter(|(_, capacity)| **capacity < floor);
    small.map(|(cpu, _)| *cpu).collect()
}

fn caches(host: &Host, online: &[u32], cpus: &[PathBuf]) -> Caches {
    let mut caches = Caches::default();
    let mut seen = BTreeSet::new();
    for (number, cpu) in online.iter().zip(cpus) {
        for index in host.names(&cpu.join("cache")) {
            if !index.starts_with("index") || seen.contains(&(index.clone(), *number)) {
                continue;
            }
            let cache = cpu.join("cache").join(&index);
            let shared = host.text(&cache.join("shared_cpu_list"));
            let shared = shared.and_then(|list| cpulist::parse(&list)).unwrap_or_default();
            seen.extend(shared.into_iter().map(|neighbour| (index.clone(), neighbour)));
            caches.add(host, &cache);
        }
    }
    caches
}

impl Caches {
    fn add(&mut self, host: &Host, cache: &Path) {
        let kind = host.text(&cache.join("type")).unwrap_or_default();
        let sum = match (host.number(&cache.join("level")), kind.as_str()) {
            (Some(1), "Data" | "Unified") => &mut self.l1d,
            (Some(1), "Instruction") => &mut self.l1i,
            (Some(2), "Unified" | "Data") => &mut self.l2,
            (Some(3), "Unified" | "Data") => &mut self.l3,
            _ => return,
        };
        if let Some(bytes) = host.text(&cache.join("size")).and_then(|size| cache_bytes(&size)) {
            *sum = Some(sum.unwrap_or_default() + bytes);
        }
    }
}

/// No cache is larger; those of all processors can then be added.
const LARGEST: u64 = 1 << 40;

/// `32K`, `16384K`, `8M`.
fn cache_bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 1024),
        b'M' => (text.strip_suffix('M')?, 1024 * 1024),
        _ => (text, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| (1..=LARGEST).contains(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_size_is_read_with_its_unit() {
        assert_eq!(cache_bytes("32K"), Some(32_768));
        assert_eq!(cache_bytes("8M"), Some(8_388_608));
        assert_eq!(cache_bytes("0K"), None);
        assert_eq!(cache_bytes("big"), None);
    }

    #[test]
    fn one_silent_processor_makes_a_count_absent() {
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(distinct([told("0"), told("0"), told("1")].into_iter()), Some(2));
        assert_eq!(distinct([told("0"), None].into_iter()), None);
        assert_eq!(distinct(std::iter::empty()), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "processor/topology::cache_bytes",
            Says::Times(&[1024, 1024 * 1024]),
            &["32K", "8M", "512"],
            cache_bytes,
        );
    }
}
