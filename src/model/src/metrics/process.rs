//! Processes: how many there are (level 2), and what those of each name use (level 3). The probes
//! `process_count` and `processes` fill it, with the names of the OpenTelemetry semantic
//! conventions.
//!
//! # Invariants
//! - A point stands for all processes of one name together: with no process id in it, two points
//!   of one name could not be told apart.
//!
//! Plain data: nothing here can fail.

use crate::FieldType::{Choice, Text};
use crate::events::process::State;
use crate::metric;

/// Values of `cpu.mode` that processes tell.
pub const CPU_MODES: &[&str] = &["user", "system"];

metric! {
    /// Number of processes by state.
    pub COUNT = "system.process.count", Enhanced, UpDownCounter, "{process}", "to see how many programs run, and how many hang" {
        /// The state; absent where the host does not tell it.
        "process.state": Choice(State::WORDS);
    }
}

metric! {
    /// CPU time of all processes of a name.
    pub CPU_TIME = "process.cpu.time", Full, Counter, "s", "to find the program that makes a host slow" {
        /// The name that the kernel keeps, without path or arguments.
        "process.executable.name": Text, class = Software;
        /// The mode of the CPU.
        "cpu.mode": Choice(CPU_MODES);
    }
}

metric! {
    /// Physical memory of all processes of a name; what they share is counted for each.
    pub MEMORY_USAGE = "process.memory.usage", Full, UpDownCounter, "By", "to find the program that makes a host slow" {
        /// The name that the kernel keeps, without path or arguments.
        "process.executable.name": Text, class = Software;
    }
}

metric! {
    /// Threads of all processes of a name.
    pub THREADS = "process.thread.count", Full, UpDownCounter, "{thread}", "to find the program that makes a host slow" {
        /// The name that the kernel keeps, without path or arguments.
        "process.executable.name": Text, class = Software;
    }
}

metric! {
    /// Open file descriptors of all processes of a name; absent where the agent may not look into
    /// each of them.
    pub DESCRIPTORS = "process.unix.file_descriptor.count", Full, UpDownCounter, "{file_descriptor}", "to find the program that makes a host slow" {
        /// The name that the kernel keeps, without path or arguments.
        "process.executable.name": Text, class = Software;
    }
}
