//! Every metric, by subject.

use crate::MetricEntry;

pub mod system;

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
];
