//! Every metric, by subject.

use crate::MetricEntry;

pub mod container;
pub mod core;
pub mod pressure;
pub mod process;
pub mod system;
pub mod tcp;

/// Every metric of the catalog.
pub(crate) static ALL: &[&MetricEntry] = &[
    &system::CPU_TIME,
    &system::CPU_UTILIZATION,
    &system::CPU_BUSY,
    &system::CPU_PHYSICAL,
    &system::CPU_LOGICAL,
    &system::PROCESS_CREATED,
    &system::UPTIME,
    &system::MEMORY_USAGE,
    &system::MEMORY_UTILIZATION,
    &system::MEMORY_PRESSURE,
    &system::MEMORY_LIMIT,
    &system::MEMORY_AVAILABLE,
    &system::MEMORY_SHARED,
    &system::SLAB_USAGE,
    &system::PAGING_USAGE,
    &system::PAGING_UTILIZATION,
    &system::PAGING_FAULTS,
    &system::PAGING_OPERATIONS,
    &system::DISK_IO,
    &system::DISK_OPERATIONS,
    &system::DISK_IO_TIME,
    &system::DISK_OPERATION_TIME,
    &system::DISK_MERGED,
    &system::DISK_LIMIT,
    &system::DISK_LATENCY,
    &system::FILESYSTEM_USAGE,
    &system::FILESYSTEM_UTILIZATION,
    &system::FILESYSTEM_LIMIT,
    &system::NETWORK_IO,
    &system::NETWORK_PACKETS,
    &system::NETWORK_DROPPED,
    &system::NETWORK_ERRORS,
    &tcp::CONNECTIONS,
    &tcp::SEGMENTS,
    &tcp::RETRANSMISSIONS,
    &tcp::OPENED,
    &tcp::FAILED,
    &pressure::STALL_TIME,
    &process::COUNT,
    &container::CPU_TIME,
    &container::CPU_LIMIT,
    &container::MEMORY_USAGE,
    &container::MEMORY_WORKING_SET,
    &container::MEMORY_RSS,
    &container::MEMORY_LIMIT,
    &container::RESTARTS,
    &core::TIME,
    &core::FREQUENCY,
    &process::CPU_TIME,
    &process::MEMORY_USAGE,
    &process::THREADS,
    &process::DESCRIPTORS,
];
