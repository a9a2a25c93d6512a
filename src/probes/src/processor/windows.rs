//! The processors as Windows shows them.
//!
//! # Invariants
//! - A recorded machine is not this one: nothing is told of it here.

use candor_model::events::device::Processor;
use candor_platform::processor_topology;
use windows_registry::LOCAL_MACHINE;

use super::{named_frequency, records};
use crate::Host;
use crate::filler::fact;

const PROCESSORS: &str = r"HARDWARE\DESCRIPTION\System\CentralProcessor";

pub(super) fn processor(host: &Host) -> Processor {
    if !host.is_live() {
        return Processor::default();
    }
    let processors = LOCAL_MACHINE.open(PROCESSORS).ok();
    let first = processors.as_ref().and_then(|processors| processors.open("0").ok());
    let text = |name: &str| fact(&first.as_ref()?.get_string(name).ok()?);
    let model = text("ProcessorNameString");
    let topology = processor_topology().map(|bytes| records::read(&bytes)).unwrap_or_default();
    Processor {
        vendor: text("VendorIdentifier"),
        sockets: topology.sockets,
        cores: topology.cores,
        efficiency_cores: topology.efficiency_cores,
        threads: topology.threads,
        base_frequency: model.as_deref().and_then(named_frequency),
        cache_l1d: topology.l1d,
        cache_l1i: topology.l1i,
        cache_l2: topology.l2,
        cache_l3: topology.l3,
        numa_nodes: topology.nodes,
        model,
        ..Processor::default()
    }
}
