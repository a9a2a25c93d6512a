//! Level 3: each logical CPU by itself. The probe `cores` fills it.
//!
//! # Invariants
//! - Not under the name `system.cpu.time`, which stands for all CPUs together at every level: a
//!   receiver that adds up its points counts each second once.
//!
//! Plain data: nothing here can fail.

use crate::FieldType::{Choice, Int};
use crate::metric;
use crate::metrics::system::CPU_MODES;

metric! {
    /// Seconds that each logical CPU spent in each mode.
    pub TIME = "candor.cpu.core.time", Full, Counter, "s", "to see load that lies on few of many CPUs" {
        /// The number of the logical CPU.
        "cpu.logical_number": Int;
        /// The mode of the CPU.
        "cpu.mode": Choice(CPU_MODES);
    }
}

metric! {
    /// Frequency at which a logical CPU runs.
    pub FREQUENCY = "system.cpu.frequency", Full, Gauge, "Hz", "to see processors that are slowed down" {
        /// The number of the logical CPU.
        "cpu.logical_number": Int;
    }
}
