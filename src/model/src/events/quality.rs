//! Critical alerts: how often the host met trouble that its owner should know of. Counts only.
//!
//! # Invariants
//! - A count is what the host itself keeps, since the moment that its description names.
//!
//! Plain data: nothing here can fail.

use crate::event;

event! {
    /// Critical alerts by kind. A kind that the host does not count is absent, and 0 says that it counts
    /// and saw none. Sent when a count changes, and daily.
    pub struct Alerts = "candor.quality.alerts", Basic, "to find failing hardware and crashing kernels" {
        /// Machine check exceptions of the processors since boot.
        machine_checks: Option<u64>, Performance, unit = "{error}";
        /// Memory errors that were corrected since boot.
        memory_errors_corrected: Option<u64>, Performance, unit = "{error}";
        /// Memory errors that could not be corrected since boot.
        memory_errors_uncorrected: Option<u64>, Performance, unit = "{error}";
        /// PCI Express errors that were corrected since boot.
        pcie_errors_corrected: Option<u64>, Performance, unit = "{error}";
        /// PCI Express errors that were not corrected since boot.
        pcie_errors_uncorrected: Option<u64>, Performance, unit = "{error}";
        /// Drives that expect to fail, as they told when they were last awake.
        drives_failing: Option<u32>, Performance, unit = "{drive}";
        /// Drives that were asked whether they expect to fail; one that sleeps is not asked.
        drives_asked: Option<u32>, Performance, unit = "{drive}";
        /// Errors that mounted file systems keep in their own records, since they were last repaired.
        filesystem_errors: Option<u64>, Performance, unit = "{error}";
        /// Arrays of drives that run with fewer drives than they should.
        arrays_degraded: Option<u32>, Performance, unit = "{array}";
        /// How often a core slowed down because of heat since boot.
        thermal_throttles: Option<u64>, Performance, unit = "{event}";
        /// Processes that the kernel killed for want of memory since boot.
        oom_kills: Option<u64>, Performance, unit = "{process}";
        /// Faults of the kernel that it survived since boot; 1 stands for any number on kernels that only keep a flag.
        kernel_oopses: Option<u64>, Performance, unit = "{error}";
        /// Warnings of the kernel about itself since boot; 1 stands for any number on kernels that only keep a flag.
        kernel_warnings: Option<u64>, Performance, unit = "{error}";
        /// Records of a crash of the kernel that wait in the firmware's or the system's store; on Windows those of
        /// the event log.
        kernel_crash_records: Option<u32>, Performance, unit = "{record}";
        /// Starts without an ordered stop before them, in the system's record of starts (often a month); on Windows
        /// the event log.
        unclean_shutdowns: Option<u32>, Performance, unit = "{shutdown}";
    }
}
