//! Level 2: how reliably the host runs, from the records that it keeps itself.
//!
//! # Invariants
//! - What no record tells is absent; zero means that a record tells of none.
//!
//! Plain data: nothing here can fail.

use crate::event;

event! {
    /// How reliably the host runs. Sent when it changed and once a day.
    pub struct Summary = "candor.reliability.summary", Enhanced, "to find hosts that do not run reliably" {
        /// How far back the host's record of starts goes, 90 days at most; on Windows in whole days.
        observed: Option<f64>, Performance, unit = "d";
        /// Starts of the host in this time.
        starts: Option<u64>, Performance, unit = "{start}";
        /// Of these, how many followed a stop that was not in order: power loss, crash, reset.
        unclean_shutdowns: Option<u64>, Performance, unit = "{shutdown}";
        /// Whole days since the start that followed the last of them; absent when there was none.
        days_since_unclean_shutdown: Option<u64>, Performance, unit = "d";
        /// Tasks that hung in the kernel since this start.
        hung_tasks: Option<u64>, Performance, unit = "{task}";
        /// Updates that failed, in the package manager's present log; on Windows in the time observed.
        failed_updates: Option<u64>, Performance, unit = "{update}";
        /// Packages whose installation began and did not end.
        broken_packages: Option<u64>, Performance, unit = "{package}";
        /// How long the last start took, from the kernel's first step until all services were up.
        start_duration: Option<f64>, Performance, unit = "s";
    }
}
