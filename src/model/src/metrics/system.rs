//! The host's own numbers at level 2, as OpenTelemetry publishes them, and three distributions of ours.
//!
//! Names, units, instruments, attribute keys and attribute values are those of the OpenTelemetry
//! semantic conventions 1.44.0 (checked against `PyPI`'s `opentelemetry-semantic-conventions`
//! 0.66b2 and the attribute lists of `model/system/metrics.yaml` in their repository); what has no
//! published name begins with `candor.`. The probes `cpu`, `memory`, `disk`, `filesystem` and
//! `network` fill them.
//!
//! # Invariants
//! - An attribute that would need a higher level, or whose value a user chose, is left out of the
//!   definition: taking it away later would leave two points that cannot be told apart. So there
//!   is no `cpu.logical_number` here (per-core numbers are level 3), no `system.paging.fault.type`
//!   on operations (a page that is written out was no fault) and no swap device (it may be a file).
//!
//! Plain data: nothing here can fail.

use crate::FieldType::{Choice, Text};
use crate::metric;

/// Values of `cpu.mode`.
pub const CPU_MODES: &[&str] = &["user", "nice", "system", "idle", "iowait", "interrupt", "steal"];
/// Values of `system.memory.state`.
pub const MEMORY_STATES: &[&str] = &["used", "free", "buffers", "cached"];
/// Values of `system.memory.linux.slab.state`.
pub const SLAB_STATES: &[&str] = &["reclaimable", "unreclaimable"];
/// Values of `system.paging.state`.
pub const PAGING_STATES: &[&str] = &["used", "free"];
/// Values of `system.paging.fault.type`.
pub const FAULT_TYPES: &[&str] = &["major", "minor"];
/// Values of `system.paging.direction`.
pub const PAGING_DIRECTIONS: &[&str] = &["in", "out"];
/// Values of `disk.io.direction`.
pub const DISK_DIRECTIONS: &[&str] = &["read", "write"];
/// Values of `system.filesystem.state`.
pub const FILESYSTEM_STATES: &[&str] = &["used", "free", "reserved"];
/// Values of `system.filesystem.mode`.
pub const FILESYSTEM_MODES: &[&str] = &["rw", "ro"];
/// Values of `network.io.direction`.
pub const NETWORK_DIRECTIONS: &[&str] = &["receive", "transmit"];

metric! {
    /// Seconds that all logical CPUs together spent in each mode.
    pub CPU_TIME = "system.cpu.time", Enhanced, Counter, "s", "to see how much of the processor is used, and for what" {
        /// The mode of the CPU.
        "cpu.mode": Choice(CPU_MODES);
    }
}

metric! {
    /// Fraction of the time of all logical CPUs spent in each mode in the last sample interval.
    pub CPU_UTILIZATION = "system.cpu.utilization", Enhanced, Gauge, "1", "to see how much of the processor is used, and for what" {
        /// The mode of the CPU.
        "cpu.mode": Choice(CPU_MODES);
    }
}

metric! {
    /// Distribution over the window of the busy fraction (neither idle nor waiting for I/O) of all
    /// logical CPUs, one value for each sample interval.
    pub CPU_BUSY = "candor.cpu.utilization", Enhanced, Histogram, "1", "to see bursts that an average hides" {}
}

metric! {
    /// Number of physical processor cores.
    pub CPU_PHYSICAL = "system.cpu.physical.count", Enhanced, UpDownCounter, "{cpu}", "to relate use to capacity" {}
}

metric! {
    /// Number of logical processors that are online.
    pub CPU_LOGICAL = "system.cpu.logical.count", Enhanced, UpDownCounter, "{cpu}", "to relate use to capacity" {}
}

metric! {
    /// Number of processes created.
    pub PROCESS_CREATED = "system.process.created", Enhanced, Counter, "{process}", "to see load by short-lived processes" {}
}

metric! {
    /// The time the system has been running, suspended time included.
    pub UPTIME = "system.uptime", Enhanced, Gauge, "s", "to see how long hosts run without a restart" {}
}

metric! {
    /// Memory by state; the states add up to the limit.
    pub MEMORY_USAGE = "system.memory.usage", Enhanced, UpDownCounter, "By", "to see whether memory suffices" {
        /// The memory state.
        "system.memory.state": Choice(MEMORY_STATES);
    }
}

metric! {
    /// Fraction of memory in each state.
    pub MEMORY_UTILIZATION = "system.memory.utilization", Enhanced, Gauge, "1", "to see whether memory suffices" {
        /// The memory state.
        "system.memory.state": Choice(MEMORY_STATES);
    }
}

metric! {
    /// Distribution over the window of the fraction of memory that programs cannot have
    /// (1 - available / limit), one value for each sample.
    pub MEMORY_PRESSURE = "candor.memory.utilization", Enhanced, Histogram, "1", "to see bursts that an average hides" {}
}

metric! {
    /// Memory that the system can use.
    pub MEMORY_LIMIT = "system.memory.limit", Enhanced, UpDownCounter, "By", "to relate use to capacity" {}
}

metric! {
    /// The kernel's estimate of how much memory new programs can have without swapping.
    pub MEMORY_AVAILABLE = "system.memory.linux.available", Enhanced, UpDownCounter, "By", "to see whether memory suffices" {}
}

metric! {
    /// Shared memory used, mostly by tmpfs.
    pub MEMORY_SHARED = "system.memory.linux.shared", Enhanced, UpDownCounter, "By", "to see whether memory suffices" {}
}

metric! {
    /// Memory that the kernel uses for caches of its own objects.
    pub SLAB_USAGE = "system.memory.linux.slab.usage", Enhanced, UpDownCounter, "By", "to see whether memory suffices" {
        /// The slab state.
        "system.memory.linux.slab.state": Choice(SLAB_STATES);
    }
}

metric! {
    /// Swap or page file, all devices together.
    pub PAGING_USAGE = "system.paging.usage", Enhanced, UpDownCounter, "By", "to see whether memory suffices" {
        /// The state.
        "system.paging.state": Choice(PAGING_STATES);
    }
}

metric! {
    /// Fraction of swap or page file; absent where there is none.
    pub PAGING_UTILIZATION = "system.paging.utilization", Enhanced, Gauge, "1", "to see whether memory suffices" {
        /// The state.
        "system.paging.state": Choice(PAGING_STATES);
    }
}

metric! {
    /// Page faults.
    pub PAGING_FAULTS = "system.paging.faults", Enhanced, Counter, "{fault}", "to see whether memory suffices" {
        /// Major faults had to wait for a drive.
        "system.paging.fault.type": Choice(FAULT_TYPES);
    }
}

metric! {
    /// Pages read from and written to swap.
    pub PAGING_OPERATIONS = "system.paging.operations", Enhanced, Counter, "{operation}", "to see whether memory suffices" {
        /// The direction.
        "system.paging.direction": Choice(PAGING_DIRECTIONS);
    }
}

metric! {
    /// Bytes read and written, by drive.
    pub DISK_IO = "system.disk.io", Enhanced, Counter, "By", "to see how drives are used and how fast they answer" {
        /// The kernel's name of the drive.
        "system.device": Text;
        /// The direction.
        "disk.io.direction": Choice(DISK_DIRECTIONS);
    }
}

metric! {
    /// Operations completed, by drive.
    pub DISK_OPERATIONS = "system.disk.operations", Enhanced, Counter, "{operation}", "to see how drives are used and how fast they answer" {
        /// The kernel's name of the drive.
        "system.device": Text;
        /// The direction.
        "disk.io.direction": Choice(DISK_DIRECTIONS);
    }
}

metric! {
    /// Time in which a drive had at least one operation to do.
    pub DISK_IO_TIME = "system.disk.io_time", Enhanced, Counter, "s", "to see how drives are used and how fast they answer" {
        /// The kernel's name of the drive.
        "system.device": Text;
    }
}

metric! {
    /// Sum of the time that each operation took.
    pub DISK_OPERATION_TIME = "system.disk.operation_time", Enhanced, Counter, "s", "to see how drives are used and how fast they answer" {
        /// The kernel's name of the drive.
        "system.device": Text;
        /// The direction.
        "disk.io.direction": Choice(DISK_DIRECTIONS);
    }
}

metric! {
    /// Operations that were merged with an adjacent one.
    pub DISK_MERGED = "system.disk.merged", Enhanced, Counter, "{operation}", "to see how drives are used and how fast they answer" {
        /// The kernel's name of the drive.
        "system.device": Text;
        /// The direction.
        "disk.io.direction": Choice(DISK_DIRECTIONS);
    }
}

metric! {
    /// Capacity of a drive.
    pub DISK_LIMIT = "system.disk.limit", Enhanced, UpDownCounter, "By", "to relate use to capacity" {
        /// The kernel's name of the drive.
        "system.device": Text;
    }
}

metric! {
    /// Distribution over the window of the mean time that an operation took, one value for each
    /// sample interval in which the drive completed at least one.
    pub DISK_LATENCY = "candor.disk.latency", Enhanced, Histogram, "s", "to see slow answers that an average hides" {
        /// The kernel's name of the drive.
        "system.device": Text;
        /// The direction.
        "disk.io.direction": Choice(DISK_DIRECTIONS);
    }
}

metric! {
    /// Space of a local file system by state; the states add up to the limit.
    pub FILESYSTEM_USAGE = "system.filesystem.usage", Enhanced, UpDownCounter, "By", "to see how full file systems are" {
        /// The kernel's name of the device; absent where its name was chosen by a person.
        "system.device": Text;
        /// The state.
        "system.filesystem.state": Choice(FILESYSTEM_STATES);
        /// The type of the file system.
        "system.filesystem.type": Text;
        /// Read-write or read-only.
        "system.filesystem.mode": Choice(FILESYSTEM_MODES);
        /// Where it is mounted: a path of the system itself, else its class such as `/home/*`.
        "system.filesystem.mountpoint": Text;
    }
}

metric! {
    /// Fraction of the space of a local file system by state.
    pub FILESYSTEM_UTILIZATION = "system.filesystem.utilization", Enhanced, Gauge, "1", "to see how full file systems are" {
        /// The kernel's name of the device; absent where its name was chosen by a person.
        "system.device": Text;
        /// The state.
        "system.filesystem.state": Choice(FILESYSTEM_STATES);
        /// The type of the file system.
        "system.filesystem.type": Text;
        /// Read-write or read-only.
        "system.filesystem.mode": Choice(FILESYSTEM_MODES);
        /// Where it is mounted: a path of the system itself, else its class such as `/home/*`.
        "system.filesystem.mountpoint": Text;
    }
}

metric! {
    /// Capacity of a local file system.
    pub FILESYSTEM_LIMIT = "system.filesystem.limit", Enhanced, UpDownCounter, "By", "to relate use to capacity" {
        /// The kernel's name of the device; absent where its name was chosen by a person.
        "system.device": Text;
        /// The type of the file system.
        "system.filesystem.type": Text;
        /// Read-write or read-only.
        "system.filesystem.mode": Choice(FILESYSTEM_MODES);
        /// Where it is mounted: a path of the system itself, else its class such as `/home/*`.
        "system.filesystem.mountpoint": Text;
    }
}

metric! {
    /// Bytes received and sent, by network adapter.
    pub NETWORK_IO = "system.network.io", Enhanced, Counter, "By", "to see how the network is used and where it fails" {
        /// The name of the adapter; one that holds a hardware address is shortened to its kind.
        "network.interface.name": Text;
        /// The direction.
        "network.io.direction": Choice(NETWORK_DIRECTIONS);
    }
}

metric! {
    /// Packets received and sent, by network adapter.
    pub NETWORK_PACKETS = "system.network.packet.count", Enhanced, Counter, "{packet}", "to see how the network is used and where it fails" {
        /// The name of the adapter; one that holds a hardware address is shortened to its kind.
        "system.device": Text;
        /// The direction.
        "network.io.direction": Choice(NETWORK_DIRECTIONS);
    }
}

metric! {
    /// Packets dropped although there was no error, by network adapter.
    pub NETWORK_DROPPED = "system.network.packet.dropped", Enhanced, Counter, "{packet}", "to see how the network is used and where it fails" {
        /// The name of the adapter; one that holds a hardware address is shortened to its kind.
        "network.interface.name": Text;
        /// The direction.
        "network.io.direction": Choice(NETWORK_DIRECTIONS);
    }
}

metric! {
    /// Errors, by network adapter.
    pub NETWORK_ERRORS = "system.network.errors", Enhanced, Counter, "{error}", "to see how the network is used and where it fails" {
        /// The name of the adapter; one that holds a hardware address is shortened to its kind.
        "network.interface.name": Text;
        /// The direction.
        "network.io.direction": Choice(NETWORK_DIRECTIONS);
    }
}
