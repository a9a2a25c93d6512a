//! Which programs are used, how often, and from level 2 how much. Names as the kernel keeps them; no
//! arguments, no paths, no users.
//!
//! # Invariants
//! - What was not seen is not counted, and what could not be looked at is counted apart.
//!
//! Plain data: nothing here can fail.

use crate::{event, nested};

nested! {
    /// A program.
    pub struct Application {
        /// The name that the kernel keeps (on Linux at most 15 characters).
        name: String, Software;
        /// Version of the package that brought its file; absent where no package of dpkg, rpm (4.16 and later), apk or pacman did.
        version: Option<String>, Software;
        /// Starts that were seen in the window: processes that were there at a sample and not at the one before.
        /// A process that lives between two samples only is not seen.
        run_count: u64, Performance, unit = "{run}";
        /// Time that its processes ran in the window, added up; those that run at the end of the window only.
        running_time: Option<f64>, Performance, level = Enhanced, unit = "s";
        /// Fraction of the time of all logical CPUs in the window; those that run at the end of the window only.
        cpu_share: Option<f64>, Performance, level = Enhanced, unit = "1";
        /// Fraction of the usable memory at the end of the window, shared memory counted for each process.
        memory_share: Option<f64>, Performance, level = Enhanced, unit = "1";
    }
}

event! {
    /// The programs that were started or used most. The agent looks at the list of processes at each
    /// sample (10 s): there is no record of every start, so counts are of what was seen.
    pub struct Usage = "candor.usage.applications", Basic, "to know which programs matter on which hosts" {
        /// Length of the window.
        window: Option<f64>, Performance, unit = "s";
        /// Number of different programs in the window.
        total: Option<u64>, Performance, unit = "{program}";
        /// Programs that are not in the list.
        left_out: Option<u64>, Performance, unit = "{program}";
        /// Starts that were seen but not looked at, since too many came at once.
        unnamed_runs: Option<u64>, Performance, unit = "{run}";
        /// The programs, those with most starts and then most CPU time first; at most 64.
        applications: Vec<Application>, Performance;
    }
}
