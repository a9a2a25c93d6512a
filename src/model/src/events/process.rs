//! Level 3: what the processes of the host do. Names only: no command line, no user, no path, no
//! process id.
//!
//! # Invariants
//! - The list is bounded by the probe; what it leaves out is counted in `left_out`.
//!
//! Plain data: nothing here can fail.

use crate::{choice, event, nested};

choice! {
    /// What a process does. The words of OpenTelemetry's `process.state`, and two of ours.
    pub enum State {
        /// Runs or could run.
        Running = "running",
        /// Waits and can be woken.
        Sleeping = "sleeping",
        /// Waits for a device or a lock and cannot be woken.
        Uninterruptible = "uninterruptible",
        /// A kernel thread without work.
        Idle = "idle",
        /// Stopped by a signal or a debugger.
        Stopped = "stopped",
        /// Ended; its parent has not asked for its result.
        Defunct = "defunct",
    }
}

nested! {
    /// One process.
    pub struct Process {
        /// The name that the kernel keeps (on Linux at most 15 characters), without path or arguments.
        name: String, Software;
        /// Its state.
        state: Option<State>, Performance;
        /// CPU time in user and system mode since it started.
        cpu_time: Option<f64>, Performance, unit = "s";
        /// Fraction of the time of all logical CPUs since the last table; absent in the first one.
        cpu_utilization: Option<f64>, Performance, unit = "1";
        /// Physical memory in use.
        memory: Option<u64>, Performance, unit = "By";
        /// Number of threads.
        threads: Option<u64>, Performance, unit = "{thread}";
        /// Open file descriptors or handles; absent where the agent may not look.
        handles: Option<u64>, Performance, unit = "{handle}";
        /// Time since it started, suspended time included.
        uptime: Option<f64>, Performance, unit = "s";
    }
}

event! {
    /// The processes that use most CPU and most memory.
    pub struct Table = "candor.process.table", Full, "to find the program that makes a host slow" {
        /// Time since the last table; absent in the first one.
        window: Option<f64>, Performance, unit = "s";
        /// Number of processes on the host.
        total: Option<u64>, Performance, unit = "{process}";
        /// Number of processes that are not in the list.
        left_out: Option<u64>, Performance, unit = "{process}";
        /// The processes that use most, by CPU and then memory.
        processes: Vec<Process>, Performance;
    }
}
