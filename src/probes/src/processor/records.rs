//! Sockets, cores, threads, caches and nodes in the records of `GetLogicalProcessorInformationEx`, from bytes
//! alone: the same everywhere.
//!
//! ```text
//! record          relation u32 | its size u32 | …
//! core, package   0x09 efficiency class u8
//! node            0x08 number u32
//! cache           0x08 level u8 | 0x0C size u32 | 0x10 use u32
//! group           0x0A active groups u16 | from 0x20, 48 bytes each: 0x01 active processors u8
//! ```
//! Little-endian throughout; winnt.h.
//!
//! # Invariants
//! - Processors of all groups count: one group holds 64 at most.
//! - A cache that several cores share has one record, so it is counted once.
//!
//! Damage ends the reading; what stood before it counts.

use std::collections::BTreeSet;

use crate::bytes::number;

const CORE: u64 = 0;
const NODE: u64 = 1;
const CACHE: u64 = 2;
const PACKAGE: u64 = 3;
const GROUPS: u64 = 4;
const NODE_OF_SEVERAL_GROUPS: u64 = 6;

const GROUP_BYTES: usize = 48;

/// What the records tell together; a count of nothing is absent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Topology {
    pub(super) sockets: Option<u32>,
    pub(super) cores: Option<u32>,
    pub(super) efficiency_cores: Option<u32>,
    pub(super) threads: Option<u32>,
    pub(super) nodes: Option<u32>,
    pub(super) l1d: Option<u64>,
    pub(super) l1i: Option<u64>,
    pub(super) l2: Option<u64>,
    pub(super) l3: Option<u64>,
}

pub(super) fn read(records: &[u8]) -> Topology {
    let mut topology = Topology::default();
    let (mut classes, mut nodes): (Vec<u8>, _) = (Vec::new(), BTreeSet::new());
    for record in split(records) {
        match number::<4>(record, 0) {
            Some(CORE) => classes.extend(record.get(9)),
            Some(PACKAGE) => topology.sockets = Some(topology.sockets.unwrap_or_default() + 1),
            Some(NODE | NODE_OF_SEVERAL_GROUPS) => nodes.extend(number::<4>(record, 8)),
            Some(GROUPS) => topology.threads = threads(record),
            Some(CACHE) => topology.add_cache(record),
            _ => {}
        }
    }
    let best = classes.iter().max().copied().unwrap_or_default();
    let small = classes.iter().filter(|class| **class < best).count();
    Topology {
        cores: count(classes.len()),
        efficiency_cores: count(small),
        nodes: count(nodes.len()),
        ..topology
    }
}

/// The records by their own sizes.
fn split(records: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let size = usize::try_from(number::<4>(rest, 4)?).ok()?;
        let record = rest.get(..size).filter(|record| record.len() >= 8)?;
        rest = &rest[size..];
        Some(record)
    })
}

/// The processors that are on, of every group.
fn threads(record: &[u8]) -> Option<u32> {
    let groups = usize::try_from(number::<2>(record, 0x0A)?).ok()?;
    let active = (0..groups).map(|group| record.get(0x20 + group * GROUP_BYTES + 1));
    let active: Option<Vec<_>> = active.collect();
    Some(active?.into_iter().map(|active| u32::from(*active)).sum()).filter(|sum| *sum > 0)
}

impl Topology {
    fn add_cache(&mut self, record: &[u8]) {
        let sum = match (record.get(8), number::<4>(record, 0x10)) {
            (Some(1), Some(0 | 2)) => &mut self.l1d,
            (Some(1), Some(1)) => &mut self.l1i,
            (Some(2), Some(0 | 2)) => &mut self.l2,
            (Some(3), Some(0 | 2)) => &mut self.l3,
            _ => return,
        };
        if let Some(bytes) = number::<4>(record, 0x0C).filter(|bytes| *bytes > 0) {
            *sum = Some(sum.unwrap_or_default() + bytes);
        }
    }
}

fn count(count: usize) -> Option<u32> {
    u32::try_from(count).ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(relation: u32, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&relation.to_le_bytes()[..], &size.to_le_bytes(), body].concat()
    }

    fn core(class: u8) -> Vec<u8> {
        let mut body = vec![0; 40];
        body[1] = class;
        record(0, &body)
    }

    fn cache(level: u8, size: u32, kind: u32) -> Vec<u8> {
        let mut body = vec![0; 44];
        body[0] = level;
        body[4..8].copy_from_slice(&size.to_le_bytes());
        body[8..12].copy_from_slice(&kind.to_le_bytes());
        record(2, &body)
    }

    fn groups(active: &[u8]) -> Vec<u8> {
        let mut body = vec![0; 24 + active.len() * GROUP_BYTES];
        body[2] = u8::try_from(active.len()).unwrap();
        for (group, active) in active.iter().enumerate() {
            body[24 + group * GROUP_BYTES] = 64;
            body[24 + group * GROUP_BYTES + 1] = *active;
        }
        record(4, &body)
    }

    #[test]
    fn a_hybrid_processor_tells_its_small_cores() {
        let records = [
            record(3, &[0; 40]),
            core(1),
            core(1),
            core(0),
            cache(1, 48 << 10, 2),
            cache(1, 32 << 10, 1),
            cache(1, 48 << 10, 2),
            cache(2, 2 << 20, 0),
            cache(3, 24 << 20, 0),
            record(1, &[0; 40]),
            groups(&[5]),
        ]
        .concat();
        let expected = Topology {
            sockets: Some(1),
            cores: Some(3),
            efficiency_cores: Some(1),
            threads: Some(5),
            nodes: Some(1),
            l1d: Some(96 << 10),
            l1i: Some(32 << 10),
            l2: Some(2 << 20),
            l3: Some(24 << 20),
        };
        assert_eq!(read(&records), expected);
    }

    #[test]
    fn processors_beyond_the_first_group_count() {
        let topology = read(&groups(&[64, 64, 36]));
        assert_eq!((topology.threads, topology.efficiency_cores), (Some(164), None));
    }

    #[test]
    fn a_node_of_several_groups_is_one_node() {
        let node = |relation, number: u32| {
            record(relation, &[&number.to_le_bytes()[..], &[0; 36]].concat())
        };
        let records = [node(1, 0), node(6, 0), node(6, 1), node(1, 1)].concat();
        assert_eq!(read(&records).nodes, Some(2));
    }

    #[test]
    fn damage_and_unknown_relations_do_no_harm() {
        let whole = [core(0), record(99, &[1; 3]), core(0), groups(&[2])].concat();
        assert_eq!(read(&whole).cores, Some(2));
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).cores.is_none_or(|cores| cores <= 2), "{cut}");
        }
        assert_eq!(read(&[0, 0, 0, 0, 0, 0, 0, 0]), Topology::default(), "no size");
        assert_eq!(read(&groups(&[4, 4])[..60]), Topology::default(), "a torn group");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        let samples =
            [[core(1), cache(2, 2 << 20, 0), groups(&[5, 3])].concat(), record(3, &[0; 40])];
        bytes("processor/records::read", Says::Derived("bytes as numbers"), &samples, read);
    }
}
