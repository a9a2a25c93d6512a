//! The processors as Windows shows them.
//!
//! # Invariants
//! - A recorded machine is not this one: nothing is told of it here.

use candor_model::events::device::Processor;
use sysinfo::System;
use windows_registry::LOCAL_MACHINE;

use super::named_frequency;
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
    let threads = processors.and_then(|processors| Some(processors.keys().ok()?.count()));
    Processor {
        vendor: text("VendorIdentifier"),
        cores: System::physical_core_count().ok().and_then(count),
        threads: threads.and_then(count),
        base_frequency: model.as_deref().and_then(named_frequency),
        model,
        ..Processor::default()
    }
}

fn count(count: usize) -> Option<u32> {
    u32::try_from(count).ok().filter(|count| *count > 0)
}
